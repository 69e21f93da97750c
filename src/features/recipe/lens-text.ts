import { readingText } from "../../core/dataset/mapping";
import { formatCount, formatDelta, formatScaled, plural } from "../../core/format";
import type { RecipeCounts, SourceReading, StepCount } from "../../protocol/corpus";

/** How far the counts on screen are those of the text on screen. */
export type Freshness = "fresh" | "counting" | "before";

export function freshness(state: { stale: boolean; counting: boolean }): Freshness {
  if (state.counting) return "counting";
  return state.stale ? "before" : "fresh";
}

/** What a step did, as the line above it: `in 7,473 · out 7,101 · −372`. */
export function stepLens(count: StepCount, fresh: Freshness): string {
  const parts = [`in ${formatCount(count.in)}`, `out ${formatCount(count.out)}`, formatDelta(count.out - count.in)];
  if (count.changed > 0) parts.push(`${formatCount(count.changed)} changed`);
  if (count.weighted) parts.push(`${formatCount(count.weighted)} weighted`);
  return (fresh === "counting" ? "$(sync~spin) " : "") + parts.join(" · ");
}

/** The reasons of a step's receipts, most frequent first, for the tooltip. */
export function reasonList(count: StepCount): string {
  if (count.reasons.length === 0) return "No row was dropped, changed or weighted by this step.";
  return count.reasons.map(({ reason, rows }) => `${formatCount(rows)}  ${reason}`).join("\n");
}

/** Whether the step has rows to show. */
export function hasReceipts(count: StepCount): boolean {
  return count.out !== count.in || count.changed > 0 || (count.weighted ?? 0) > 0;
}

/** A source's line: `7,473 rows · 1.24 M tokens`. */
export function sourceLens(source: RecipeCounts["sources"][number]): string {
  return `${plural(source.rows, "row")} · ${formatScaled(source.tokens)} tokens`;
}

/** How a source's rows are read, with a mark where that is not sure; the columns' mapping is behind it. */
export function mappingLens(reading: SourceReading | undefined): { title: string; tooltip: string } {
  if (!reading) return { title: "map columns", tooltip: "See the file's columns, and say which of them are what" };
  const unsure = reading.confidence === "unsure";
  return {
    title: `${unsure ? "$(question) " : ""}${reading.shape} · map columns`,
    tooltip: `Read as ${readingText(reading)}${unsure ? ", which is not sure" : ""}: ${reading.reason}`,
  };
}

/** The whole recipe in one line: `7,473 → 6,902 rows`. */
export function totalLens(counts: RecipeCounts): string {
  const read = counts.sources.reduce((sum, source) => sum + source.rows, 0);
  const kept = counts.steps.at(-1)?.out ?? read;
  return kept === read ? plural(read, "row") : `${formatCount(read)} → ${plural(kept, "row")}`;
}
