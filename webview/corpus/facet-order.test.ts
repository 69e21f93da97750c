import { describe, expect, it } from "vitest";
import type { Facet } from "../../src/protocol/corpus";
import { isIdentifier, orderFacets } from "./facet-order";

const categories = (column: string, counts: number[]): Facet => ({
  column, kind: "categories", distinct: counts.length, values: counts.map((all, index) => ({ value: `v${index}`, all, selected: all })),
});

describe("orderFacets", () => {
  it("puts columns that name their rows last", () => {
    const id = categories("id", Array<number>(50).fill(1));
    const language = categories("language", [40, 6, 4]);
    const histogram: Facet = { column: "words", kind: "histogram", min: 0, max: 1, bins: [], nulls: 0 };
    expect(orderFacets([id, language, histogram]).map((facet) => facet.column)).toEqual(["language", "words", "id"]);
  });
});

describe("isIdentifier", () => {
  it("is not every column of single values: a few of them can be ticked", () => {
    expect(isIdentifier(categories("split", [1, 1, 1]))).toBe(false);
    expect(isIdentifier(categories("id", Array<number>(9).fill(1)))).toBe(true);
    expect(isIdentifier(categories("author", [2, ...Array<number>(9).fill(1)]))).toBe(false);
  });
});
