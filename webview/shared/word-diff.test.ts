import { describe, expect, it } from "vitest";
import { markFound, wordDiff } from "./word-diff";

describe("near duplicates side by side", () => {
  it("marks the words that only one text has, and loses nothing", () => {
    const left = "The kiln is fired at 1,060 degrees.";
    const right = "The kiln is then fired at 1,080 degrees.";
    const diff = wordDiff(left, right);
    expect(diff.left.map((part) => part.text).join("")).toBe(left);
    expect(diff.right.map((part) => part.text).join("")).toBe(right);
    expect(diff.left.filter((part) => part.kind === "only").map((part) => part.text.trim())).toEqual(["060"]);
    expect(diff.right.filter((part) => part.kind === "only").map((part) => part.text.trim())).toEqual(["then", "080"]);
    expect(diff.shared).toBeGreaterThan(0.8);
  });

  it("takes equal texts and empty ones", () => {
    expect(wordDiff("a b", "a b")).toEqual({ left: [{ text: "a b", kind: "same" }], right: [{ text: "a b", kind: "same" }], shared: 1 });
    expect(wordDiff("", "a")).toEqual({ left: [], right: [{ text: "a", kind: "only" }], shared: 0 });
  });
});

describe("what a step found in a text", () => {
  it("is marked wherever it stands", () => {
    expect(markFound("Write to a.b@c.de or 0170 123.", ["a.b@c.de", "0170 123"])).toEqual([
      { text: "Write to ", kind: "same" }, { text: "a.b@c.de", kind: "only" }, { text: " or ", kind: "same" }, { text: "0170 123", kind: "only" }, { text: ".", kind: "same" },
    ]);
  });

  it("is a text, and no pattern", () => {
    expect(markFound("axb", ["a.b"])).toEqual([{ text: "axb", kind: "same" }]);
    expect(markFound("+49 (30) 1", ["+49 (30)"])[0]).toEqual({ text: "+49 (30)", kind: "only" });
  });

  it("leaves a text alone that does not have it", () => {
    expect(markFound("kiln", ["clay"])).toEqual([{ text: "kiln", kind: "same" }]);
    expect(markFound("kiln", [""])).toEqual([{ text: "kiln", kind: "same" }]);
  });
});
