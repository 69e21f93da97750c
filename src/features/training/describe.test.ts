import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { emptyRun, foldEvents } from "../../core/run/state";
import type { RunState } from "../../core/run/state";
import type { Event, RunSpec } from "../../protocol/native.gen";
import { textOf } from "./batch-rows";
import { headOf, listsOf, numbersOf, problemOf } from "./describe";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(os.tmpdir(), "tillage-describe-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const spec: RunSpec = {
  version: 1, id: "tune-20250101-000000-abcd", name: "tune", objective: "sft", model: { kind: "folder", path: "../pretrain-20250101-000000-00ff/model" }, data: { train: ["data/train.parquet"] },
  adapter: { r: 8, alpha: 16, targets: ["all-linear"] }, template: { kind: "plain" }, loss_on: "completion",
  train: { epochs: 2, batch_tokens: 512, context: 64, lr: 1e-3, schedule: "cosine", seed: 1 },
};

function running(): RunState {
  return foldEvents(emptyRun(), [
    { type: "started", time: "t", pid: 1, engine: "0.1.0", device: "cpu", threads: 2, step: 0, total_steps: 10, parameters: 10, trainable: 5, train_rows: 4, train_tokens: 100, valid_rows: 0, planned_bytes: 1000 },
    { type: "step", step: 1, epoch: 0.2, loss: 3, lr: 0.001, grad_norm: 1, tokens: 10, tokens_per_second: 100, memory_bytes: 1000, seconds: 1, rows: [] },
  ]);
}

describe("what a run is", () => {
  it("is told without times and paths", () => {
    expect(headOf(dir, spec)).toMatchObject({ method: "LoRA r8 α16", from: "pretrain" });
    expect(headOf(dir, { ...spec, adapter: null })).toMatchObject({ method: "full" });
  });

  it("names a tuned prompt, a teacher, and the column by which rows count", () => {
    expect(headOf(dir, { ...spec, adapter: null, prompt: { tokens: 8 } })).toMatchObject({ method: "prompt of 8 tokens" });
    expect(headOf(dir, { ...spec, objective: "distill", distill: { teacher: "../big-20250101-000000-00ff/model" } })).toMatchObject({ teacher: "big" });
    expect(headOf(dir, { ...spec, weight: "importance" })).toMatchObject({ weight: "importance" });
    expect(headOf(dir, spec)).not.toHaveProperty("weight");
  });

  it("names the adapter's kind, and the run that it goes on with", () => {
    const adapter = { r: 8, alpha: 16, targets: ["all-linear"] };
    expect(headOf(dir, { ...spec, adapter: { ...adapter, dora: true } }).method).toBe("DoRA r8 α16");
    expect(headOf(dir, { ...spec, adapter: { ...adapter, rslora: true } }).method).toBe("rsLoRA r8 α16");
    const model = { kind: "folder", path: "../pretrain-20250101-000000-00ff/model", adapter: "../tune-20250102-000000-00ff/adapter" } as const;
    expect(headOf(dir, { ...spec, model }).from).toBe("tune");
    const checkpoint = "../tune-20250102-000000-00ff/checkpoints/step-000200";
    expect(headOf(dir, { ...spec, model: { ...model, adapter: checkpoint } }).from).toBe("tune at step 200");
    expect(headOf(dir, { ...spec, model: { kind: "folder", path: "../../models/step-1" } }).from).toBe("step-1");
  });

  it("tells the share of pairs that are preferred, and what is done before the first step", () => {
    const preferring = (accuracy: number): Event => ({ type: "step", step: 2, epoch: 0.4, loss: 0.6, lr: 0.001, grad_norm: 1, tokens: 10, tokens_per_second: 100, memory_bytes: 1000, seconds: 1, rows: [], metrics: { "rewards/accuracies": accuracy, "rewards/margins": 0.25 } });
    expect(numbersOf(dir, running())).not.toHaveProperty("accuracy");
    expect(numbersOf(dir, foldEvents(running(), [preferring(0.5), preferring(1)]))).toMatchObject({ accuracy: 0.75 });
    const doing = foldEvents(emptyRun(), [{ type: "progress", step: 0, what: "log-probabilities", done: 3, of: 9 }]);
    expect(numbersOf(dir, doing)).toMatchObject({ doing: { what: "log-probabilities", done: 3, of: 9 } });
    expect(numbersOf(dir, foldEvents(doing, [preferring(1)]))).not.toHaveProperty("doing");
  });

  it("names the checkpoint that a fork began behind", () => {
    const fork = { checkpoint: "../pretrain-20250101-000000-00ff/checkpoints/step-001200" };
    expect(headOf(dir, { ...spec, fork }).from).toBe("pretrain at step 1,200");
  });

  it("says which checkpoint the result is, where it was chosen", () => {
    const end = { type: "finished", time: "t", step: 9, outcome: "completed", seconds: 1, output: "adapter" } as const;
    expect(numbersOf(dir, foldEvents(running(), [end]))).not.toHaveProperty("best");
    expect(numbersOf(dir, foldEvents(running(), [{ ...end, best: { step: 5, loss: 2 } }]))).toMatchObject({ best: { step: 5, loss: 2 }, early: false });
  });

  it("has no numbers before its first step, rather than zeros", () => {
    expect(numbersOf(dir, emptyRun())).not.toHaveProperty("loss");
    expect(numbersOf(dir, running())).toMatchObject({ loss: 3, smoothed: 3, tokensPerSecond: 100 });
  });

  it("lists lines of its events that cannot be read among the warnings", () => {
    expect(listsOf(running(), [{ line: 7, reason: "broken" }]).warnings[0]?.message).toContain("Line 7");
  });
});

