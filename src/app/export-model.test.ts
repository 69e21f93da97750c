import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ExportParams, ScoreParams } from "../protocol/native.gen";
import type { Engine } from "../runtime/engine";
import { exportModel, isAdapterRun } from "./export-model";
import { scoreRows } from "./score";

let root: string;
let run: string;
let asked: (ExportParams | ScoreParams)[];

const deps = (): { root: string; engine: Engine } => {
  const engine: Partial<Engine> = {
    export: (params) => {
      asked.push(params);
      return Promise.resolve({ files: [], notes: [] });
    },
    score: (params) => {
      asked.push(params);
      return Promise.reject(new Error("enough"));
    },
  };
  return { root, engine: engine as Engine };
};

/** A run's folder with a result, whose template is chat. */
function result(kind: "model" | "adapter"): void {
  mkdirSync(path.join(run, kind), { recursive: true });
  writeFileSync(path.join(run, kind, kind === "adapter" ? "adapter_config.json" : "config.json"), "{}");
}

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "tillage-export-"));
  run = path.join(root, ".tillage/runs/tune-1");
  asked = [];
  mkdirSync(run, { recursive: true });
  const spec = {
    version: 1, id: "tune-1", name: "tune", objective: "sft", model: { kind: "folder", path: "../../../base" },
    data: { train: [] }, template: { kind: "chat" }, loss_on: "assistant",
    train: { epochs: 1, batch_tokens: 64, context: 64, lr: 0.001, schedule: "cosine", seed: 1, checkpoint_every: 1 },
  };
  writeFileSync(path.join(run, "run.json"), JSON.stringify(spec));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe("exporting", () => {
  it("finds a run's adapter and its base, by folder and by name", async () => {
    result("adapter");
    for (const ref of [run, "run:tune"]) await exportModel({ ref, to: "gguf", quantize: "q8_0", out: "/x/a.gguf" }, deps());
    const expected = { base: path.join(root, "base"), adapter: path.join(run, "adapter"), to: "gguf", quantize: "q8_0", out: path.resolve("/x/a.gguf"), name: "tune" };
    expect(asked).toEqual([expected, expected]);
    expect(isAdapterRun(run)).toBe(true);
  });

  it("takes a whole model as it is, and names only what carries a name", async () => {
    result("model");
    await exportModel({ ref: run, to: "merged", out: "/x/a" }, deps());
    expect(asked).toEqual([{ base: path.join(run, "model"), to: "merged", out: path.resolve("/x/a") }]);
    expect(isAdapterRun(run)).toBe(false);
  });

  it("of a run without a result says so", async () => {
    await expect(exportModel({ ref: run, to: "gguf", out: "/x/a.gguf" }, deps())).rejects.toMatchObject({ problem: { code: "no_result" } });
  });
});

describe("scoring", () => {
  it("uses the template that the model was trained with, and writes beside the rows", async () => {
    result("adapter");
    await expect(scoreRows({ rows: "/data/pairs.jsonl", model: "run:tune" }, deps())).rejects.toThrow("enough");
    expect(asked).toEqual([
      {
        model: { base: path.join(root, "base"), adapter: path.join(run, "adapter"), dtype: "f32" },
        rows: path.resolve("/data/pairs.jsonl"), out: path.resolve("/data/pairs.scores.parquet"), template: { kind: "chat" }, embed: "none",
      },
    ]);
  });

  it("refuses an ending that the engine does not write", async () => {
    result("model");
    await expect(scoreRows({ rows: "/data/a.jsonl", model: "run:tune", out: "a.csv" }, deps())).rejects.toMatchObject({ problem: { code: "bad_arguments" } });
  });
});
