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

  it("c4 drops by its rules and removes lines from the texts that stay", async () => {
    const sentences = "The kiln is warm. The pots are dry. The glaze is thin. She waits. He sleeps.";
    bench.rows([{ text: `Home | About\n${sentences}[1]\nPlease enable javascript to go on.\n` }, { text: sentences }, { text: "One. Two. Too few lines." }, { text: `${sentences}\nA set { is here.` }]);
    const built = await bench.built("  - quality: { preset: c4 }\n");
    expect(built.rows.map((row) => row["text"])).toEqual([sentences, sentences]);
    expect(built.receipts.map(({ fileRow, effect, reason, value }) => [fileRow, effect, reason, value])).toEqual([
      [0, "changed", "lines removed", "2 lines"],
      [2, "dropped", "min_sentences", "3"],
      [3, "dropped", "max_curly_bracket_lines", "1"],
    ]);
    const kept = await bench.dropped("  - quality: { preset: c4, remove_lines: false, max_curly_bracket_lines: off }\n");
    expect(kept.map(({ fileRow, effect }) => [fileRow, effect])).toEqual([[2, "dropped"]]);
    expect((await bench.problem("  - quality: { preset: gopher, remove_lines: true }\n")).message).toMatch(/is for the preset c4/);
    // Of prompts and completions no line is a menu.
    bench.rows([{ prompt: `Home\n${sentences}`, completion: "Menu" }]);
    const pair = await bench.built("  - quality: { preset: c4 }\n");
    expect([pair.rows[0]?.["prompt"], pair.rows[0]?.["completion"], pair.receipts]).toEqual([`Home\n${sentences}`, "Menu", []]);
  });
});