describe("what went wrong", () => {
  it("is nothing while all is well", () => {
    expect(problemOf(dir, running())).toBeUndefined();
  });

  it("is the engine's own word when it failed", () => {
    const error = { blame: "environment", code: "disk_full", message: "The disk is full.", remedy: "Free some space." } as const;
    expect(problemOf(dir, foldEvents(running(), [{ type: "failed", time: "t", step: 1, error }]))).toEqual(error);
  });

  it("is told with the end of the log and the way back when the process is gone", () => {
    writeFileSync(path.join(dir, "engine.log"), "first\nsecond\nKilled by the kernel\n");
    const problem = problemOf(dir, { ...foldEvents(running(), [{ type: "checkpoint", step: 1, path: "checkpoints/step-000001" }]), phase: "interrupted" });
    expect(problem?.message).toContain("Killed by the kernel");
    expect(problem?.remedy).toContain("checkpoint at step 1");
    expect(problemOf(dir, { ...running(), phase: "interrupted" })?.remedy).toContain("no checkpoint");
  });

  it("is the memory where the engine could get none", () => {
    writeFileSync(path.join(dir, "engine.log"), "memory allocation of 163840 bytes failed\n");
    const state = { ...foldEvents(running(), [{ type: "checkpoint", step: 1, path: "checkpoints/step-000001" }]), phase: "interrupted" as const };
    expect(problemOf(dir, state)).toMatchObject({ code: "out_of_memory", blame: "environment", message: expect.stringContaining("163840") as unknown, remedy: expect.stringContaining("checkpoint at step 1;") as unknown });
  });

  it("says that nothing began when it ended before its first event", () => {
    mkdirSync(path.join(dir, "checkpoints"));
    expect(problemOf(dir, { ...emptyRun(), phase: "interrupted" })?.message).toContain("before its first step");
  });
});

describe("a row as one text", () => {
  it.each([
    [{ text: "a text" }, "a text"],
    [{ prompt: "p", completion: "c", text: null }, "p → c"],
    [{ messages: '[{"role":"user","content":"hello"}]' }, "user: hello"],
    [{ messages: "not json" }, "not json"],
    [{ number: 3 }, '{"number":3}'],
    [{ prompt: "Why?", chosen: "So.", rejected: "No." }, "Why?\n✓ So.\n✗ No."],
    [{ chosen: '[{"role":"user","content":"Why?"}]', rejected: "12" }, "✓ user: Why?\n✗ 12"],
    [{ prompt: "p", completion: "c", label: false }, "p → ✗ c"],
    [{ prompt: "p", completion: "c", label: true }, "p → ✓ c"],
    [{ messages: '[{"role":"assistant","content":null,"tool_calls":[{"function":{"name":"heat","arguments":{}}}]}]' }, "assistant: heat({})"],
  ])("%j", (values, expected) => {
    expect(textOf(values)).toBe(expected);
  });
});
