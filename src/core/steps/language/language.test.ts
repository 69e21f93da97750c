import { describe, expect, it } from "vitest";
import { StepBench } from "../../../../test/unit/data/support";

const bench = new StepBench();

describe("language", () => {
  it("names its reasons", async () => {
    bench.rows([{ text: "12345 67890" }, { text: "Der Hund läuft schnell durch den großen Wald, und niemand weiß, wohin er heute Abend gehen will." }, { text: "The dog runs quickly through the large forest, and nobody knows where it wants to go tonight." }]);
    const left = await bench.dropped("  - language: { keep: [en], min_confidence: 0.5 }\n");
    expect(left.map(({ fileRow, reason }) => [fileRow, reason])).toEqual([[0, "no language"], [1, "language de"]]);
  });

  it("drops rows of a kept language that are too uncertain, with how certain they are", async () => {
    bench.rows([{ text: "The dog runs quickly through the large forest, and nobody knows where it wants to go tonight." }, { text: "Taxi hotel" }]);
    const left = await bench.dropped("  - language: { keep: [en, pt], min_confidence: 0.9 }\n");
    expect(left.map(({ fileRow, reason }) => [fileRow, reason])).toEqual([[1, "uncertain language"]]);
    expect(Number(left[0]?.value)).toBeLessThan(0.9);
    expect(await bench.dropped("  - language: { keep: [en, pt], min_confidence: 0.3 }\n")).toEqual([]);
  });
});
