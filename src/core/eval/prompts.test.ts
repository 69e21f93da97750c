import { describe, expect, it } from "vitest";
import { compareResults } from "./compare";
import { changeMarkdown, outputDocument, promptPlaces } from "./prompts";
import type { EvalCase, EvalResult } from "./result";
import { parseEvalFile } from "./schema";

const text = `tillage: 1
prompts:
  - id: heat
    prompt: "How hot?"
    expect: { contains: "1,060" }
  # the second
  - id: base
    prompt: "Of what?"
    expect: { contains: [tin] }
`;

function answer(id: string, output: string, pass: boolean): EvalCase {
  return { id, prompt: id === "heat" ? "How hot?" : "Of what?", answer: "At 1,060 degrees.", output, verdict: { pass, checks: [{ check: 'contains "1,060"', pass }] }, tokens: 3, ended: true, seconds: 0.1, logprobs: [-1] };
}
function result(ref: string, cases: EvalCase[]): EvalResult {
  return { tillage: 1, id: ref, file: "a.eval.yaml", fileHash: "1", model: { ref, label: ref, base: "b", modelHash: "h" }, template: { kind: "plain" }, maxNewTokens: 8, temperature: 0, seed: 1, time: "2025-01-01T00:00:00Z", cases, correct: 0, of: cases.length };
}

describe("the prompts of an eval file", () => {
  it("are found where they stand", () => {
    const places = promptPlaces(parseEvalFile(text, "a.eval.yaml"), text);
    expect(places.map((place) => [place.id, text.slice(place.start, place.start + 8)])).toEqual([["heat", "id: heat"], ["base", "id: base"]]);
    expect(places.map((place) => text.slice(place.end - 6, place.end + 1))).toEqual(['060" }'.padStart(7, ","), "[tin] }"]);
  });
  it("are none while the file does not parse", () => {
    expect(promptPlaces(parseEvalFile("prompts:\n  - id: [", "a.eval.yaml"), "prompts:\n  - id: [")).toEqual([]);
  });
});

describe("a change as text", () => {
  const [item] = compareResults(result("before", [answer("heat", "the `kiln`\nof ```", false)]), result("after", [answer("heat", "At 1,060 degrees.", true)])).cases;
  if (!item) throw new Error("nothing was compared");

  it("shows both answers as a diff whose fence no answer can end, and the verdict", () => {
    const markdown = changeMarkdown(item, "pre_train", "tune");
    expect(markdown).toContain("````diff\n- the `kiln`\n- of ```\n+ At 1,060 degrees.\n````");
    expect(markdown).toContain("✗ **pre\\_train** → ✓ **tune** · fixed");
    expect(markdown).toContain("no → yes");
  });
  it("is a document for a diff", () => {
    expect(outputDocument(item.after, "tune")).toBe('How hot?\n\nAt 1,060 degrees.\n\n✓ passes\n  ✓ contains "1,060"\n\nmodel: tune\n');
  });
});
