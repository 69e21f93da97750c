import { describe, expect, it } from "vitest";
import { StepBench } from "../../../../test/unit/data/support";

const bench = new StepBench();
const plain = "The potter opens the kiln at dawn, takes out every bowl, and writes down which of the new glazes ran, which of them cracked and which stayed clear.";

describe("repetition", () => {
  it("drops what repeats itself, by the first rule that fails, and nothing for its length", async () => {
    bench.rows([{ text: plain }, { text: "Same line here.\n".repeat(10) + plain }, { text: `${plain} ${"over and over again we say it ".repeat(6)}` }]);
    const left = await bench.dropped("  - repetition: {}\n");
    expect(left.map(({ fileRow, reason }) => [fileRow, reason])).toEqual([[1, "max_dup_line_frac"], [2, expect.stringMatching(/gram_char_frac$/) as string]]);
    expect(Number(left[0]?.value)).toBeGreaterThan(0.3);
    const built = await bench.built("  - repetition: {}\n");
    expect(built.rows.map((row) => row["text"])).toEqual([plain]);
  });

  it("takes thresholds of its own, and refuses those of other presets", async () => {
    bench.rows([{ text: "Same line here.\n".repeat(10) + plain }]);
    const rules = (await bench.dropped("  - repetition: {}\n")).map(({ reason }) => reason);
    expect(rules).toEqual(["max_dup_line_frac"]);
    expect((await bench.dropped("  - repetition: { max_dup_line_frac: off }\n")).map(({ reason }) => reason)).toEqual(["max_dup_line_char_frac"]);
    expect((await bench.problem("  - repetition: { min_words: 3 }\n")).message).toMatch(/min_words/);
  });
});
