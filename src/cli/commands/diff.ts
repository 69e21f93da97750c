import pc from "picocolors";
import { resolveDataset } from "../../app/datasets";
import { formatPercent, formatScaled, plural } from "../../core/format";
import type { DatasetDiff, RowChange } from "../../protocol/dataset-diff";
import type { Context } from "../context";
import { table } from "../output";
import { whole } from "../whole";

/** Rows of each change that are shown with their text. */
const shown = 3;
const signs: Record<RowChange, (text: string) => string> = { added: (text) => pc.green(`+ ${text}`), removed: (text) => pc.red(`− ${text}`), changed: (text) => pc.yellow(`~ ${text}`) };

export interface DiffOptions {
  /** Rows of each change that are given. */
  rows?: string;
}

/** `tillage diff BEFORE AFTER`: which rows two datasets differ in, why, and what that does to shares and lengths. */
export async function diff(context: Context, before: string, after: string, options: DiffOptions): Promise<DatasetDiff> {
  const limit = whole("--rows", options.rows, 0) ?? shown;
  const folder = (ref: string) => resolveDataset(context.root, ref, process.cwd());
  const result = await context.corpus.diff({ before: folder(before), after: folder(after), limit }, context.signal);
  print(context, result);
  return result;
}

function print({ out }: Context, diff: DatasetDiff): void {
  const side = ({ recipe, hash, rows, tokens }: DatasetDiff["before"]) => `${recipe}@${hash} (${plural(rows, "row")}, ${formatScaled(tokens)} tokens)`;
  out.title(`${side(diff.before)} → ${side(diff.after)}`);
  const moved = [diff.moved > 0 ? `${plural(diff.moved, "row")} on the other side of the split` : "", diff.more > 0 ? `${diff.more.toLocaleString("en-US")} seen more often` : "", diff.less > 0 ? `${diff.less.toLocaleString("en-US")} less often` : ""].filter((text) => text !== "");
  out.say(`  ${signs.added(diff.added.toLocaleString("en-US"))}  ${signs.removed(diff.removed.toLocaleString("en-US"))}  ${signs.changed(diff.changed.toLocaleString("en-US"))}  = ${diff.same.toLocaleString("en-US")}${moved.length > 0 ? `; ${moved.join(", ")}` : ""}`);
  if (diff.causes.length > 0) {
    out.say();
    out.say(table([{ head: "" }, { head: "step" }, { head: "reason" }, { head: "rows", align: "right" }], diff.causes.slice(0, 20).map((cause) => [signs[cause.change](cause.change), cause.step, cause.reason, cause.rows])));
    if (diff.causes.length > 20) out.say(`  and ${diff.causes.length - 20} more reasons`);
  }
  out.say();
  out.say(table(
    [{ head: "source" }, { head: "rows", align: "right" }, { head: "→", align: "right" }, { head: "tokens", align: "right" }, { head: "→", align: "right" }, { head: "share", align: "right" }, { head: "→", align: "right" }],
    diff.shares.map((share) => [share.source, share.rowsBefore, share.rowsAfter, formatScaled(share.tokensBefore), formatScaled(share.tokensAfter), formatPercent(share.shareBefore), formatPercent(share.shareAfter)]),
  ));
  out.say();
  out.say(`  tokens a row (5, 25, 50, 75, 95 %)  ${diff.lengths.before.join(" ")} → ${diff.lengths.after.join(" ")}`);
  for (const row of diff.rows) {
    out.say();
    out.say(`${signs[row.change](row.rowId)} ${pc.dim(`${row.source}, ${row.step}: ${row.reason}${row.value === null ? "" : ` (${row.value})`}${row.matchedRowId === null ? "" : `, matched ${row.matchedRowId}`}`)}`);
    for (const text of row.change === "changed" ? [row.before, row.after] : [row.before ?? row.after]) out.say(`    ${(text ?? "").replaceAll("\n", "\n    ")}`);
  }
}
