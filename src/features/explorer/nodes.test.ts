import { describe, expect, it } from "vitest";
import type { RunSummary } from "../../runtime/run-folder";
import { dayAndTime, familyOf, runNode, treeOf } from "./nodes";
import type { TreeNode, WorkspaceFacts } from "./nodes";

const nothing: WorkspaceFacts = { root: "/w", sources: [], recipes: [], datasets: [], models: [], runFiles: [], runs: [], evals: [], results: [] };
const run: RunSummary = { id: "tune-2", dir: "/w/.tillage/runs/tune-2", name: "tune", file: "../../../tune.run.yaml", objective: "sft", adapter: true, phase: "running", step: 420, total: 1200, loss: 1.8342, startedAt: "2020-01-02T10:00:00Z" };
const root = (nodes: TreeNode[], id: string): TreeNode => {
  const found = nodes.find((node) => node.id === id);
  if (!found) throw new Error(`no root ${id}`);
  return found;
};

describe("treeOf", () => {
  it("is empty for an empty workspace, so that the welcome shows", () => expect(treeOf(nothing)).toEqual([]));

  it("has all six roots as soon as there is one thing, and says what to do in the others", () => {
    const nodes = treeOf({ ...nothing, sources: [{ file: "/w/data/a.jsonl", bytes: 4_200_000 }] });
    expect(nodes.map((node) => node.label)).toEqual(["Sources", "Recipes", "Datasets", "Models", "Runs", "Evals"]);
    expect(root(nodes, "sources").children[0]).toMatchObject({ label: "a.jsonl", description: "4.2 MB · data", command: { id: "tillage.corpus.open" } });
    expect(root(nodes, "datasets/empty").children[0]?.description).toContain("build a recipe");
    expect(root(nodes, "datasets/empty").expanded).toBe(false);
  });

  it("puts runs below the run file that made them, and others beside it", () => {
    const orphan: RunSummary = { ...run, id: "old", dir: "/w/.tillage/runs/old", file: "../../../gone.run.yaml", phase: "completed" };
    const runs = root(treeOf({ ...nothing, runFiles: ["/w/tune.run.yaml"], runs: [run, orphan] }), "runs");
    expect(runs.children.map((node) => node.fsPath)).toEqual(["/w/tune.run.yaml", orphan.dir]);
    expect(runs.children[0]?.children.map((node) => node.fsPath)).toEqual([run.dir]);
    expect(runs.children[1]?.label).toMatch(/^tune · \d+ Jan 2020/);
    expect(runs.children[0]).toMatchObject({ description: "loss 1.834 · step 420/1,200", icon: "loading~spin" });
    expect(runs.description).toBe("2 · 1 running");
  });

  it("finds a run's file again after the workspace was moved", () => {
    const moved: RunSummary = { ...run, file: "/elsewhere/tune.run.yaml" };
    const runs = root(treeOf({ ...nothing, runFiles: ["/w/tune.run.yaml"], runs: [moved] }), "runs");
    expect(runs.children).toHaveLength(1);
    expect(runs.children[0]?.children).toHaveLength(1);
  });

  it("opens a dataset's splits as corpora", () => {
    const splits = [{ name: "train", rows: 227, files: ["train-00000.parquet"] }, { name: "valid", rows: 11, files: ["valid-00000.parquet"] }];
    const datasets = root(treeOf({ ...nothing, datasets: [{ dir: "/w/.tillage/datasets/corpus@01d5f0960346", splits, shape: "text", time: 0 }] }), "datasets");
    expect(datasets.children[0]).toMatchObject({ label: "corpus", description: expect.stringMatching(/^238 rows · .* · @01d5f0$/) as string });
    expect(datasets.children[0]?.children.map((node) => [node.label, node.description, node.command?.id])).toEqual([["train", "227 rows", "tillage.corpus.open"], ["valid", "11 rows", "tillage.corpus.open"]]);
  });

  it("shows an eval's newest result first", () => {
    const result = { evalFile: "/w/five.eval.yaml", model: "tune", correct: 4, of: 5 };
    const results = [{ ...result, file: "/w/.tillage/evals/1/result.json", correct: 0, model: "base", time: 1 }, { ...result, file: "/w/.tillage/evals/2/result.json", time: 2 }];
    const evals = root(treeOf({ ...nothing, evals: ["/w/five.eval.yaml"], results }), "evals");
    expect(evals.children[0]?.description).toBe("4/5 · tune");
    expect(evals.children[0]?.children.map((node) => node.label)).toEqual(["4/5", "0/5"]);
  });
});

describe("runNode", () => {
  it("shows a live run's loss and spins", () => expect(runNode(run)).toMatchObject({ icon: "loading~spin", context: "run-live", description: "loss 1.834 · step 420/1,200" }));
  it("offers to resume what was interrupted", () => expect(runNode({ ...run, phase: "interrupted" })).toMatchObject({ context: "run-resumable", description: "interrupted · loss 1.834 · step 420/1,200" }));
  it("is calm when all is done", () => expect(runNode({ ...run, phase: "completed", step: 1200 })).toMatchObject({ context: "run-done", description: "loss 1.834 · 1,200 steps" }));
});

describe("familyOf", () => {
  it("names the family and its shape", () => {
    expect(familyOf({ model_type: "llama", hidden_size: 192, num_hidden_layers: 4 })).toBe("llama 4×192");
    expect(familyOf({})).toBe("model");
  });
});

describe("dayAndTime", () => {
  const noon = new Date(2026, 10, 20, 12, 5).getTime();
  it("leaves today's date out", () => expect(dayAndTime(noon, noon + 3_600_000)).toBe("12:05"));
  it("has the day otherwise, and the year when it is another", () => {
    expect(dayAndTime(noon, noon + 2 * 86_400_000)).toBe("20 Nov, 12:05");
    expect(dayAndTime(noon, noon + 200 * 86_400_000)).toBe("20 Nov 2026, 12:05");
  });
});
