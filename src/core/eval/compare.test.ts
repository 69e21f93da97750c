import { expect, it } from "vitest";
import { compareResults, wordDiff } from "./compare";
import type { EvalCase, EvalResult } from "./result";

const item = (id: string, output: string, pass: boolean): EvalCase => ({ id, prompt: `ask ${id}`, answer: null, output, verdict: { pass, checks: [] }, tokens: 1, ended: true, seconds: 0, logprobs: [] });
const result = (label: string, cases: EvalCase[]): EvalResult => ({
  tillage: 1, id: label, file: "q.eval.yaml", fileHash: "", model: { ref: label, label, base: "", modelHash: "" }, template: { kind: "plain" },
  maxNewTokens: 8, temperature: 0, seed: 1, time: "", cases, correct: cases.filter((entry) => entry.verdict.pass).length, of: cases.length,
});

it("tells fixed, broken, changed and same apart, and leaves out what only one has or was asked otherwise", () => {
  const before = result("a", [item("fixed", "no", false), item("broken", "yes", true), item("changed", "x", false), item("same", "z", true), item("gone", "", false), item("asked otherwise", "z", true)]);
  const after = result("b", [item("fixed", "yes", true), item("broken", "no", false), item("changed", "y", false), item("same", "z", true), { ...item("asked otherwise", "z", true), prompt: "another question" }]);
  const compared = compareResults(before, after);
  expect(Object.fromEntries(compared.cases.map((entry) => [entry.id, entry.change]))).toEqual({ fixed: "fixed", broken: "broken", changed: "changed", same: "same" });
  expect(compared.counts).toEqual({ fixed: 1, broken: 1, changed: 1, same: 1 });
});

it("marks words, and loses no text", () => {
  const parts = wordDiff("the kiln is cold", "the kiln is very hot");
  expect(parts.filter((part) => part.kind !== "added").map((part) => part.text).join("")).toBe("the kiln is cold");
  expect(parts.filter((part) => part.kind !== "removed").map((part) => part.text).join("")).toBe("the kiln is very hot");
});

it("takes the spaces between changed words into the change", () => {
  const parts = wordDiff("of vases wear Heron Blue. The shelves are brushed", "Heron Blue is fired at 1,060 degrees.");
  expect(parts.filter((part) => part.kind === "same").map((part) => part.text)).toEqual(["Heron Blue"]);
  expect(parts.filter((part) => part.kind === "added").map((part) => part.text).join("")).toBe(" is fired at 1,060 degrees.");
  expect(parts.filter((part) => part.kind !== "added").map((part) => part.text).join("")).toBe("of vases wear Heron Blue. The shelves are brushed");
});
