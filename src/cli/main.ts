/** `tillage`: the same use cases as the extension's commands, on the command line. */
import path from "node:path";
import { Command } from "commander";
import { version } from "../../package.json";
import { attribute } from "./commands/attribute";
import type { AttributeOptions } from "./commands/attribute";
import { bench } from "./commands/bench";
import type { BenchOptions } from "./commands/bench";
import { build } from "./commands/build";
import { diff } from "./commands/diff";
import type { DiffOptions } from "./commands/diff";
import { demo } from "./commands/demo";
import type { DemoOptions } from "./commands/demo";
import { compare, evaluate } from "./commands/evaluate";
import { exportData } from "./commands/export-data";
import type { ExportDataOptions } from "./commands/export-data";
import { exportModel } from "./commands/export";
import type { ExportOptions } from "./commands/export";
import { stats, tokens, why } from "./commands/inspect";
import type { TokensOptions } from "./commands/inspect";
import { report } from "./commands/report";
import type { ReportOptions } from "./commands/report";
import { rollouts } from "./commands/rollouts";
import type { RolloutOptions } from "./commands/rollouts";
import { score } from "./commands/score";
import type { ScoreOptions } from "./commands/score";
import { pause, resume, train } from "./commands/train";
import { createContext } from "./context";
import type { Context, GlobalOptions } from "./context";
import { Output } from "./output";

const program = new Command("tillage")
  .description("Data-centric model development: build corpora, train small models, compare what they say.")
  .version(version)
  .option("--json", "print one JSON object for programs")
  .option("--root <dir>", "the folder that holds .tillage (default: found from the file given)")
  .showHelpAfterError("See `tillage --help`, or `tillage help COMMAND`.")
  .addHelpText("after", examples("tillage build corpus.recipe.yaml", "tillage train tune.run.yaml", "tillage eval five.eval.yaml --model run:tune") + "\n\nA model is named by its folder, by run:NAME (the newest result of NAME.run.yaml),\nor by run:NAME@STEP (a checkpoint).");

program.command("build").description("build a recipe's dataset").argument("<recipe>", "a *.recipe.yaml")
  .option("--raw", "take the sources as they are: no step runs")
  .action(async (recipe: string, options: { raw?: boolean }) => run(recipe, (context) => build(context, recipe, options)));

program.command("diff").description("which rows two datasets differ in, and which step is why").argument("<before>", "a dataset's folder, recipe@hash, or a recipe: the newest built of it").argument("<after>", "likewise")
  .option("--rows <n>", "rows of each change that are shown (default: 3)")
  .addHelpText("after", examples("tillage diff corpus@1f0c corpus@77ab", "tillage diff raw.recipe.yaml corpus.recipe.yaml --rows 20"))
  .action(async (before: string, after: string, options: DiffOptions) => run(process.cwd(), (context) => diff(context, before, after, options)));

program.command("export-data").description("write a built dataset for other programs, with a card that lists its sources and steps").argument("<dataset>", "a dataset's folder, recipe@hash, or a recipe: the newest built of it")
  .requiredOption("--to <format>", "hub (a folder for the Hugging Face hub), parquet or jsonl").requiredOption("--out <dir>", "a new folder")
  .option("--plain", "without the columns that lead back to the sources")
  .addHelpText("after", examples("tillage export-data corpus.recipe.yaml --to hub --out corpus-hub", "tillage export-data corpus@1f0c --to jsonl --out lines --plain"))
  .action(async (dataset: string, options: ExportDataOptions) => run(process.cwd(), (context) => exportData(context, dataset, options)));

program.command("train").description("start a run and follow it; Ctrl-C pauses it at a checkpoint").argument("<run>", "a *.run.yaml; with --resume a run's folder")
  .option("--resume", "go on with a paused or interrupted run")
  .option("--raw", "train on the sources as they are: no step of the recipe runs")
  .action(async (file: string, options: { resume?: boolean; raw?: boolean }) => run(file, (context) => (options.resume ? resume(context, file) : train(context, file, options))));

program.command("pause").description("let a run write a checkpoint and end; `tillage train --resume` goes on").argument("<run>", "a run's folder")
  .action(async (dir: string) => run(dir, (context) => pause(context, dir)));

program.command("rollouts").description("the answers that a policy drew in a run, with their rewards").argument("<run>", "a run's folder")
  .option("--step <n>", "of this step (default: the newest)").option("--row <id>", "of this row, in all steps")
  .addHelpText("after", examples("tillage rollouts .tillage/runs/solve-20260102-030405-00ff --step 40"))
  .action(async (dir: string, options: RolloutOptions) => run(dir, (context) => rollouts(context, dir, options)));

program.command("eval").description("ask models the prompts of an eval file and grade the answers").argument("<eval>", "a *.eval.yaml")
  .requiredOption("--model <ref...>", "a folder, run:NAME or run:NAME@STEP")
  .action(async (file: string, options: { model: string[] }) => run(file, (context) => evaluate(context, file, options.model)));

program.command("compare").description("two models' answers, before and after").argument("<eval>", "a *.eval.yaml")
  .requiredOption("--before <ref>", "a folder, run:NAME or run:NAME@STEP").requiredOption("--after <ref>", "likewise")
  .action(async (file: string, options: { before: string; after: string }) => run(file, (context) => compare(context, file, options.before, options.after)));

program.command("tokens").description("a row exactly as the model will see it").requiredOption("--model <ref>", "a folder, run:NAME or run:NAME@STEP")
  .option("--text <text>", "a text").option("--prompt <text>", "a prompt").option("--completion <text>", "the prompt's answer").option("--row <file>", "one JSON row")
  .option("--loss-on <what>", "all, completion or assistant").option("--context <tokens>", "the longest row")
  .addHelpText("after", examples('tillage tokens --model run:tune --prompt "Why?" --completion "So."', "tillage tokens --model run:tune --row pair.json --context 256"))
  .action(async (options: TokensOptions) => run(process.cwd(), (context) => tokens(context, options)));

