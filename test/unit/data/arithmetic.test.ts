import { describe, expect, it } from "vitest";
import { detectShape, niceBins, niceStep, shapeColumns } from "../../../src/core/dataset";
import { computeMix, type MixGroup } from "../../../src/core/mix";
import { budgetLimit, syntheticWords } from "../../../src/core/mix/words";
import { chinchilla } from "../../../src/core/model-size";

const groups = [
  { group: "gsm8k", rows: 100, tokens: 1000 },
  { group: "wiki", rows: 50, tokens: 4000 },
  { group: "web", rows: 500, tokens: 5000 },
];

describe("computeMix", () => {
  it("leaves everything as it is without a wish", () => {
    const { rows, budgetTokens } = computeMix(groups, { shares: {}, maxEpochs: 4 });
    expect(rows.map((row) => row.epochs)).toEqual([1, 1, 1]);
    expect(rows.map((row) => row.shareNow)).toEqual([0.1, 0.4, 0.5]);
    expect(budgetTokens).toBe(10_000);
  });

  it("lets groups that are not named share the rest in proportion to their tokens", () => {
    const { rows } = computeMix(groups, { shares: { gsm8k: 0.2 }, budget: 9000, maxEpochs: 4 });
    expect(rows.map((row) => row.shareWanted)).toEqual([0.2, (0.8 * 4) / 9, (0.8 * 5) / 9]);
    expect(rows[0]?.epochs).toBeCloseTo(1.8);
    expect(rows.reduce((sum, row) => sum + row.epochs * row.tokens, 0)).toBeCloseTo(9000);
  });

  it("keeps the shares and shrinks the budget where a group would be seen too often", () => {
    const result = computeMix(groups, { shares: { gsm8k: 0.8, wiki: 0.2, web: 0 }, budget: 1e6, maxEpochs: 4 });
    expect(result.limitedBy).toBe("gsm8k");
    expect(result.budgetTokens).toBe(5000);
    expect(result.wantedTokens).toBe(1e6);
    expect(result.rows.map((row) => row.epochs)).toEqual([4, 0.25, 0]);
  });

  it("scales shares that do not fill 100 %, and ignores groups with no tokens", () => {
    const result = computeMix([...groups, { group: "empty", rows: 0, tokens: 0 }], { shares: { gsm8k: 0.2, wiki: 0.2, web: 0, empty: 0.6 }, budget: 1000, maxEpochs: 4 });
    expect(result.rows.map((row) => row.shareWanted)).toEqual([0.5, 0.5, 0, 0]);
    expect(result.rows[3]?.epochs).toBe(0);
    expect(computeMix([], { shares: {}, maxEpochs: 4 })).toMatchObject({ rows: [], budgetTokens: 0 });
  });
});

