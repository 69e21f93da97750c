import { describe, expect, it } from "vitest";
import type { ReceiptRow } from "../../src/protocol/corpus";
import { filterRows, reasonCounts } from "./filter";

const row = (reason: string, text: string, value: string | null = null): ReceiptRow => ({
  rowId: `id-${text}`, source: "texts", file: "data/texts.jsonl", fileRow: 0, step: "quality", reason, value, matchedRowId: null, text, matchedText: null,
});
const rows = [row("too short", "Kiln"), row("language", "Der Ofen", "de"), row("too short", "Clay")];

describe("receipts by reason and text", () => {
  it("counts reasons, most frequent first", () => {
    expect(reasonCounts(rows)).toEqual([["too short", 2], ["language", 1]]);
  });

  it("shows all, those of a reason, and those with a text", () => {
    expect(filterRows(rows, new Set(), "")).toEqual([0, 1, 2]);
    expect(filterRows(rows, new Set(["too short"]), "")).toEqual([0, 2]);
    expect(filterRows(rows, new Set(["too short"]), " CLAY ")).toEqual([2]);
    expect(filterRows(rows, new Set(), "de")).toEqual([1]);
    expect(filterRows(rows, new Set(["language"]), "clay")).toEqual([]);
    expect(filterRows([...rows, { ...row("near duplicate", "Glaze"), matchedRowId: "row-7" }], new Set(), "ROW-7")).toEqual([3]);
  });
});
