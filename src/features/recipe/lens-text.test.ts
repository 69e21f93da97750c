import { describe, expect, it } from "vitest";
import type { RecipeCounts, StepCount } from "../../protocol/corpus";
import { freshness, hasReceipts, mappingLens, reasonList, sourceLens, stepLens, totalLens } from "./lens-text";

const step = (rowsIn: number, out: number, changed = 0): StepCount => ({ index: 0, step: "dedup near", in: rowsIn, out, changed, reasons: [] });
const source = (rows: number): RecipeCounts["sources"][number] => ({ name: "texts", rows, badRows: 0, bad: [], tokens: 1_240_000 });

describe("counts above the steps", () => {
  it("say what came, what stayed, and the difference", () => {
    expect(stepLens(step(7473, 7101), "fresh")).toBe("in 7,473 · out 7,101 · −372");
    expect(stepLens(step(20, 20, 3), "fresh")).toBe("in 20 · out 20 · ±0 · 3 changed");
    expect(stepLens({ ...step(20, 20), weighted: 4 }, "fresh")).toBe("in 20 · out 20 · ±0 · 4 weighted");
  });

  it("turn while rows are counted", () => {
    expect(stepLens(step(2, 1), "counting")).toBe("$(sync~spin) in 2 · out 1 · −1");
  });

  it("know how far they belong to the text", () => {
    expect(freshness({ stale: true, counting: true })).toBe("counting");
    expect(freshness({ stale: true, counting: false })).toBe("before");
    expect(freshness({ stale: false, counting: false })).toBe("fresh");
  });

  it("offer rows only where there are some", () => {
    expect([step(2, 1), step(2, 2, 1), { ...step(2, 2), weighted: 1 }, step(2, 2)].map(hasReceipts)).toEqual([true, true, true, false]);
  });

  it("list the reasons", () => {
    expect(reasonList({ ...step(9, 4), reasons: [{ reason: "too short", rows: 4 }, { reason: "symbols", rows: 1 }] })).toBe("4  too short\n1  symbols");
    expect(reasonList(step(2, 2))).toBe("No row was dropped, changed or weighted by this step.");
  });

  it("sum up sources and the whole recipe", () => {
    expect(sourceLens(source(1))).toBe("1 row · 1.24 M tokens");
    expect(totalLens({ sources: [source(5000), source(2473)], steps: [step(7473, 7101), step(7101, 6902)], diagnostics: [] })).toBe("7,473 → 6,902 rows");
    expect(totalLens({ sources: [source(5)], steps: [], diagnostics: [] })).toBe("5 rows");
  });
});

describe("how a source is read", () => {
  const reading = { shape: "verifiable", columns: { prompt: "question", answer: "answer" }, reason: "it has both", alternatives: [], by: "columns" } as const;

  it("is marked where it is not sure", () => {
    expect(mappingLens({ ...reading, alternatives: [], confidence: "unsure" })).toEqual({ title: "$(question) verifiable · map columns", tooltip: "Read as verifiable (prompt: question, answer), which is not sure: it has both" });
    expect(mappingLens({ ...reading, alternatives: [], confidence: "sure" }).title).toBe("verifiable · map columns");
  });

  it("can be mapped before anything is known of it", () => expect(mappingLens(undefined).title).toBe("map columns"));
});
