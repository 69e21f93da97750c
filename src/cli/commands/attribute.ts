import pc from "picocolors";
import { attributeRows, readOutputs } from "../../app/attribute";
import { formatCount, plural } from "../../core/format";
import { TillageError } from "../../protocol/errors";
import type { AskedOutput, AttributeResult, Attribution, Influence } from "../../protocol/native.gen";
import type { Context } from "../context";
import { table } from "../output";
import { whole } from "../whole";
import { progress } from "../progress";

export interface AttributeOptions {
  outputs?: string;
  prompt?: string;
  completion?: string;
  text?: string;
  rowId?: string;
  top?: string;
  by?: string;
  dims?: string;
  onlyLast?: boolean;
}

/** Rows against an output that are shown; `--json` has as many as of those for it. */
const AGAINST = 5;

/** `tillage attribute RUN --outputs FILE` */
export async function attribute(context: Context, run: string, options: AttributeOptions): Promise<AttributeResult> {
  const by = options.by === "cosine" || options.by === "dot" ? options.by : undefined;
  if (options.by !== undefined && by === undefined) throw TillageError.user("bad_arguments", `--by cannot be '${options.by}'.`, "Give cosine or dot.");
  const [top, dims] = [whole("--top", options.top), whole("--dims", options.dims)];
  const outputs = askedFor(options);
  const bar = progress("gradients", context.out.json);
  try {
    const { result } = await attributeRows(
      { run, outputs, ...(by === undefined ? {} : { by }), ...(top === undefined ? {} : { top }), ...(dims === undefined ? {} : { dims }), onlyLast: options.onlyLast ?? false },
      context,
      { signal: context.signal, onProgress: (at) => bar.update(at.rows, at.total, `rows, checkpoint ${at.checkpoint} of ${at.checkpoints}`) },
    );
    bar.stop();
    show(context, result);
    return result;
  } finally {
    bar.stop();
  }
}

function askedFor(options: AttributeOptions): AskedOutput[] {
  if (options.outputs !== undefined) return readOutputs(options.outputs);
  if (options.rowId !== undefined) return [{ id: options.rowId, row_id: options.rowId }];
  if (options.text !== undefined) return [{ id: "text", row: { text: options.text } }];
  if (options.completion !== undefined) return [{ id: "answer", row: { prompt: options.prompt ?? "", completion: options.completion } }];
  throw TillageError.user("bad_arguments", "No output is named.", "Give --outputs FILE, --prompt with --completion, --text, or --row-id.");
}

function show({ out }: Context, result: AttributeResult): void {
  const steps = result.checkpoints.map((checkpoint) => checkpoint.step).join(", ");
  out.title(`${plural(result.rows, "training row")} at step ${steps}, gradients of ${formatCount(result.parameters)} numbers in ${formatCount(result.dims)}`);
  if (result.left_out > 0) out.say(pc.yellow(`  ${plural(result.left_out, "row")} from which the run does not learn`));
  for (const output of result.outputs) showOutput(out, output);
  const rows = result.seconds_rows > 0 ? `, ${result.seconds_rows.toFixed(1)} s of it for the rows' gradients, which are kept` : "";
  out.say(`\n  ${result.seconds.toFixed(1)} s${rows}`);
}

function showOutput(out: Context["out"], output: Attribution): void {
  out.title(`${output.id}: loss ${output.loss.toFixed(4)} over ${plural(output.tokens, "token")}; all rows ${output.mean.toFixed(4)} ± ${output.deviation.toFixed(4)}`);
  out.say(rowTable("rows that led to it", output.top));
  // What is left of few rows may stand in both lists.
  const against = output.bottom.filter((row) => row.cosine < 0).slice(0, AGAINST);
  if (against.length > 0) out.say(`\n${rowTable("rows against it", against)}`);
}

function rowTable(head: string, rows: readonly Influence[]): string {
  const cells = rows.map((row) => [row.row_id, row.cosine.toFixed(4), row.dot.toExponential(2), row.loss.toFixed(4), row.tokens]);
  return table([{ head }, { head: "cosine", align: "right" }, { head: "dot", align: "right" }, { head: "loss", align: "right" }, { head: "tokens", align: "right" }], cells);
}
