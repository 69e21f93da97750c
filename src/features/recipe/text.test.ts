import { describe, expect, it } from "vitest";
import { columnWord, insidePredicate } from "./predicate";
import { sourceRanges } from "./source-ranges";
import { smallestReplacement } from "../../core/text-edit";

describe("the smallest replacement", () => {
  it("touches only what differs", () => {
    const before = "mix:\n  shares: { a: 60%, b: 40% }\n";
    const after = "mix:\n  shares: { a: 70%, b: 30% }\n";
    const edit = smallestReplacement(before, after);
    expect(edit).toEqual({ start: before.indexOf("60%"), end: before.indexOf("0% }"), newText: "70%, b: 3" });
  });

  it("turns any text into any other", () => {
    for (const [before, after] of [["", "abc"], ["abc", ""], ["aaa", "aa"], ["aa", "aaa"], ["abab", "ab"], ["xay", "xby"], ["a\r\nb", "a\r\nc\r\nb"]] as const) {
      const edit = smallestReplacement(before, after);
      expect(edit && before.slice(0, edit.start) + edit.newText + before.slice(edit.end)).toBe(after);
    }
    expect(smallestReplacement("same", "same")).toBeUndefined();
  });
});

describe("a place inside a predicate", () => {
  const at = (marked: string): boolean => insidePredicate(marked.replace("|", ""), marked.indexOf("|"));

  it("is after where:, quoted or not", () => {
    expect(at("  - where: len|")).toBe(true);
    expect(at('  - where: "words > 3 and |"')).toBe(true);
    expect(at("  - { where: 'lang|uage = 1' }")).toBe(true);
    expect(at("    where: |")).toBe(true);
  });

  it("is not before it, in another key, or behind the closing quote", () => {
    expect(at("  - wh|ere: words")).toBe(false);
    expect(at("  - quality: { preset: |gopher }")).toBe(false);
    expect(at('  - where: "words > 3" |')).toBe(false);
  });

  it("knows the word under the caret", () => {
    expect(columnWord('  - where: "leng > 3"', 14)).toEqual({ start: 12, end: 16 });
    expect(columnWord("  - where: ", 11)).toEqual({ start: 11, end: 11 });
  });
});

describe("sources in the text", () => {
  it("are found by their keys, also when the rest is broken", () => {
    const text = "tillage: 1\nsources:\n  gsm8k: { files: a.jsonl }\n  wiki:\n    files: b.jsonl\nsteps:\n  - where: [\n";
    expect(sourceRanges(text)).toEqual([{ name: "gsm8k", start: text.indexOf("gsm8k") }, { name: "wiki", start: text.indexOf("wiki") }]);
    expect(sourceRanges("tillage: 1\n")).toEqual([]);
  });
});
