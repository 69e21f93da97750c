import { spawn } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import path from "node:path";
import pc from "picocolors";
import { writeReport } from "../../app/report";
import { runEval } from "../../app/run-eval";
import type { EvalResult } from "../../core/eval/result";
import type { BuildResult } from "../../protocol/corpus";
import { TillageError } from "../../protocol/errors";
import { createContext } from "../context";
import type { Context } from "../context";
import { table } from "../output";
import { build } from "./build";
import { train } from "./train";
import type { TrainResult } from "./train";

export interface DemoOptions {
  json?: boolean;
  raw?: boolean;
  open?: boolean;
  dir: string;
}

/** What `npm run demo -- --json` prints as its last line. */
export interface DemoResult {
  ok: true;
  seconds: number;
  steps: { recipe: string; step: string; in: number; out: number }[];
  guards: { recipe: string; guard: string; ok: boolean; message: string }[];
  correct: { random: number; pretrained: number; tuned: number; of: number };
  /** Probes of what the recipe takes out: how many found nothing of it in the pretrained model. */
  leftovers: { clean: number; of: number };
  loss: { pretrain: [number, number]; tune: [number, number] };
  report: string;
}

const stages = [
  { name: "random", ref: "run:pretrain@0" },
  { name: "pretrained", ref: "run:pretrain" },
  { name: "tuned", ref: "run:tune" },
] as const;

/** The whole loop on the demo workspace: build, pretrain, tune, ask, report. */
export async function demo(options: DemoOptions): Promise<DemoResult> {
  const dir = path.resolve(options.dir);
  const file = (name: string): string => path.join(dir, name);
  if (!existsSync(file("corpus.recipe.yaml"))) throw TillageError.user("no_demo", `${dir} is not the demo workspace.`, "Run `npm run demo` in Tillage's repository, or name the workspace with --dir.");
  // What the dirty data did is kept apart, so that the clean runs stay the newest ones of the workspace.
  const root = options.raw ? path.join(dir, ".tillage", "raw") : dir;
  mkdirSync(path.join(root, ".tillage"), { recursive: true });
  const context = createContext({ root }, dir);
  const started = performance.now();
  try {
    const { out } = context;
    out.title(`1. The data${options.raw ? ", as it is: no step of the recipes runs" : ""}`);
    const corpus = await build(context, file("corpus.recipe.yaml"), { raw: options.raw });
    const pairs = await build(context, file("pairs.recipe.yaml"), { raw: options.raw });
    const overrides = options.raw ? overridesFor([corpus, pairs]) : {};
    out.title("2. Pretrain a llama from random weights");
    const pretrain = await train(context, file("pretrain.run.yaml"), { raw: options.raw, overrides, quietBuild: true });
    out.title("3. Tune it with LoRA on the question–answer pairs");
    const tune = await train(context, file("tune.run.yaml"), { raw: options.raw, overrides, quietBuild: true });
    out.title("4. The same five questions, three times");
    const results: EvalResult[] = [];
    for (const stage of stages) {
      const result = await runEval({ file: file("five-questions.eval.yaml"), model: stage.ref }, context, { signal: context.signal });
      results.push({ ...result, model: { ...result.model, label: stage.name } });
    }
    printAnswers(context, results);
    out.title("   What must not be in the pretrained model");
    const leftovers = await runEval({ file: file("leftovers.eval.yaml"), model: "run:pretrain" }, context, { signal: context.signal });
    const labelled = { ...leftovers, model: { ...leftovers.model, label: "pretrained" } };
    printAnswers(context, [labelled]);
    const { report } = await writeReport(
      {
        title: options.raw ? "The Kilnhouse, on dirty data" : "The Kilnhouse",
        recipes: [file("corpus.recipe.yaml"), file("pairs.recipe.yaml")],
        runs: [pretrain.runDir, tune.runDir],
        evals: [{ file: file("five-questions.eval.yaml"), stages: results }, { file: file("leftovers.eval.yaml"), stages: [labelled] }],
        raw: options.raw ?? false,
        assetsDir: path.join(__dirname, "webview"),
      },
      context,
      context.signal,
    );
    const correct = (index: number): number => results[index]?.correct ?? 0;
    const result: DemoResult = {
      ok: true,
      seconds: Math.round((performance.now() - started) / 100) / 10,
      steps: [corpus, pairs].flatMap((made) => made.steps.map((step) => ({ recipe: recipeName(made), step: step.step, in: step.in, out: step.out }))),
      guards: [corpus, pairs].flatMap((made) => made.guards.map((guard) => ({ recipe: recipeName(made), guard: guard.guard, ok: guard.ok, message: guard.message }))),
      correct: { random: correct(0), pretrained: correct(1), tuned: correct(2), of: results[0]?.of ?? 0 },
      leftovers: { clean: leftovers.correct, of: leftovers.of },
      loss: { pretrain: ends(pretrain), tune: ends(tune) },
      report,
    };
    summary(context, result);
    if (options.open) openEditor(dir);
    return result;
  } finally {
    context.dispose();
  }
}

