import { expect, it } from "vitest";
import { parseRunFile } from "../../core/run/schema";
import { overrideSnippet } from "./override";

const head = "tillage: 1\nobjective: sft\nmodel: m\ndata: d.recipe.yaml\ntrain: { context: 64, lr: 0.001 }\n";

/** The text with the snippet in its place and a reason typed into it. */
function withOverride(text: string, guard: string, reason = "why this is right"): string {
  const place = overrideSnippet(text, guard);
  if (!place) throw new Error("no place");
  return text.slice(0, place.offset) + place.snippet.replace("${1}", reason) + text.slice(place.offset);
}

it.each([
  ["a file without guards", head],
  ["a file without a last line break", head.trimEnd()],
  ["a file that overrides another guard", `${head}guards:\n  override:\n    duplicates: they are meant\nseed: 3\n`],
])("makes room for a reason in %s", (_name, text) => {
  const { value, problems } = parseRunFile(withOverride(text, "evaluation_text"), "a.run.yaml");
  expect(problems).toEqual([]);
  expect(value?.guards?.override["evaluation_text"]).toBe("why this is right");
  if (text.includes("duplicates")) expect(value?.guards?.override["duplicates"]).toBe("they are meant");
});

it("does not count as a reason before one is typed", () => {
  expect(parseRunFile(withOverride(head, "evaluation_text", ""), "a.run.yaml").problems).toHaveLength(1);
});

it("leaves a reason that is there alone", () => {
  expect(overrideSnippet(`${head}guards:\n  override:\n    duplicates: they are meant\n`, "duplicates")).toBeUndefined();
});
