import type { DiffCause, DiffRow, RowChange } from "../../src/protocol/dataset-diff";

/** Which rows are shown: those of a change, of a step, of a cause, and with a searched text. */
export interface DiffFilter {
  change?: RowChange;
  step?: string;
  reason?: string;
  search: string;
}

type Named = Pick<DiffCause, "change" | "step" | "reason">;

/** Whether a row or a cause is of the change, step and reason that are asked for. */
export function passes(item: Named, { change, step, reason }: DiffFilter): boolean {
  return (change === undefined || item.change === change) && (step === undefined || item.step === step) && (reason === undefined || item.reason === reason);
}

/** Positions of the rows that are shown. */
export function filterRows(rows: readonly DiffRow[], filter: DiffFilter): number[] {
  const wanted = filter.search.trim().toLowerCase();
  const out: number[] = [];
  rows.forEach((row, index) => {
    if (!passes(row, filter)) return;
    if (wanted !== "" && ![row.before, row.after, row.value, row.rowId, row.source, row.matchedRowId].some((field) => field?.toLowerCase().includes(wanted))) return;
    out.push(index);
  });
  return out;
}

/** Rows that differ for the reasons that are asked for, whether they were read or not. */
export function countRows(causes: readonly DiffCause[], filter: DiffFilter): number {
  return causes.reduce((sum, cause) => sum + (passes(cause, filter) ? cause.rows : 0), 0);
}

export interface StepTotal {
  step: string;
  added: number;
  removed: number;
  changed: number;
}

/** What each step is responsible for, the largest first. */
export function stepTotals(causes: readonly DiffCause[]): StepTotal[] {
  const totals = new Map<string, StepTotal>();
  for (const { step, change, rows } of causes) {
    const total = totals.get(step) ?? { step, added: 0, removed: 0, changed: 0 };
    total[change] += rows;
    totals.set(step, total);
  }
  const all = ({ added, removed, changed }: StepTotal): number => added + removed + changed;
  return [...totals.values()].sort((a, b) => all(b) - all(a) || a.step.localeCompare(b.step));
}
