import { describe, expect, it } from "vitest";
import type { Column } from "../../src/protocol/corpus";
import { cellText, columnWidths, splitMatches } from "./columns";
import { conversation } from "./conversation";

const column = (name: string, kind: Column["kind"], derived = false): Column => ({ name, type: "VARCHAR", kind, derived });

describe("columnWidths", () => {
  it("shares the room that is left among the texts of the file", () => {
    const widths = columnWidths([column("prompt", "text"), column("completion", "text"), column("words", "number", true)], {}, 1000);
    expect(widths[0]).toBe(widths[1]);
    expect(widths.reduce((sum, width) => sum + width, 0)).toBeGreaterThan(995);
    expect(widths.reduce((sum, width) => sum + width, 0)).toBeLessThanOrEqual(1000);
  });

  it("keeps what a person set, and never less than can be grabbed", () => {
    expect(columnWidths([column("a", "text"), column("b", "text")], { a: 333 }, 1000)[0]).toBe(333);
    expect(columnWidths([column("a", "text")], { a: 3 }, 1000)[0]).toBe(48);
  });
});

describe("cellText", () => {
  it("puts a text on one line", () => expect(cellText("a\n\n  b\tc", "text")).toBe("a b c"));
  it("groups numbers", () => expect(cellText(12345, "number")).toBe("12,345"));
  it("cuts fractions to what a column can hold", () => expect(cellText(0.123456, "number")).toBe("0.1235"));
  it("leaves years in category columns alone", () => expect(cellText(2024, "category")).toBe("2024"));
});

describe("splitMatches", () => {
  it("puts matches at odd places", () => {
    expect(splitMatches("Kiln and kiln", "kiln", false)).toEqual(["", "Kiln", " and ", "kiln", ""]);
    expect(splitMatches("Kiln and kiln", "kiln", true)).toEqual(["Kiln and ", "kiln", ""]);
  });
  it("marks nothing where lower-casing moves the letters", () => expect(splitMatches("İstanbul", "s", false)).toEqual(["İstanbul"]));
});

describe("conversation", () => {
  it("reads both forms of a chat", () => {
    expect(conversation('[{"role":"user","content":"Hi"}]')).toEqual([{ role: "user", content: "Hi", calls: [] }]);
    expect(conversation('[{"from":"human","value":"Hi"},{"from":"gpt","value":"Yes"}]')).toEqual([{ role: "user", content: "Hi", calls: [] }, { role: "assistant", content: "Yes", calls: [] }]);
  });
  it("keeps a turn that only calls a tool", () => {
    const turn = { role: "assistant", content: null, tool_calls: [{ function: { name: "heat", arguments: { kiln: "big" } } }] };
    expect(conversation(JSON.stringify([turn]))).toEqual([{ role: "assistant", content: "", calls: ['heat({"kiln":"big"})'] }]);
  });
  it("leaves other values alone", () => {
    expect(conversation("[1, 2]")).toBeUndefined();
    expect(conversation("[not json")).toBeUndefined();
    expect(conversation(null)).toBeUndefined();
  });
});
