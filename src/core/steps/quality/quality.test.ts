import { describe, expect, it } from "vitest";
import { StepBench } from "../../../../test/unit/data/support";

const bench = new StepBench();

describe("quality", () => {
  it("names the first rule that fails and its value, and a rule can be turned off", async () => {
    bench.rows([{ text: "12345 67890" }, { text: "Der Hund läuft schnell durch den großen Wald, und niemand weiß, wohin er heute Abend gehen will." }, { text: "The dog runs quickly through the large forest, and nobody knows where it wants to go tonight." }]);
    const quality = await bench.dropped("  - quality: { preset: gopher }\n");
    expect(quality.map(({ reason, value }) => [reason, value])).toEqual([["min_words", "2.0"], ["min_words", "17.0"], ["min_words", "17.0"]].map(([reason]) => [reason, expect.stringMatching(/^\d+(\.0)?$/) as string]));
    const relaxed = await bench.dropped("  - quality: { preset: gopher, min_words: off }\n");
    expect(relaxed.map((receipt) => receipt.reason)).not.toContain("min_words");
    expect(relaxed.length).toBeGreaterThan(0);
  });
});
