import { describe, expect, it } from "vitest";
import type { ReceiptRow, StepCount } from "../../protocol/corpus";
import { whyText } from "./why-text";

const step = (index: number, name: string, rowsIn: number, out: number): StepCount => ({ index, step: name, in: rowsIn, out, changed: 0, reasons: [] });
const steps = [step(0, "pii", 10, 10), step(1, "dedup near", 10, 8), step(2, "language", 8, 7)];
const receipt = (over: Partial<ReceiptRow>): ReceiptRow => ({
  rowId: "aa11", source: "texts", file: "data/texts.jsonl", fileRow: 4, step: "pii", effect: "changed", reason: "email", value: "a@b.de", matchedRowId: null, text: "Write to a@b.de.", matchedText: null, ...over,
});

describe("a row's story", () => {
  it("follows it to the step where it left, and no further", () => {
    const text = whyText({
      rowId: "aa11", dataset: "corpus@12", steps, matchedBy: [],
      receipts: [receipt({}), receipt({ step: "dedup near", effect: "dropped", reason: "near duplicate", value: "0.91", matchedRowId: "bb22", matchedText: "Write to us." })],
    });
    expect(text).toContain("It **left** corpus@12 at step 2, `dedup near`: near duplicate.");
    expect(text).toContain("1. `pii` (±0 rows): **changed**, email — `a@b.de`");
    expect(text).toContain("2. `dedup near` (−2 rows): **dropped**, near duplicate — `0.91`");
    expect(text).toContain("It matched row `bb22`:");
    expect(text).not.toContain("language");
  });

  it("tells of a row that stayed, and of those that left because of it", () => {
    const text = whyText({
      rowId: "bb22", dataset: "corpus@12", steps, receipts: [], kept: { source: "texts", values: { text: "Write to us." } },
      matchedBy: [receipt({ step: "dedup near", effect: "dropped", reason: "near duplicate", value: "0.91", matchedRowId: "bb22" })],
    });
    expect(text).toContain("It is **in the dataset** corpus@12.");
    expect(text).toContain("3. `language` (−1 rows): passed");
    expect(text).toContain("## Rows that left because of it");
    expect(text).toContain("> Write to us.");
  });

  it("ends at the mix when that did not sample it", () => {
    const text = whyText({ rowId: "aa11", dataset: "corpus@12", steps, matchedBy: [], receipts: [receipt({}), receipt({ step: "mix", effect: "dropped", reason: "not sampled" })] });
    expect(text).toContain("It **left** corpus@12 at the `mix`: not sampled.");
    expect(text).toContain("3. `language` (−1 rows): passed\n4. `mix`: **dropped**, not sampled");
  });

  it("says so when nobody knows the row", () => {
    expect(whyText({ rowId: "zz", dataset: "corpus@12", steps, receipts: [], matchedBy: [] })).toContain("has no such row");
  });
});
