import { describe, expect, it } from "vitest";
import { detectShape, niceBins, niceStep, shapeColumns } from "../../../src/core/dataset";
import { computeMix } from "../../../src/core/mix";

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
