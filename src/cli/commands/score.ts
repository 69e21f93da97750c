import path from "node:path";
import pc from "picocolors";
import { scoreRows } from "../../app/score";
import type { Dtype } from "../../app/score";
import { formatCount, plural } from "../../core/format";
import { TillageError } from "../../protocol/errors";
import type { LossOn, ScoreResult } from "../../protocol/native.gen";
import type { Context } from "../context";
import { table } from "../output";
import { whole } from "../whole";
import { progress } from "../progress";

export interface ScoreOptions {
  model: string;
  out?: string;
  lossOn?: string;
  context?: string;
  batchTokens?: string;
  dtype?: string;
  embed?: boolean;
  normalize?: boolean;
}

/** Worst rows in the table; the file has all. */
const SHOWN = 10;

/** `tillage score FILE --model REF` */
export async function score(context: Context, rows: string, options: ScoreOptions): Promise<ScoreResult & { out: string }> {
  const bar = progress("scoring", context.out.json);
  try {
    const lossOn = oneOf<LossOn>("--loss-on", options.lossOn, ["all", "completion", "assistant"]);
    const dtype = oneOf<Dtype>("--dtype", options.dtype, ["f32", "bf16", "int8", "nf4"]);
    const longest = whole("--context", options.context);
    const batchTokens = whole("--batch-tokens", options.batchTokens);
    const { result, out, label } = await scoreRows(
      {
        rows,
        model: options.model,
        embed: options.embed ? (options.normalize ? "normalized" : "mean") : "none",
        ...(options.out === undefined ? {} : { out: options.out }),
        ...(lossOn === undefined ? {} : { lossOn }),
        ...(dtype === undefined ? {} : { dtype }),
        ...(longest === undefined ? {} : { context: longest }),
        ...(batchTokens === undefined ? {} : { batchTokens }),
      },
      context,
      { signal: context.signal, onProgress: (at) => bar.update(at.rows, at.total, `${formatCount(Math.round(at.tokens / Math.max(at.seconds, 1e-9)))} tokens/s`) },
    );
    bar.stop();
    show(context, result, label, out);
    return { ...result, out };
  } finally {
    bar.stop();
  }
}

function show({ out: to }: Context, result: ScoreResult, label: string, out: string): void {
  to.title(`${label}: ${plural(result.rows, "row")}, ${formatCount(result.labels)} labelled tokens of ${formatCount(result.tokens)}`);
  const share = (value: number | null | undefined): string => (value === null || value === undefined ? "–" : `${(value * 100).toFixed(1)} %`);
  if (result.loss !== null && result.loss !== undefined) to.say(`  mean loss ${result.loss.toFixed(4)} nats a token   perplexity ${(result.perplexity ?? Number.NaN).toFixed(3)}`);
  if (result.pairs) to.say(`  chosen is likelier ${share(result.pairs.accuracy)}   mean margin ${result.pairs.margin.toFixed(3)} nats`);
  if (result.choices) to.say(`  ${formatCount(result.choices.answered)} answered   right ${share(result.choices.accuracy)}   per token ${share(result.choices.accuracy_per_token)}   per byte ${share(result.choices.accuracy_per_byte)}`);
  if (result.cut_rows > 0) to.say(pc.yellow(`  ${plural(result.cut_rows, "row")} cut by ${formatCount(result.cut_tokens)} tokens`));
  if (result.unlabelled_rows > 0) to.say(pc.yellow(`  ${plural(result.unlabelled_rows, "row")} without a token that counts`));
  if (result.worst.length > 0) {
    to.say();
    to.say(table([{ head: "highest loss: row" }, { head: "nats a token", align: "right" }, { head: "tokens", align: "right" }], result.worst.slice(0, SHOWN).map((row) => [row.row_id, row.loss.toFixed(4), row.labels])));
  }
  to.say(`\n  ${path.relative(process.cwd(), out) || out}`);
}

function oneOf<T extends string>(flag: string, given: string | undefined, known: readonly T[]): T | undefined {
  if (given === undefined) return undefined;
  const found = known.find((item) => item === given);
  if (found !== undefined) return found;
  throw TillageError.user("bad_arguments", `${flag} cannot be '${given}'.`, `Give ${known.slice(0, -1).join(", ")} or ${known.at(-1) ?? ""}.`);
}
