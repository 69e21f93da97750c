import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { TillageError } from "../protocol/errors";
import { checkpointSteps, listModels, resolveCheckpoint, resolveModel } from "./models";

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "tillage-models-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** A run's folder with what the engine leaves in it. */
function makeRun(id: string, name: string, made: number, parts: { result?: "model" | "adapter"; steps?: number[]; base?: string }): string {
  const dir = path.join(root, ".tillage/runs", id);
  const folder = (at: string, adapter: boolean): void => {
    mkdirSync(at, { recursive: true });
    writeFileSync(path.join(at, adapter ? "adapter_config.json" : "config.json"), "{}");
  };
  mkdirSync(dir, { recursive: true });
  const spec = {
    version: 1, id, name, file: null, objective: "sft", adapter: null, data: { train: [], valid: [] }, loss_on: "all", watch: [], watch_max_new: 1, threads: 1, overrides: {},
    model: parts.base ? { kind: "folder", path: parts.base } : { kind: "init", shape: { hidden_size: 8, intermediate_size: 8, num_hidden_layers: 1, num_attention_heads: 1, num_key_value_heads: 1, max_position_embeddings: 8 }, tokenizer: { kind: "train", vocab_size: 300 } },
    template: { kind: "format", prompt: "Q {prompt}" },
    train: { epochs: 1, batch_tokens: 8, context: 8, lr: 1, schedule: "constant", seed: 1 },
  };
  writeFileSync(path.join(dir, "run.json"), JSON.stringify(spec));
  utimesSync(path.join(dir, "run.json"), made, made);
  if (parts.result) folder(path.join(dir, parts.result), parts.result === "adapter");
  for (const step of parts.steps ?? []) folder(path.join(dir, "checkpoints", `step-${String(step).padStart(6, "0")}`), parts.result === "adapter");
  return dir;
}

it("finds the newest finished run, and a checkpoint by its step", () => {
  makeRun("p-1", "pretrain", 100, { result: "model", steps: [0, 50] });
  const newer = makeRun("p-2", "pretrain", 200, { result: "model", steps: [0] });
  makeRun("p-3", "pretrain", 300, {});
  expect(resolveModel(root, "run:pretrain", root).base).toBe(path.join(newer, "model"));
  expect(resolveModel(root, "run:pretrain@0", root)).toMatchObject({ base: path.join(newer, "checkpoints/step-000000"), label: "pretrain at step 0", template: { kind: "format", prompt: "Q {prompt}" } });
  expect(resolveModel(root, "run:pretrain@50", root).base).toContain("p-1");
  expect(checkpointSteps(path.join(root, ".tillage/runs/p-1"))).toEqual([0, 50]);
});

it("finds a checkpoint to fork from in the newest run that has it", () => {
  makeRun("p-1", "pretrain", 100, { result: "model", steps: [0, 50] });
  makeRun("p-2", "pretrain", 200, { result: "model", steps: [0, 20] });
  expect(resolveCheckpoint(root, "pretrain", 0)).toContain("p-2");
  expect(resolveCheckpoint(root, "pretrain", 50)).toBe(path.join(root, ".tillage/runs/p-1/checkpoints/step-000050"));
  expect(resolveCheckpoint(root, "p-1", 0)).toBe(path.join(root, ".tillage/runs/p-1/checkpoints/step-000000"));
  expect(() => resolveCheckpoint(root, "p-1", 20)).toThrow("step 20");
  const problem = (code: string, remedy: string): unknown => expect.objectContaining({ problem: expect.objectContaining({ code, blame: "user", remedy: expect.stringContaining(remedy) as unknown }) as unknown });
  expect(() => resolveCheckpoint(root, "pretrain", 7)).toThrow(problem("no_checkpoint", "0, 20, 50"));
  expect(() => resolveCheckpoint(root, "other", 7)).toThrow(problem("no_run", "other.run.yaml"));
});

it("puts an adapter on the base that its run was trained from", () => {
  const base = path.join(makeRun("p", "pretrain", 100, { result: "model" }), "model");
  const tune = makeRun("t", "tune", 200, { result: "adapter", base });
  expect(resolveModel(root, "run:tune", root)).toMatchObject({ base, adapter: path.join(tune, "adapter") });
  expect(listModels(root).map((model) => model.ref)).toEqual(["run:tune", "run:pretrain"]);
});

it.each([
  ["run:nothing", "no_run"],
  ["run:waiting", "no_result"],
  ["run:waiting@7", "no_checkpoint"],
  ["some/folder", "no_model"],
])("says what is wrong with %s", (ref, code) => {
  makeRun("w", "waiting", 100, {});
  const attempt = (): unknown => resolveModel(root, ref, root);
  expect(attempt).toThrow(TillageError);
  try {
    attempt();
  } catch (error) {
    expect((error as TillageError).problem).toMatchObject({ code, blame: "user" });
    expect((error as TillageError).problem.remedy).not.toBe("");
  }
});
