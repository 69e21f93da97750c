import type { ReceiptRow } from "../../src/protocol/corpus";

/** Positions of the rows that have one of the reasons (any, when none is chosen) and the searched text. */
export function filterRows(rows: readonly ReceiptRow[], reasons: ReadonlySet<string>, search: string): number[] {
  const wanted = search.trim().toLowerCase();
  const out: number[] = [];
  rows.forEach((row, index) => {
    if (reasons.size > 0 && !reasons.has(row.reason)) return;
    if (wanted !== "" && ![row.text, row.value, row.rowId, row.source, row.matchedRowId].some((field) => field?.toLowerCase().includes(wanted))) return;
    out.push(index);
  });
  return out;
}

/** How many rows have each reason, most frequent first. */
export function reasonCounts(rows: readonly ReceiptRow[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const row of rows) counts.set(row.reason, (counts.get(row.reason) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
}
