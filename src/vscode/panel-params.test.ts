import { describe, expect, it } from "vitest";
import { checkedParams } from "./panel-params";

describe("what a panel sends", () => {
  it("reaches a handler as it was when it is what the call takes", () => {
    const params = { query: { clauses: [{ kind: "in", column: "topic", values: ["a", null] }] }, offset: 0, limit: 50 };
    expect(checkedParams("corpus", "page", params)).toEqual(params);
    expect(checkedParams("training", "start", null)).toBeNull();
    expect(checkedParams("tokens", "setRow", { row: { prompt: "p", completion: "c" } })).toEqual({ row: { prompt: "p", completion: "c" } });
  });

  it.each([
    ["corpus", "page", { query: { clauses: [{ kind: "range", column: "a", min: "0 OR true", max: null }] }, offset: 0, limit: 1 }],
    ["corpus", "detail", { row: -1 }],
    ["corpus", "detail", null],
    ["training", "openRunFile", { guard: "x:\n  evil" }],
    ["training", "setOverlays", { dirs: "/" }],
    ["mixer", "setShares", { shares: { a: "7%" }, last: true }],
    ["diff", "why", { index: 0, side: "other" }],
    ["mapping", "set", { as: "table", map: {} }],
    ["mapping", "set", { as: "text", map: { text: 5 } }],
    ["lineage", "open", { id: "" }],
    ["corpus", "build", { path: "/" }],
    ["corpus", "constructor", null],
    ["nobody", "start", null],
  ])("is refused: %s %s %j", (panel, method, params) => {
    expect(() => checkedParams(panel, method, params)).toThrow(expect.objectContaining({ problem: expect.objectContaining({ code: "bad_request", blame: "internal" }) as unknown }) as Error);
  });
});
