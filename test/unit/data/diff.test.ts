import { rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { createLocalCorpus } from "../../../src/data/local";
import { problemOf, Workspace } from "./support";

const corpus = createLocalCorpus();
let workspace = new Workspace();
afterEach(() => workspace.remove());
afterAll(() => corpus.dispose());

const build = async (text: string, name = "r"): Promise<string> => (await corpus.build({ path: workspace.at(`${name}.recipe.yaml`), text: `tillage: 1\n${text}` })).dataset;
const sources = "sources: { a: { files: a.jsonl }, b: { files: b.jsonl } }\n";

describe("two datasets", () => {
  it("differ in the rows that came, went and changed, each with the step that decided it", async () => {
    workspace = new Workspace();
    workspace.rows("a.jsonl", [{ text: "short" }, { text: "a text of five words" }, { text: "a text of five words" }, { text: "write to me@example.org now" }]);
    workspace.rows("b.jsonl", [{ text: "another text of six words here" }]);
    const before = await build(`${sources}steps:\n  - length: { unit: words, min: 2 }\n`);
    workspace.rows("b.jsonl", [{ text: "new in the source, four words more" }]);
    const after = await build(`${sources}steps:\n  - dedup: { exact: exact }\n  - pii: { action: redact }\n`);
    const stages: string[] = [];
    const diff = await corpus.diff({ before, after, limit: 5 }, undefined, ({ stage, done, of }) => void stages.push(`${done}/${of} ${stage}`));
    expect(stages).toEqual(["0/5 reading the rows before", "1/5 reading the rows after", "2/5 comparing the rows", "3/5 finding the steps responsible", "4/5 reading the rows that differ"]);
    expect(diff).toMatchObject({ added: 2, removed: 2, changed: 1, same: 1, moved: 0, more: 0, less: 0, before: { rows: 4 }, after: { rows: 4 } });
    expect(diff.causes.map(({ change, step, reason, rows }) => [change, step, reason, rows])).toEqual([
      ["added", "length in words", "too short", 1],
      ["added", "sources", "not among the rows before", 1],
      ["changed", "pii redact", "email", 1],
      ["removed", "dedup exact", "exact duplicate", 1],
      ["removed", "sources", "not among the rows any more", 1],
    ]);
    const changed = diff.rows.find((row) => row.change === "changed");
    expect([changed?.before, changed?.after]).toEqual(["write to me@example.org now", "write to <EMAIL> now"]);
    const double = diff.rows.find((row) => row.reason === "exact duplicate");
    expect(double).toMatchObject({ before: "a text of five words", after: null, source: "a", file: workspace.at("a.jsonl"), fileRow: 2 });
    expect(double?.matchedRowId).toMatch(/^[0-9a-f]{32}$/);
    expect(diff.rows.find((row) => row.reason === "too short")).toMatchObject({ before: null, after: "short", value: "1 words", file: workspace.at("a.jsonl"), fileRow: 0 });
    expect(diff.shares.map(({ source, rowsBefore, rowsAfter }) => [source, rowsBefore, rowsAfter])).toEqual([["a", 3, 3], ["b", 1, 1]]);
    for (const key of ["shareBefore", "shareAfter"] as const) expect(diff.shares.reduce((sum, share) => sum + share[key], 0)).toBeCloseTo(1, 10);
  });

  it("show rows of every cause before more of the same", async () => {
    workspace = new Workspace();
    workspace.rows("a.jsonl", [...Array.from({ length: 31 }, () => ({ text: "a text that is there often" })), { text: "short" }]);
    workspace.rows("b.jsonl", [{ text: "another text of six words here" }]);
    const before = await build(sources);
    const after = await build(`${sources}steps:\n  - dedup: { exact: exact }\n  - length: { unit: words, min: 3 }\n`);
    const { removed, rows } = await corpus.diff({ before, after, limit: 3 });
    expect(removed).toBe(31);
    expect(rows.map((row) => row.reason).sort()).toEqual(["exact duplicate", "exact duplicate", "too short"]);
  });

  it("differ in how often rows are seen, and on which side of the split", async () => {
    workspace = new Workspace();
    workspace.rows("a.jsonl", Array.from({ length: 40 }, (_, i) => ({ text: `row ${i} of the first source has these words` })));
    workspace.rows("b.jsonl", Array.from({ length: 40 }, (_, i) => ({ text: `row ${i} of the second one is another text` })));
    const before = await build(`${sources}split: { train: 80%, valid: 20% }\n`);
    const twice = await build(`${sources}split: { train: 80%, valid: 20% }\nmix: { budget: 1200 tokens, shares: { a: 80%, b: 20% } }\n`);
    const mixed = await corpus.diff({ before, after: twice, limit: 2 });
    expect(mixed.more).toBeGreaterThan(10);
    expect(mixed.removed).toBeGreaterThan(5);
    expect(mixed.causes).toEqual([expect.objectContaining({ change: "removed", step: "mix", reason: "not sampled" })]);
    expect(mixed.shares[0]?.shareAfter).toBeGreaterThan(0.7);
    expect(mixed.rows.length).toBe(2);
    const other = await corpus.diff({ before, after: await build(`${sources}split: { train: 80%, valid: 20% }\nseed: 3\n`), limit: 0 });
    expect(other).toMatchObject({ added: 0, removed: 0, changed: 0, same: 80, rows: [] });
    expect(other.moved).toBeGreaterThan(5);
    expect(await corpus.diff({ before, after: before, limit: 5 })).toMatchObject({ added: 0, removed: 0, changed: 0, same: 80, moved: 0, causes: [], rows: [] });
  });

  it("show a long row where its texts part", async () => {
    workspace = new Workspace();
    const long = Array.from({ length: 300 }, (_, i) => `word${i}`).join(" ");
    workspace.rows("a.jsonl", [{ text: `${long} me@example.org ${long}` }]);
    const one = "sources: { a: { files: a.jsonl } }\n";
    const [row] = (await corpus.diff({ before: await build(one), after: await build(`${one}steps:\n  - pii: { action: redact }\n`), limit: 1 })).rows;
    expect(row?.before).toMatch(/^….*word299 me@example\.org word0/);
    expect(row?.after).toMatch(/^….*word299 <EMAIL> word0/);
    expect(row?.before?.length).toBe(401);
  });

  it("of other shapes are compared by their texts, and what is no dataset is named", async () => {
    workspace = new Workspace();
    workspace.rows("a.jsonl", [{ prompt: "Why?", completion: "So." }]);
    workspace.rows("b.jsonl", [{ text: "a text" }]);
    const one = await build("sources: { a: { files: a.jsonl } }\n", "one");
    const both = await build(sources, "both");
    expect(await corpus.diff({ before: one, after: both, limit: 1 })).toMatchObject({ added: 1, removed: 0, changed: 0, same: 1 });
    expect(await problemOf(corpus.diff({ before: one, after: workspace.folder, limit: 1 }))).toMatchObject({ blame: "user", code: "no_dataset" });
    for (const file of ["train-00000.parquet", "receipts.parquet"]) {
      rmSync(path.join(both, file));
      const lost = { blame: "user", code: "broken_dataset", message: expect.stringContaining(file) as unknown };
      expect(await problemOf(corpus.diff({ before: one, after: both, limit: 1 }))).toMatchObject(lost);
      expect(await problemOf(corpus.exportDataset({ dataset: both, to: "jsonl", out: workspace.at("out") }))).toMatchObject(lost);
      writeFileSync(path.join(both, file), "");
    }
  });
});
