import { describe, expect, it } from "vitest";
import { StepBench } from "../../../../test/unit/data/support";

const bench = new StepBench();

describe("dedup", () => {
  it("exact keeps the first, or the longest when normalised texts are equal", async () => {
    bench.rows([{ text: "Same words here" }, { text: "same  words, here!!" }, { text: "Same words here" }]);
    expect((await bench.dropped("  - dedup: { exact: exact }\n")).map((receipt) => receipt.fileRow)).toEqual([2]);
    expect((await bench.dropped("  - dedup: { exact: normalized }\n")).map((receipt) => receipt.fileRow)).toEqual([1, 2]);
    expect((await bench.dropped("  - dedup: { exact: normalized, keep: longest }\n")).map((receipt) => receipt.fileRow)).toEqual([0, 2]);
  });

  it("near finds a large group of copies, each differing a little, and names the row that stays", async () => {
    const base = Array.from({ length: 80 }, (_, i) => `word${i}`);
    bench.rows([...Array.from({ length: 150 }, (_, i) => ({ text: [...base, `tail${i}`].join(" ") })), { text: "something else entirely that shares nothing with the others at all" }]);
    const left = await bench.dropped("  - dedup: { near: { threshold: 0.8 }, keep: first }\n");
    expect(left.length).toBe(149);
    expect(new Set(left.map((receipt) => receipt.matchedRowId)).size).toBe(1);
    expect(left[0]?.matchedText).toContain("word0 word1");
    expect(Number(left[0]?.value)).toBeCloseTo(76 / 78, 3);
  });

  it("near takes rows as one group that are alike only through a third", async () => {
    const words = Array.from({ length: 60 }, (_, i) => `w${i}`);
    const changed = (from: number) => words.map((word, i) => (i >= from && i < from + 4 ? `${word}x` : word)).join(" ");
    bench.rows([{ text: changed(0) }, { text: changed(56) }, { text: words.join(" ") }]);
    expect((await bench.dropped("  - dedup: { near: { threshold: 0.8, permutations: 256 }, keep: first }\n")).map((receipt) => receipt.fileRow)).toEqual([1, 2]);
  });

  it("near finds, in a group too large to compare all with all, the rows that are like its first and not like each other", async () => {
    const words = Array.from({ length: 400 }, (_, i) => `w${i}`);
    const texts = Array.from({ length: 130 }, (_, i) => words.map((word, j) => (i > 0 && j === 3 * i ? `${word}x` : word)).join(" "));
    bench.rows(texts.map((text) => ({ text })));
    const left = await bench.dropped("  - dedup: { near: { threshold: 0.96, permutations: 256 }, keep: first }\n");
    expect(left.length).toBe(129);
  });

  it("near agrees with the exact Jaccard similarity of all pairs", async () => {
    const words = (seed: number) => Array.from({ length: 60 }, (_, j) => `v${seed}n${j}`);
    const changed = (seed: number, changes: number) => words(seed).map((word, j) => (j % 60 < changes ? `${word}c` : word)).join(" ");
    bench.rows(Array.from({ length: 12 }, (_, i) => [{ text: changed(i, 0) }, { text: changed(i, i) }]).flat());
    const grams = (text: string) => new Set(text.split(" ").flatMap((_, i, all) => (i + 5 <= all.length ? [all.slice(i, i + 5).join(" ")] : [])));
    const jaccard = (a: string, b: string) => {
      const [x, y] = [grams(a), grams(b)];
      const both = [...x].filter((gram) => y.has(gram)).length;
      return both / (x.size + y.size - both);
    };
    const expected = Array.from({ length: 12 }, (_, i) => i).filter((i) => jaccard(changed(i, 0), changed(i, i)) >= 0.8).map((i) => 2 * i + 1);
    const left = await bench.dropped("  - dedup: { near: { threshold: 0.8, permutations: 256 }, keep: first }\n");
    expect(left.map((receipt) => receipt.fileRow)).toEqual(expected);
    expect(expected.length).toBeGreaterThan(2);
    expect(expected.length).toBeLessThan(12);
  });

  it("spans cuts passages that stand earlier, keeps their first place, and drops a text that is one as a whole", async () => {
    const words = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name}${i}`).join(" ");
    bench.rows([{ text: `${words("a", 10)}, ${words("p", 20)}. End.` }, { text: `Begin: ${words("p", 20)}! ${words("b", 10)}` }, { text: words("p", 20) }, { text: `${words("q", 12)} and ${words("q", 12)}` }, { text: words("p", 9) }, { text: "same ".repeat(30).trim() }]);
    const { rows, receipts } = await bench.built("  - dedup: { spans: { min_tokens: 10 } }\n");
    expect(receipts.map(({ fileRow, effect, reason, value }) => [fileRow, effect, reason, value])).toEqual([
      [1, "changed", "repeated passage", "20 words"],
      [2, "dropped", "repeated passage", "20 words"],
      [3, "changed", "repeated passage", "12 words"],
      [5, "changed", "repeated passage", "20 words"],
    ]);
    expect(receipts.map((receipt) => receipt.matchedRowId === rows.find((row) => row["_file_row"] === 0)?.["_row_id"])).toEqual([true, true, false, false]);
    expect(receipts[2]?.matchedRowId).toBeNull();
    const text = (row: number) => String(rows.find((candidate) => candidate["_file_row"] === row)?.["text"]);
    expect(text(0)).toBe(`${words("a", 10)}, ${words("p", 20)}. End.`);
    expect(text(1)).toMatch(/^Begin:\W*b0 .*b9$/);
    expect(text(3)).toMatch(/^q0 .*q11 and\W*$/);
    expect(text(4)).toBe(words("p", 9));
    // What overlaps its first place loses only what is behind that.
    expect(text(5).trim().split(/\s+/).length).toBe(10);
  });

  it("gives each of a group's rows its part of one, exact or near, instead of dropping", async () => {
    bench.rows([{ text: "Same words here" }, { text: "same  words, here!!" }, { text: "other" }, { text: "Same words here" }, { text: "pair" }, { text: "pair" }]);
    const weights = async (config: string) => (await bench.dropped(`  - dedup: ${config}\n`)).map(({ fileRow, effect, reason, value, matchedText }) => [fileRow, effect, reason, value, matchedText]);
    const third = String(1 / 3);
    expect(await weights("{ exact: normalized, action: weight }")).toEqual([
      [0, "weighted", "exact duplicate", third, null],
      [1, "weighted", "exact duplicate", third, "Same words here"],
      [3, "weighted", "exact duplicate", third, "Same words here"],
      [4, "weighted", "exact duplicate", "0.5", null],
      [5, "weighted", "exact duplicate", "0.5", "pair"],
    ]);
    const base = Array.from({ length: 80 }, (_, i) => `word${i}`);
    bench.rows([...Array.from({ length: 8 }, (_, i) => ({ text: [...base, `tail${i}`].join(" ") })), { text: "something else entirely that shares nothing with the others" }]);
    const near = await weights("{ near: {}, action: weight }");
    expect(near.map(([row, effect, reason, value]) => [row, effect, reason, value])).toEqual(Array.from({ length: 8 }, (_, i) => [i, "weighted", "near duplicate", "0.125"]));
    expect(near.filter(([, , , , matched]) => matched === null)).toHaveLength(1);
    expect((await bench.problem("  - dedup: { near: {}, action: weight, keep: first }\n")).message).toMatch(/every row stays/);
    expect((await bench.problem("  - dedup: { spans: {}, action: weight }\n")).message).toMatch(/the first place stays/);
  });

  it("spans leaves questions and answers alone, and wants no keep", async () => {
    const long = Array.from({ length: 30 }, (_, i) => `w${i}`).join(" ");
    bench.rows([{ prompt: long, completion: "a" }, { prompt: long, completion: "b" }]);
    expect(await bench.dropped("  - dedup: { spans: { min_tokens: 10 } }\n")).toEqual([]);
    expect((await bench.problem("  - dedup: { spans: {}, keep: first }\n")).message).toMatch(/the first place stays/);
    expect((await bench.problem("  - dedup: { spans: {}, exact: exact }\n")).message).toMatch(/a step for each/);
  });
});
