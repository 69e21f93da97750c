import { describe, expect, it } from "vitest";
import { StepBench } from "../../../../test/unit/data/support";

const bench = new StepBench();
const texts = [{ text: "one" }, { text: "one two three" }, { text: "one two three four five six" }];

describe("length", () => {
  it.each([
    ["{ unit: words, min: 2, max: 5 }", [[0, "too short", "1 words"], [2, "too long", "6 words"]]],
    ["{ unit: chars, max: 13 }", [[2, "too long", "27 chars"]]],
    ["{ unit: chars, min: 3, max: 27 }", []],
    ["{ max: 3 }", [[1, "too long", "4 tokens (estimated)"], [2, "too long", "8 tokens (estimated)"]]],
  ])("%s keeps what is between", async (config, expected) => {
    bench.rows(texts);
    expect((await bench.dropped(`  - length: ${config}\n`)).map(({ fileRow, reason, value }) => [fileRow, reason, value])).toEqual(expected);
  });

  it("counts the tokens of the mix's tokenizer, and those of another one when it is another", async () => {
    bench.rows(texts);
    const tokenizer = (tokens: string[]) => JSON.stringify({ version: "1.0", truncation: null, padding: null, added_tokens: [], normalizer: null, pre_tokenizer: { type: "Whitespace" }, post_processor: null, decoder: null, model: { type: "WordLevel", vocab: Object.fromEntries(tokens.map((token, i) => [token, i])), unk_token: "?" } });
    const mix = "mix: { tokenizer: tokenizer.json }\n";
    bench.workspace.write("tokenizer.json", tokenizer(["?", "one", "two"]));
    const left = await bench.dropped(`  - length: { min: 2, max: 3 }\n${mix}`);
    expect(left.map(({ fileRow, reason, value }) => [fileRow, reason, value])).toEqual([[0, "too short", "1 tokens"], [2, "too long", "6 tokens"]]);
    // The same path, another tokenizer: pieces of one letter.
    bench.workspace.write("tokenizer.json", tokenizer(["?"]).replace('{"type":"Whitespace"}', '{"type":"Split","pattern":{"Regex":"."},"behavior":"Isolated","invert":false}'));
    expect((await bench.dropped(`  - length: { min: 2, max: 3 }\n${mix}`)).map(({ fileRow, value }) => [fileRow, value])).toEqual([[1, "13 tokens"], [2, "27 tokens"]]);
  });

  it("wants a bound, and a range that a text can lie in", async () => {
    bench.rows(texts);
    expect((await bench.problem("  - length: { unit: words }\n")).message).toMatch(/a min, a max, or both/);
    expect((await bench.problem("  - length: { min: 5, max: 2 }\n")).message).toMatch(/min of 5 above its max of 2/);
  });
});
