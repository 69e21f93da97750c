import { describe, expect, it } from "vitest";
import { charactersPerToken, countTokens, describeToken, pieces } from "./token-text";

const token = (id: number, text: string, trained = false, special = false) => ({ id, text, trained, special });

describe("tokens as chips", () => {
  it("makes white space and control characters visible", () => {
    expect(pieces(" kiln")).toEqual([{ text: "·", symbol: true, breaks: false }, { text: "kiln", symbol: false }]);
    expect(pieces("a\nb").map((piece) => piece.text)).toEqual(["a", "⏎", "b"]);
    expect(pieces("a\nb")[1]?.breaks).toBe(true);
    expect(pieces("\u0001")[0]?.text).toBe("\\x01");
    expect(pieces("")).toEqual([{ text: "∅", symbol: true }]);
    expect(pieces("👩‍🔬x")).toEqual([{ text: "👩‍🔬x", symbol: false }]);
  });

  it("counts only what the context leaves", () => {
    const tokens = [token(1, "<s>", false, true), token(2, "a"), token(3, "b", true), token(4, "c", true)];
    expect(countTokens(tokens, 3)).toEqual({ all: 3, trained: 1, masked: 2, special: 1, cut: 1 });
    expect(countTokens(tokens, 10)).toEqual({ all: 4, trained: 2, masked: 2, special: 1, cut: 0 });
  });

  it("spreads all characters over all tokens, those behind the context too", () => {
    expect(charactersPerToken("a🧱cdef", [token(1, "a🧱c"), token(2, "def")])).toBe(3);
    expect(charactersPerToken("", [])).toBe(0);
  });

  it("says what a token is", () => {
    expect(describeToken(token(5, " x", true), 0, 4)).toBe('token 1 · id 5 · " x" · trained on');
    expect(describeToken(token(5, " x", true), 4, 4)).toBe('token 5 · id 5 · " x" · cut off by the context');
    expect(describeToken(token(1, "<s>", false, true), 0, 4)).toContain("masked: no loss · special");
  });
});
