import { describe, expect, it } from "vitest";
import type { DiffCause, DiffRow, RowChange } from "../../src/protocol/dataset-diff";
import { reasonText } from "./changes";
import { countRows, filterRows, stepTotals } from "./filter";

const row = (change: RowChange, step: string, reason: string, text: string): DiffRow => ({
  rowId: `id-${text}`, source: "notes", change, step, reason, value: null, matchedRowId: null, file: "a.jsonl", fileRow: 0,
  before: change === "added" ? null : text, after: change === "removed" ? null : text,
});
const rows = [row("removed", "dedup near", "near duplicate", "Kiln"), row("added", "sources", "not among the rows before", "Clay"), row("removed", "quality", "too short", "Glaze"), row("changed", "pii redact", "email", "kiln again")];
const causes: DiffCause[] = [
  { change: "removed", step: "dedup near", reason: "near duplicate", rows: 40 }, { change: "removed", step: "quality", reason: "too short", rows: 7 },
  { change: "removed", step: "quality", reason: "too long", rows: 2 },
  { change: "added", step: "quality", reason: "too long", rows: 5 }, { change: "changed", step: "pii redact", reason: "email", rows: 3 },
];

describe("the rows of a comparison", () => {
  it("are filtered by change, step, reason and text together", () => {
    expect(filterRows(rows, { search: "" })).toEqual([0, 1, 2, 3]);
    expect(filterRows(rows, { change: "removed", search: "" })).toEqual([0, 2]);
    expect(filterRows(rows, { change: "removed", step: "quality", search: "" })).toEqual([2]);
    expect(filterRows(rows, { step: "quality", reason: "too long", search: "" })).toEqual([]);
    expect(filterRows(rows, { search: " KILN " })).toEqual([0, 3]);
    expect(filterRows(rows, { change: "changed", search: "clay" })).toEqual([]);
  });

  it("are counted by their causes, also those that were not read", () => {
    expect(countRows(causes, { search: "" })).toBe(57);
    expect(countRows(causes, { step: "quality", search: "not looked at" })).toBe(14);
    expect(countRows(causes, { change: "removed", step: "quality", reason: "too short", search: "" })).toBe(7);
  });

  it("say of a row that came why it was not there before", () => {
    expect(causes.map(reasonText)).toEqual(["near duplicate", "too short", "too long", "before: too long", "email"]);
    expect(reasonText({ change: "added", step: "sources", reason: "not among the rows before" })).toBe("not among the rows before");
  });

  it("are put down to the steps that are responsible", () => {
    expect(stepTotals(causes)).toEqual([
      { step: "dedup near", added: 0, removed: 40, changed: 0 }, { step: "quality", added: 5, removed: 9, changed: 0 }, { step: "pii redact", added: 0, removed: 0, changed: 3 },
    ]);
  });
});
