import { describe, expect, it } from "vitest";
import { z } from "zod";
import { evalDocs } from "./eval/docs";
import { evalFileSchema } from "./eval/schema";
import { runDocs } from "./run/docs";
import { runFileSchema } from "./run/schema";
import { completeYaml, describeYaml } from "./yaml-complete";
import type { KeyDocs } from "./yaml-complete";

/** The text with the cursor at `|`. */
function at(marked: string, docs: KeyDocs): string[] {
  return completeYaml(marked.replace("|", ""), marked.indexOf("|"), docs).items.map((item) => item.label);
}

describe("completion in a run file", () => {
  it("offers the keys that are not there yet", () => {
    const labels = at("tillage: 1\nobjective: sft\n|\nseed: 3\n", runDocs);
    expect(labels).toContain("model");
    expect(labels).not.toContain("objective");
    expect(labels).not.toContain("seed");
  });
  it("goes by the indentation, also on half-typed text", () => {
    expect(at("train:\n  epochs: 3\n  lr: [\n  sch|", runDocs)).toContain("schedule");
    expect(at("model:\n  init:\n    hidden_size: 64\n    |", runDocs)).toContain("rope_theta");
    expect(at("model:\n  init:\n    tokenizer:\n      |", runDocs)).toEqual(["vocab_size"]);
    expect(at("train:\n  epochs: 3\n|", runDocs)).toContain("adapter");
  });
  it("offers values", () => {
    expect(at("objective: |", runDocs)).toEqual(["pretrain", "sft", "distill", "grpo", "rloo", "ppo", "dpo", "ipo", "hinge", "apo_zero", "simpo", "cpo", "orpo", "kto", "reward"]);
    expect(at("train:\n  schedule: co|", runDocs)).toEqual(["constant", "linear", "cosine", "wsd"]);
  });
  it("replaces what was typed", () => {
    const text = "train:\n  sch";
    expect(completeYaml(text, text.length, runDocs)).toMatchObject({ start: text.length - 3, end: text.length });
  });
});

describe("completion in an eval file", () => {
  const head = "tillage: 1\nprompts:\n  - id: heat\n    prompt: How hot?\n    expect: { contains: x }\n";
  it("knows the keys of a list's items", () => {
    expect(at(`${head}    |`, evalDocs)).toEqual(["answer", "tags"]);
    expect(at(`${head}  - |`, evalDocs)).toContain("id");
    expect(at("prompts:\n- id: a\n  |", evalDocs)).toContain("prompt");
    expect(at("prompts:\n  - id: a\n    expect:\n      |", evalDocs)).toEqual(["contains", "lacks", "exact", "regex"]);
  });
  it("does not mix up the items", () => {
    expect(at(`${head}  - id: b\n    |`, evalDocs)).toContain("prompt");
  });
});

describe("hover", () => {
  it("explains the key that it is over, and nothing else", () => {
    const text = "train:\n  lr: 0.001\n";
    expect(describeYaml(text, text.indexOf("lr") + 1, runDocs)?.documentation).toContain("learning rate");
    expect(describeYaml(text, text.indexOf("0.001") + 1, runDocs)).toBeUndefined();
  });
});

describe("the tables", () => {
  type Json = { properties?: Record<string, Json>; anyOf?: Json[]; items?: Json; additionalProperties?: unknown };
  const branches = (schema: Json): Json[] => [schema, ...(schema.anyOf ?? []).flatMap(branches)];
  /** Every key path of a schema, `items` for those of lists. */
  const paths = (schema: Json, lead = ""): string[] => branches(schema).flatMap((branch) => [
    ...Object.entries(branch.properties ?? {}).flatMap(([key, value]) => [`${lead}${key}`, ...paths(value, `${lead}${key}.`)]),
    ...(branch.items ? paths(branch.items, lead) : []),
  ]);
  const documented = (docs: KeyDocs, lead = ""): string[] => Object.entries(docs).flatMap(([key, doc]) => [`${lead}${key}`, ...documented({ ...doc.keys, ...doc.items }, `${lead}${key}.`)]);

  it.each([["run file", runFileSchema, runDocs], ["eval file", evalFileSchema, evalDocs]] as const)("document every key of a %s and no other", (_name, schema, docs) => {
    const known = [...new Set(paths(z.toJSONSchema(schema, { io: "input" }) as Json))].sort();
    expect(known.length).toBeGreaterThan(10);
    expect(documented(docs).sort()).toEqual(known);
  });
});
