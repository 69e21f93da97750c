import { statSync } from "node:fs";
import path from "node:path";
import { formatBytes, formatCount } from "../../core/format";
import type { BenchProgress, BenchResult, Measured } from "../../protocol/native.gen";
import type { Context } from "../context";
import { table } from "../output";
import { progress } from "../progress";

export interface BenchOptions {
  rows: string;
  dtype?: string;
  batchTokens?: string;
  repeats?: string;
  prompt?: string;
  new?: string;
}

/** `tillage bench SHAPE --rows FILE` */
export async function bench(context: Context, shape: string, options: BenchOptions): Promise<BenchResult> {
  const model = statSync(shape, { throwIfNoEntry: false })?.isDirectory() ? path.resolve(shape) : shape;
  const flags: [string, string | undefined][] = [["--dtype", options.dtype], ["--batch-tokens", options.batchTokens], ["--repeats", options.repeats], ["--prompt", options.prompt], ["--new", options.new]];
  const given = flags.flatMap(([flag, value]) => (value === undefined ? [] : [`${flag}=${value}`]));
  const bar = progress("measuring", context.out.json);
  try {
    const result = await context.engine.bench([`--model-shape=${model}`, `--rows=${path.resolve(options.rows)}`, ...given], {
      signal: context.signal,
      onProgress: (at: BenchProgress) => bar.update(at.done, at.total, at.what),
    });
    bar.stop();
    show(context, result);
    return result;
  } finally {
    bar.stop();
  }
}

function show({ out }: Context, result: BenchResult): void {
  const { machine, training } = result;
  out.title(`${result.model}${result.random_weights ? " with random weights" : ""}, ${formatCount(result.parameters)} parameters in ${result.dtype}`);
  out.say(`  ${machine.device}, ${machine.threads} threads, ${machine.features.join(" ")}`);
  out.say(`  ${formatCount(result.rows)} rows of ${(result.row_tokens / Math.max(result.rows, 1)).toFixed(0)} tokens in the mean, ${result.tokenizer === "model" ? "by the model's tokenizer" : "by a tokenizer trained on them"}`);
  out.say();
  const line = (what: string, of: Measured): (string | number)[] => [what, formatCount(of.tokens_per_second), formatCount(of.slowest), formatCount(of.fastest), of.repeats];
  const lines = [line(`LoRA r=${training.rank}, steps of ${formatCount(training.batch_tokens)} tokens`, training.measured), ...result.generation.map((of) => line(`generation, ${of.batch} at once`, of.measured))];
  out.say(table([{ head: "" }, { head: "tokens/s", align: "right" }, { head: "slowest", align: "right" }, { head: "fastest", align: "right" }, { head: "repeats", align: "right" }], lines));
  out.say(`\n  peak memory ${typeof result.peak_bytes === "number" ? formatBytes(result.peak_bytes) : "not told by this system"}, planned for training ${formatBytes(result.planned_bytes)}`);
}