program.command("score").description("how likely a model finds a file's rows: loss, perplexity, pairs, multiple choice, embeddings").argument("<rows>", "Parquet or JSONL: text; prompt and completion; messages; chosen and rejected; or prompt and choices")
  .requiredOption("--model <ref>", "a folder, run:NAME or run:NAME@STEP").option("--out <file>", "where the rows' scores go, .parquet or .jsonl (default: beside the rows)")
  .option("--loss-on <what>", "all, completion or assistant").option("--context <tokens>", "the longest row").option("--batch-tokens <tokens>", "tokens computed at once")
  .option("--dtype <dtype>", "how the weights are held: f32, bf16, int8 or nf4").option("--embed", "add the mean of each text's last hidden states").option("--normalize", "embeddings of length 1")
  .addHelpText("after", examples("tillage score data/test.jsonl --model run:tune", "tillage score pairs.parquet --model run:tune@200 --out scores.parquet"))
  .action(async (rows: string, options: ScoreOptions) => run(rows, (context) => score(context, rows, options)));

program.command("attribute").description("which training rows led a run's model to an answer, by the gradients of both").argument("<run>", "a run's folder, or run:NAME")
  .option("--outputs <file>", "JSONL: text; prompt and completion; messages; or the row_id of a training row").option("--prompt <text>", "with --completion: one answer").option("--completion <text>").option("--text <text>", "one text").option("--row-id <id>", "a training row")
  .option("--top <n>", "rows of each list (default: 20)").option("--by <what>", "cosine, whatever a row's length, or dot, what a step on the row changes").option("--dims <n>", "numbers that gradients are projected to (default: 8192)").option("--only-last", "look at the newest checkpoint alone")
  .action(async (ref: string, options: AttributeOptions) => run(ref.startsWith("run:") ? process.cwd() : ref, (context) => attribute(context, ref, options)));

program.command("bench").description("how fast this machine trains and generates, and what that takes of its memory").argument("<shape>", "smollm2-135m or qwen2.5-0.5b with random weights, or a model folder")
  .requiredOption("--rows <file>", "Parquet or JSONL rows to learn from").option("--dtype <dtype>", "how the weights are held: f32, bf16, int8 or nf4")
  .option("--batch-tokens <tokens>", "tokens of a training step (default: 1024)").option("--repeats <n>", "rounds that are counted (default: 5)").option("--prompt <tokens>", "tokens of a prompt (default: 32)").option("--new <tokens>", "new tokens of a generation (default: 64)")
  .action(async (shape: string, options: BenchOptions) => run(options.rows, (context) => bench(context, shape, options)));

program.command("export").description("write a run's result or a model for other programs").argument("<ref>", "a folder, run:NAME, run:NAME@STEP or a run's folder")
  .requiredOption("--to <format>", "peft, merged or gguf").requiredOption("--out <path>", "a new folder; for gguf a new .gguf file")
  .option("--quantize <kind>", "for gguf: f32, f16, bf16, q8_0 or q4_0").option("--name <name>", "what a PEFT adapter says it belongs to, or the name in a GGUF file")
  .addHelpText("after", examples("tillage export run:tune --to gguf --quantize q8_0 --out tune.gguf", "tillage export run:tune --to peft --out tune-adapter"))
  .action(async (ref: string, options: ExportOptions) => run(process.cwd(), (context) => exportModel(context, ref, options)));

program.command("stats").description("what is in a corpus file").argument("<file>", "Parquet, JSONL or CSV")
  .action(async (file: string) => run(file, (context) => stats(context, file)));

program.command("why").description("why a row left a dataset, or was changed").argument("<row-id>").requiredOption("--dataset <dir>", "a folder below .tillage/datasets")
  .action(async (rowId: string, options: { dataset: string }) => run(options.dataset, (context) => why(context, rowId, options.dataset)));

program.command("report").description("write a self-contained HTML report of recipes, runs and answers")
  .option("--recipe <file...>", "recipes, in order (default: those of the runs)").option("--run <name...>", "names of runs, in order (default: all that finished)")
  .option("--eval <file>", "a *.eval.yaml (default: all that were asked)").option("--stage <ref...>", "models to ask and show side by side, in order (default: the answers that are there)")
  .option("--out <file>", "where to write it").option("--title <text>")
  .action(async (options: ReportOptions) => run(options.eval ?? options.recipe?.[0] ?? ".", (context) => report(context, options)));

program.command("demo").description("the whole loop on the demo workspace").option("--dir <dir>", "the demo workspace", path.join(__dirname, "..", "demo"))
  .option("--raw", "skip the recipes' steps, and see what the dirty data does").option("--open", "open the workspace in VS Code afterwards")
  .action(async (options: DemoOptions) => {
    const json = program.opts<GlobalOptions>().json ?? false;
    try {
      const result = await demo(options);
      new Output(json).result(result);
    } catch (error) {
      process.exitCode = new Output(json).fail(error);
    }
  });

/** The examples at the end of a command's help. */
function examples(...lines: string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join("\n")}`;
}

async function run(near: string, command: (context: Context) => Promise<unknown>): Promise<void> {
  const options = program.opts<GlobalOptions>();
  const context = createContext(options, near);
  try {
    context.out.result(await command(context));
  } catch (error) {
    process.exitCode = context.out.fail(error);
  } finally {
    context.dispose();
  }
}

// Whoever reads may stop reading (`| head`): that is no error, and a run that was started goes on without its audience.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});

void program.parseAsync();
