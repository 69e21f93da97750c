import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { oneRun } from "../../test/unit/app/support";
import type { ExportParams, ScoreParams } from "../protocol/native.gen";
import { exportModel, isAdapterRun } from "./export-model";
import { scoreRows } from "./score";

const here = oneRun<ExportParams | ScoreParams>((asked) => ({
  export: (params) => {
    asked.push(params);
    return Promise.resolve({ files: [], notes: [] });
  },
  score: (params) => {
    asked.push(params);
    return Promise.reject(new Error("enough"));
  },
}));

/** Gives the run a result. */
function result(kind: "model" | "adapter"): void {
  mkdirSync(path.join(here.run, kind), { recursive: true });
  writeFileSync(path.join(here.run, kind, kind === "adapter" ? "adapter_config.json" : "config.json"), "{}");
}

describe("exporting", () => {
  it("finds a run's adapter and its base, by folder and by name", async () => {
    const { root, run } = here;
    result("adapter");
    for (const ref of [run, "run:tune"]) await exportModel({ ref, to: "gguf", quantize: "q8_0", out: "/x/a.gguf" }, here.deps());
    const expected = { base: path.join(root, "base"), adapter: path.join(run, "adapter"), to: "gguf", quantize: "q8_0", out: path.resolve("/x/a.gguf"), name: "tune" };
    expect(here.asked).toEqual([expected, expected]);
    expect(isAdapterRun(run)).toBe(true);
  });

  it("takes a whole model as it is, and names only what carries a name", async () => {
    const { run } = here;
    result("model");
    await exportModel({ ref: run, to: "merged", out: "/x/a" }, here.deps());
    expect(here.asked).toEqual([{ base: path.join(run, "model"), to: "merged", out: path.resolve("/x/a") }]);
    expect(isAdapterRun(run)).toBe(false);
  });

  it("of a run without a result says so", async () => {
    await expect(exportModel({ ref: here.run, to: "gguf", out: "/x/a.gguf" }, here.deps())).rejects.toMatchObject({ problem: { code: "no_result" } });
  });
});

describe("scoring", () => {
  it("uses the template that the model was trained with, and writes beside the rows", async () => {
    result("adapter");
    await expect(scoreRows({ rows: "/data/pairs.jsonl", model: "run:tune" }, here.deps())).rejects.toThrow("enough");
    expect(here.asked).toEqual([
      {
        model: { base: path.join(here.root, "base"), adapter: path.join(here.run, "adapter"), dtype: "f32" },
        rows: path.resolve("/data/pairs.jsonl"), out: path.resolve("/data/pairs.scores.parquet"), template: { kind: "chat" }, embed: "none",
      },
    ]);
  });

  it("refuses an ending that the engine does not write", async () => {
    result("model");
    await expect(scoreRows({ rows: "/data/a.jsonl", model: "run:tune", out: "a.csv" }, here.deps())).rejects.toMatchObject({ problem: { code: "bad_arguments" } });
  });
});