/** In a raw demo the failing guards are what shall be seen; the reason is recorded with the run. */
function overridesFor(builds: BuildResult[]): Record<string, string> {
  const failing = builds.flatMap((made) => made.guards.filter((guard) => !guard.ok).map((guard) => guard.guard));
  return Object.fromEntries(failing.map((guard) => [guard, "The demo was asked to show what the dirty data does (--raw)."]));
}

function recipeName(made: BuildResult): string {
  return path.basename(made.recipe).replace(/\.recipe\.ya?ml$/u, "");
}

function ends(run: TrainResult): [number, number] {
  const { loss } = run.state.series;
  return [loss[0] ?? NaN, loss.at(-1) ?? NaN];
}

function printAnswers(context: Context, results: EvalResult[]): void {
  const first = results[0];
  if (!first) return;
  context.out.say(table(
    [{ head: "question", width: 28 }, ...results.map((result) => ({ head: result.model.label, width: 32 }))],
    first.cases.map((item) => [item.prompt, ...results.map((result) => {
      const found = result.cases.find((candidate) => candidate.id === item.id);
      return found ? `${found.verdict.pass ? pc.green("✓") : pc.red("✗")} ${printable(found.output)}` : "";
    })]),
  ));
}

/** What an untrained model says may hold control characters. */
function printable(text: string): string {
  const clean = text.replace(/\p{C}+/gu, " ").replace(/\s+/gu, " ").trim();
  if (clean === "") return pc.dim(text === "" ? "(nothing)" : "(white space)");
  return clean.length > 90 ? `${clean.slice(0, 89)}…` : clean;
}

function summary(context: Context, result: DemoResult): void {
  const { correct, loss } = result;
  context.out.title("5. What came of it");
  context.out.say(table(
    [{ head: "" }, { head: "random", align: "right" }, { head: "pretrained", align: "right" }, { head: "tuned", align: "right" }],
    [["right answers", `${correct.random} of ${correct.of}`, `${correct.pretrained} of ${correct.of}`, `${correct.tuned} of ${correct.of}`],
      ["clean of what was taken out", "", `${result.leftovers.clean} of ${result.leftovers.of}`, ""],
      ["last loss", "", loss.pretrain[1].toFixed(3), loss.tune[1].toFixed(3)]],
  ));
  context.out.say(`\n  ${result.seconds} s. Report: ${pc.bold(result.report)}`);
}

/** Opens the workspace in VS Code with this build of the extension. */
function openEditor(dir: string): void {
  const child = spawn("code", [`--extensionDevelopmentPath=${path.resolve(__dirname, "..")}`, dir], { stdio: "ignore", detached: true });
  child.once("error", () => process.stderr.write("VS Code's command `code` was not found. In VS Code, run “Shell Command: Install 'code' command in PATH”, then try --open again.\n"));
  child.unref();
}
