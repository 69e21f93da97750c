import { describe, expect, it } from "vitest";
import type { Manifest } from "../../data/build/manifest";
import type { RunSummary } from "../../runtime/run-folder";
import { lineageOf } from "./lineage";
import type { FileState } from "./lineage";

const sha256 = "3d5ec1c43ce6aa";
const manifest: Manifest = {
  version: 1, hash: "a2ed", recipe: { name: "corpus", path: "corpus.recipe.yaml", text: "" }, versions: { dataset: 1, duckdb: "", extension: "" }, seed: 17, skipSteps: false, shape: "text", ngram: 13, guards: [],
  files: [{ source: "notes", path: "data/notes.jsonl", sha256 }, { source: "web", path: "data/web.jsonl", sha256 }],
  evals: [{ path: "five.eval.yaml", sha256 }],
  sources: [{ name: "notes", rows: 60, badRows: 0, bad: [], tokens: 600 }, { name: "web", rows: 40, badRows: 2, bad: [], tokens: 400 }],
  steps: [
    { index: 0, step: "pii redact", in: 100, out: 100, changed: 3, reasons: [{ reason: "email", rows: 3 }] },
    { index: 1, step: "decontaminate", in: 100, out: 90, changed: 0, reasons: [{ reason: "evaluation text", rows: 10 }] },
    { index: 2, step: "where", in: 90, out: 90, changed: 0, reasons: [] },
  ],
  mix: { by: "source", rows: [{ group: "notes", rows: 50, tokens: 500, shareNow: 0.6, shareWanted: 0.5, epochs: 0.8 }, { group: "web", rows: 40, tokens: 400, shareNow: 0.4, shareWanted: 0.5, epochs: 1.2 }], budgetTokens: 800, exact: true, maxEpochs: 4 },
  split: [{ name: "train", rows: 80, tokens: 760, files: ["train-00000.parquet"] }, { name: "valid", rows: 5, tokens: 40, files: ["valid-00000.parquet"] }],
};
const run: RunSummary = { id: "p-1", dir: "/w/.tillage/runs/p-1", name: "pretrain", objective: "pretrain", adapter: false, phase: "completed", step: 340, total: 340, loss: 0.031 };
const there: FileState = () => ({ newer: false });
const graph = lineageOf(manifest, [{ run, results: [{ dir: "/w/.tillage/runs/p-1/model", kind: "model" }] }], "/w", there);
const node = (id: string, of = graph) => of.layers.flatMap((layer) => layer.nodes).find((candidate) => candidate.id === id);
const into = (id: string): string[] => graph.edges.filter((edge) => edge.to === id).map((edge) => edge.from);

describe("a dataset's lineage", () => {
  it("goes from files over sources, steps and mix to the splits, the runs and their models", () => {
    expect(graph.layers.map((layer) => [layer.title, layer.nodes.map((one) => one.label)])).toEqual([
      ["files", ["notes.jsonl", "web.jsonl"]], ["sources", ["notes", "web"]], ["steps", ["pii redact"]], ["", ["decontaminate", "five.eval.yaml"]], ["", ["where"]],
      ["mix", ["mix by source"]], ["dataset", ["train", "valid"]], ["runs", ["pretrain"]], ["models", ["pretrain (model)"]],
    ]);
    expect(into("source:notes")).toEqual(["file:/w/data/notes.jsonl"]);
    expect(into("step:0")).toEqual(["source:notes", "source:web"]);
    expect(into("step:1")).toEqual(["step:0", "eval:/w/five.eval.yaml"]);
    expect(into("mix")).toEqual(["step:2"]);
    expect(into(`run:${run.dir}`)).toEqual(["split:train", "split:valid"]);
    expect(into(`model:${run.dir}/model`)).toEqual([`run:${run.dir}`]);
  });

  it("leads to the receipts of steps that have some, and of what the mix left out", () => {
    expect(node("step:0")?.receipts).toEqual({ step: "pii redact", label: "3 changed rows" });
    expect(node("step:1")).toMatchObject({ rows: 90, rowsIn: 100, receipts: { step: "decontaminate", label: "−10 rows" } });
    expect(node("step:2")?.receipts).toBeUndefined();
    expect(node("mix")?.receipts?.step).toBe("mix");
  });

  it("warns of files that are gone or newer, and of a shape that was not sure", () => {
    const stale = lineageOf({ ...manifest, sources: manifest.sources.map((source) => ({ ...source, reading: { shape: "text", columns: { text: "body" }, confidence: "unsure", reason: "so", alternatives: [], by: "columns" } })) }, [], "/w", (file) => (file.endsWith("web.jsonl") ? null : { newer: true }));
    expect(node("file:/w/data/notes.jsonl", stale)).toMatchObject({ warning: "it was written after the dataset was built", opens: true });
    expect(node("file:/w/data/web.jsonl", stale)).toMatchObject({ warning: "it is not there any more", opens: false });
    expect(node("source:notes", stale)?.warning).toContain("not sure");
    expect(stale.layers.map((layer) => layer.title)).not.toContain("runs");
  });

  it("shows some of very many files, and links evaluations to the guard where no step compares with them", () => {
    const many = lineageOf({ ...manifest, steps: [], files: Array.from({ length: 20 }, (_, i) => ({ source: "notes", path: `data/${i}.jsonl`, sha256 })) }, [], "/w", there);
    expect(many.layers[0]?.nodes.map((one) => one.label)).toEqual(["0.jsonl", "1.jsonl", "2.jsonl", "3.jsonl", "4.jsonl", "15 more files"]);
    expect(many.edges).toContainEqual({ from: "source:web", to: "mix" });
    expect(many.edges).toContainEqual({ from: "eval:/w/five.eval.yaml", to: "split:train" });
  });
});
