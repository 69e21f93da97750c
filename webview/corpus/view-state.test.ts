import { describe, expect, it } from "vitest";
import { chips, initialView, isFiltered, keepKnownColumns, plainNumber, reduceView, toQuery } from "./view-state";
import type { ViewAction, ViewState } from "./view-state";

const after = (...actions: ViewAction[]): ViewState => actions.reduce(reduceView, initialView);

describe("reduceView", () => {
  it("turns brushes, ticks and search into one query", () => {
    const state = after(
      { kind: "brush", column: "words", range: { min: 20, max: 410 } },
      { kind: "toggle", column: "language", value: "en" },
      { kind: "toggle", column: "language", value: null },
      { kind: "search", search: { text: "kiln", mode: "regex", caseSensitive: true } },
      { kind: "sort", column: "words" },
    );
    expect(toQuery(state)).toEqual({
      clauses: [
        { kind: "range", column: "words", min: 20, max: 410 },
        { kind: "in", column: "language", values: ["en", null] },
        { kind: "search", text: "kiln", mode: "regex", caseSensitive: true },
      ],
      sort: { column: "words", descending: false },
    });
  });

  it("takes a tick away at the second click, and an open brush away altogether", () => {
    const state = after(
      { kind: "toggle", column: "language", value: "en" },
      { kind: "toggle", column: "language", value: "en" },
      { kind: "brush", column: "words", range: { min: 1, max: 2 } },
      { kind: "brush", column: "words", range: { min: null, max: null } },
    );
    expect(state).toEqual(initialView);
    expect(isFiltered(state)).toBe(false);
  });

  it("sorts up, down and not at all", () => {
    const up = after({ kind: "sort", column: "a" });
    const down = reduceView(up, { kind: "sort", column: "a" });
    expect(up.sort).toEqual({ column: "a", descending: false });
    expect(down.sort).toEqual({ column: "a", descending: true });
    expect(reduceView(down, { kind: "sort", column: "a" }).sort).toBeUndefined();
    expect(reduceView(down, { kind: "sort", column: "b" }).sort).toEqual({ column: "b", descending: false });
  });

  it("clears what hides rows and keeps the order and the search mode", () => {
    const state = after(
      { kind: "search", search: { text: "words > 3", mode: "sql", caseSensitive: false } },
      { kind: "brush", column: "words", range: { min: 1, max: 2 } },
      { kind: "toggle", column: "language", value: "en" },
      { kind: "sort", column: "words" },
      { kind: "clear" },
    );
    expect(isFiltered(state)).toBe(false);
    expect(state.sort).toEqual({ column: "words", descending: false });
    expect(state.search.mode).toBe("sql");
  });

  it("sends SQL as a predicate and blank text as nothing", () => {
    expect(toQuery(after({ kind: "search", search: { text: " words > 3 ", mode: "sql", caseSensitive: false } })).clauses).toEqual([{ kind: "sql", predicate: "words > 3" }]);
    expect(toQuery(after({ kind: "search", search: { text: " kiln", mode: "literal", caseSensitive: false } })).clauses).toEqual([{ kind: "search", text: " kiln", mode: "literal", caseSensitive: false }]);
    expect(toQuery(after({ kind: "search", search: { text: "   ", mode: "literal", caseSensitive: false } })).clauses).toEqual([]);
  });
});

describe("keepKnownColumns", () => {
  it("drops conditions on columns that the file no longer has", () => {
    const state = after({ kind: "toggle", column: "gone", value: "x" }, { kind: "toggle", column: "kept", value: "y" }, { kind: "brush", column: "lost", range: { min: 1, max: 2 } }, { kind: "sort", column: "gone" });
    const kept = keepKnownColumns(state, [{ name: "kept", type: "VARCHAR", kind: "category", derived: false }]);
    expect([Object.keys(kept.values), kept.ranges]).toEqual([["kept"], {}]);
    expect(kept.sort).toBeUndefined();
  });
});

describe("chips", () => {
  it("say each condition in words, and their action removes it", () => {
    const state = after(
      { kind: "brush", column: "words", range: { min: 20, max: null } },
      { kind: "brush", column: "chars", range: { min: null, max: 400 } },
      { kind: "brush", column: "score", range: { min: 0.25, max: 0.5 } },
      { kind: "toggle", column: "language", value: null },
      { kind: "search", search: { text: "kiln", mode: "literal", caseSensitive: false } },
    );
    const list = chips(state);
    expect(list.map((chip) => chip.label)).toEqual(["words ≥ 20", "chars ≤ 400", "score 0.25 – 0.5", "language: (none)", "“kiln”"]);
    expect(isFiltered(list.reduce((view, chip) => reduceView(view, chip.remove), state))).toBe(false);
  });
});

describe("plainNumber", () => {
  it("groups whole numbers and trims fractions", () => {
    expect(plainNumber(12345)).toBe("12,345");
    expect(plainNumber(0.12345)).toBe("0.1235");
    expect(plainNumber(-2.5)).toBe("−2.5");
    expect(plainNumber(0.00001234)).toBe("0.000012");
    expect(plainNumber(null)).toBe("");
  });
});
