/** The demo's corpus holds what its documentation says: the planted truths, and questions that no pair asks. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { fold } from "../../src/core/eval/grade";
import { parseEvalFile } from "../../src/core/eval/schema";
import { parseRunFile } from "../../src/core/run/schema";

const demo = path.resolve(import.meta.dirname, "../../demo");
const read = (file: string): string => readFileSync(path.join(demo, file), "utf8");
const record = z.record(z.string(), z.string());
const jsonl = (file: string): Record<string, string>[] => read(file).split("\n").flatMap((line) => {
  try {
    return [record.parse(JSON.parse(line))];
  } catch {
    return [];
  }
});
const notes = jsonl("data/notes.jsonl");
const web = jsonl("data/web.jsonl");
const letters = read("data/letters.csv").trim().split("\n").slice(1);
const pairs = jsonl("data/pairs.jsonl");
const planted = z.record(z.string(), z.array(z.looseObject({ id: z.string().optional() }))).parse(JSON.parse(read("planted.json")));
const five = parseEvalFile(read("five-questions.eval.yaml"), "five-questions.eval.yaml").value;

describe("the demo's corpus", () => {
  it("has at least 240 texts and 60 pairs", () => {
    expect(notes.length + web.length + letters.length).toBeGreaterThanOrEqual(240);
    expect(pairs.length - (planted["leak"]?.length ?? 0)).toBeGreaterThanOrEqual(60);
  });

  it("has every kind of planted row, each where planted.json says", () => {
    const ids = new Set([...notes, ...web, ...pairs].map((row) => row["id"]));
    for (const line of letters) ids.add(line.split(",")[0]);
    for (const kind of ["exact", "near", "email", "phone", "junk", "boilerplate", "language", "withdrawn", "leak"]) {
      expect(planted[kind]?.length, kind).toBeGreaterThan(0);
      for (const row of planted[kind] ?? []) expect(ids, `${kind} ${row.id}`).toContain(row.id);
    }
  });

  it("asks five questions that no pair asks, but for the one that leaked in", () => {
    expect(five?.prompts).toHaveLength(5);
    const asked = new Map(pairs.map((pair) => [fold(pair["prompt"] ?? ""), pair["id"]]));
    expect(five?.prompts.flatMap((prompt) => asked.get(fold(prompt.prompt)) ?? [])).toEqual(["pair-leak"]);
  });

  it("tells every fact that is asked for in the texts themselves", () => {
    for (const prompt of five?.prompts ?? []) {
      const [subject = "", fact = ""] = prompt.expect.contains ?? [];
      const tellers = notes.filter((note) => note["status"] === "current" && note["text"]?.includes(subject) && note["text"].includes(fact));
      expect(tellers.length, prompt.id).toBeGreaterThan(5);
    }
  });

  it.each(["pretrain", "tune"])("has a valid %s.run.yaml", (name) => {
    expect(parseRunFile(read(`${name}.run.yaml`), `${name}.run.yaml`).problems).toEqual([]);
  });
});