describe("computeMix with weights", () => {
  const part = (tokens: number, weighted = tokens, heaviest = weighted / tokens) => ({ tokens, weighted, heaviest: tokens > 0 ? heaviest : 0 });
  const group = (name: string, plain: [number, number?, number?], synthetic: [number, number?, number?] = [0, 0]): MixGroup => ({ group: name, rows: 10, tokens: plain[0] + synthetic[0], parts: { plain: part(...plain), synthetic: part(...synthetic) } });

  it("sees a row of weight 1 once without a budget, and others by their weight", () => {
    const result = computeMix([group("a", [1000, 1500, 2]), group("b", [1000])], { shares: {}, maxEpochs: 4 });
    expect(result).toMatchObject({ budgetTokens: 2500, wantedTokens: 2500, limitedBy: undefined });
    expect(result.scales).toEqual([{ group: "a", plain: 1, synthetic: 1 }, { group: "b", plain: 1, synthetic: 1 }]);
    expect(result.rows.map((row) => [row.shareWanted, row.epochs, row.most])).toEqual([[0.6, 1.5, 2], [0.4, 1, undefined]]);
  });

  it("keeps a group's tokens, and bounds the row that is seen most", () => {
    const groups = [group("a", [1000, 1500, 2]), group("b", [1000])];
    const held = computeMix(groups, { shares: { a: 0.5 }, budget: 2000, maxEpochs: 4 });
    expect(held.rows[0]?.epochs).toBe(1);
    expect(held.rows[0]?.most).toBeCloseTo(4 / 3, 12);
    const cut = computeMix(groups, { shares: { a: 0.5 }, budget: 9000, maxEpochs: 4 });
    // Rows of weight 2 are seen 4 times where the group has 3,000 tokens.
    expect(cut).toMatchObject({ budgetTokens: 6000, limitedBy: "a" });
    expect(cut.rows[0]?.most).toBeCloseTo(4, 12);
    expect(budgetLimit(cut, 4)).toEqual({ group: "a", needed: expect.closeTo(6, 9), text: "has rows that by their weight would be seen 6.0 times for 9.00 k tokens. At most 4 epochs are allowed, so the mix has 6.00 k." });
    expect(budgetLimit(held, 4)).toBeUndefined();
  });

  it("keeps synthetic rows at their limit, over all groups by one factor", () => {
    const groups = [group("a", [600], [400]), group("b", [500], [500]), group("c", [1000])];
    for (const shares of [{}, { a: 0.5, b: 0.3 }] as Record<string, number>[]) {
      const result = computeMix(groups, { shares, budget: 3000, maxEpochs: 9, synthetic: 0.1 });
      const tokens = groups.map(({ parts }, i) => [parts!.plain.weighted * result.scales[i]!.plain, parts!.synthetic.weighted * result.scales[i]!.synthetic]);
      const sum = (list: number[]) => list.reduce((all, one) => all + one, 0);
      expect(sum(tokens.flat())).toBeCloseTo(3000, 6);
      expect(sum(tokens.map(([, made]) => made!)) / 3000).toBeCloseTo(0.1, 9);
      expect(result.synthetic).toMatchObject({ limit: 0.1, now: 0.3, mixed: expect.closeTo(0.1, 9), limited: true, cut: [], unmet: false });
      for (const [name, share] of Object.entries(shares)) expect(result.rows.find((row) => row.group === name)?.shareWanted).toBeCloseTo(share, 9);
      const [a, b] = result.scales;
      expect(a!.synthetic / a!.plain).toBeCloseTo(b!.synthetic / b!.plain, 9);
    }
  });

  it("cuts the shares of groups that are synthetic alone, only where nothing else would do", () => {
    const groups = [group("made", [0, 0], [500]), group("mixed", [300], [200]), group("real", [1000])];
    const free = computeMix(groups, { shares: {}, maxEpochs: 9, synthetic: 0.2 });
    expect(free.synthetic).toMatchObject({ mixed: expect.closeTo(0.2, 6), cut: [], limited: true });
    expect(free.rows[0]?.shareWanted).toBeGreaterThan(0);
    const named = computeMix(groups, { shares: { made: 0.6, mixed: 0.2, real: 0.2 }, maxEpochs: 9, synthetic: 0.2 });
    expect(named.synthetic).toMatchObject({ mixed: expect.closeTo(0.2, 9), cut: ["made"] });
    expect(named.rows.map((row) => row.shareWanted)).toEqual([expect.closeTo(0.2, 6), expect.closeTo(0.4, 6), expect.closeTo(0.4, 6)]);
    expect(named.scales[1]).toMatchObject({ synthetic: 0 });
    const all = computeMix([groups[0]!], { shares: {}, maxEpochs: 9, synthetic: 0.2 });
    expect(all.synthetic).toMatchObject({ mixed: 1, unmet: true });
    expect([free, named, all].map((result) => syntheticWords(result.synthetic!))).toEqual([
      "Synthetic rows have 35 % of the tokens now and 20 % in the mix (limit 20 %): they are seen less often than by their weights alone.",
      "Synthetic rows have 35 % of the tokens now and 20 % in the mix (limit 20 %): made has nothing else, and less than the recipe asks for.",
      "Every row is synthetic: no other can take their place, and the limit of 20 % is not kept.",
    ]);
  });

  it("keeps a limit of 0 %, which leaves no synthetic row", () => {
    const result = computeMix([group("a", [600], [400])], { shares: {}, maxEpochs: 4, synthetic: 0 });
    expect(result.scales).toEqual([{ group: "a", plain: 1, synthetic: 0 }]);
    expect(result.budgetTokens).toBe(600);
  });
});

describe("the Chinchilla meter", () => {
  it("holds the tokens that a run sees against 20 a parameter (Hoffmann et al. 2022, table 3: 70 B parameters, 1.4 T tokens)", () => {
    expect(chinchilla(1.4e12, 70e9)).toEqual({ ratio: 20, part: 1 });
    expect(chinchilla(10e6, 1e6)).toEqual({ ratio: 10, part: 0.5 });
    expect(chinchilla(10e6, 1e6, 3)).toEqual({ ratio: 30, part: 1.5 });
  });
});

describe("bins", () => {
  it("have round widths", () => {
    expect([0.03, 0.7, 1, 3, 42, 900].map(niceStep)).toEqual([0.05, 1, 1, 5, 50, 1000]);
    expect(niceBins(3, 97, 95, true)).toEqual({ start: 0, width: 5, count: 20, end: 100 });
    expect(niceBins(7, 7, 7, true)).toMatchObject({ start: 7, width: 1, count: 1 });
  });

  it("put the few values far above the others into the last one", () => {
    const bins = niceBins(0, 100_000, 900, true);
    expect(bins.width).toBe(50);
    expect(bins.count).toBeLessThan(30);
    expect(bins.end).toBe(100_000);
  });

  it("cover the least and the greatest value", () => {
    for (const [min, max] of [[0, 1], [-5, 5], [0.001, 0.0017], [1e6, 1e6 + 3], [-1000, -900]] as const) {
      const bins = niceBins(min, max, max, false);
      expect(bins.start).toBeLessThanOrEqual(min);
      expect(bins.start + bins.count * bins.width).toBeGreaterThanOrEqual(max);
    }
  });
});

describe("shapes", () => {
  it.each([[["text", "id"], "text"], [["question", "answer"], "prompt/completion"], [["instruction", "input", "output"], "prompt/completion"], [["messages"], "chat"], [["conversations", "id"], "chat"], [["prompt", "chosen", "rejected"], "preference"], [["a", "b"], "table"]])("%j is %s", (columns, shape) => {
    expect(detectShape(columns)).toBe(shape);
  });
  it("follow the recipe's map before their own names", () => {
    expect(shapeColumns("prompt/completion", ["prompt", "q", "completion"], { prompt: "q" })).toEqual({ columns: { shape: "prompt/completion", prompt: "q", completion: "completion", input: undefined } });
    expect(shapeColumns("text", ["body"], {})).toEqual({ missing: "text" });
  });
});
