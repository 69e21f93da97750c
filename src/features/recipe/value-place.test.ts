import { describe, expect, it } from "vitest";
import { valuePlace } from "./value-place";

const at = (marked: string): string | undefined => {
  const character = marked.indexOf("|");
  const line = marked.replace("|", "");
  const place = valuePlace(line, character);
  return place && `${place.kind} ${JSON.stringify(line.slice(place.start, place.end))}`;
};

describe("values that the workspace completes", () => {
  it("are files, evaluations, tokenizers, sources, columns", () => {
    expect(at("  notes: { files: |, as: text }")).toBe('data ""');
    expect(at("  notes: { files: data/no|tes.jsonl }")).toBe('data "data/notes.jsonl"');
    expect(at('    files: "data/|')).toBe('data "data/"');
    expect(at("  - decontaminate: { against: [a.eval.yaml, |] }")).toBe('evals ""');
    expect(at("  tokenizer: mod|")).toBe('tokenizer "mod"');
    expect(at("    only: [no|]")).toBe('source "no"');
    expect(at("  by: |")).toBe('column ""');
  });

  it("are groups inside shares", () => {
    expect(at("  shares: { |")).toBe('share ""');
    expect(at("  shares: { notes: 50%, le| }")).toBe('share "le"');
    expect(at("  shares: { notes: 5|0% }")).toBeUndefined();
  });

  it("are not those that the grammar knows", () => {
    expect(at("  notes: { files: a.jsonl, as: |")).toBeUndefined();
    expect(at("  - quality: { preset: | }")).toBeUndefined();
    expect(at("|files: a")).toBeUndefined();
  });
});
