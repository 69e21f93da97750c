import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { RunSpec } from "../protocol/native.gen";
import { engineFileName } from "./locate";
import { datasetOf, engineAlive, holderOf, lastRunOf, listRuns, readRun, rowsOfStep } from "./run-folder";

let root: string;
const children: ChildProcess[] = [];
beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), "tillage-runs-"));
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  rmSync(root, { recursive: true, force: true });
});

function makeRun(id: string, events: object[], spec: Partial<RunSpec> = {}): string {
  const dir = path.join(root, ".tillage", "runs", id);
  mkdirSync(dir, { recursive: true });
  const whole: RunSpec = {
    version: 1, id, name: "tune", objective: "sft", model: { kind: "folder", path: "base" }, data: { train: ["../../datasets/pairs@1/train-0.parquet"] },
    template: { kind: "plain" }, loss_on: "completion", file: "../../../tune.run.yaml",
    train: { epochs: 1, batch_tokens: 512, context: 64, lr: 1e-3, schedule: "cosine", seed: 1 }, ...spec,
  };
  writeFileSync(path.join(dir, "run.json"), JSON.stringify(whole));
  writeFileSync(path.join(dir, "events.jsonl"), events.map((event) => `${JSON.stringify(event)}\n`).join(""));
  return dir;
}

const started = (pid: number): object => ({
  type: "started", time: "2025-01-01T00:00:00Z", pid, engine: "0.1.0", device: "cpu", threads: 2, step: 0, total_steps: 10, parameters: 10, trainable: 10,
  train_rows: 4, train_tokens: 100, valid_rows: 0, planned_bytes: 1000,
});
const stepEvent = (step: number, rows: string[]): object => ({
  type: "step", step, epoch: 0.1, loss: 3, lr: 0.001, grad_norm: 1, tokens: 10, tokens_per_second: 100, memory_bytes: 1000, seconds: step, rows,
});
/** A pid that was in use and is not any more. */
async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ["-e", ""]);
  await new Promise((resolve) => child.once("exit", resolve));
  return child.pid ?? 0;
}

/** A process that goes by the engine's name. */
async function engineProcess(): Promise<number> {
  const file = path.join(root, engineFileName);
  symlinkSync(process.execPath, file);
  const child = spawn(file, ["-e", "setTimeout(() => {}, 60000)"]);
  children.push(child);
  await new Promise((resolve) => child.once("spawn", resolve));
  return child.pid ?? 0;
}

describe("a run's folder", () => {
  it("is interrupted when its process is gone without a last word", async () => {
    const dir = makeRun("a", [started(await deadPid()), stepEvent(1, ["r1"])]);
    expect((await readRun(dir)).state.phase).toBe("interrupted");
  });

  it.runIf(process.platform !== "win32")("is running while an engine holds it that has not spoken yet", async () => {
    const dir = makeRun("a", [started(await deadPid()), stepEvent(1, ["r1"])]);
    const pid = await engineProcess();
    writeFileSync(path.join(dir, "lock"), JSON.stringify({ pid }));
    expect((await readRun(dir)).state.phase).toBe("running");
    expect(holderOf(dir)).toBe(pid);
    writeFileSync(path.join(dir, "lock"), JSON.stringify({ pid: await deadPid() }));
    expect((await readRun(dir)).state.phase).toBe("interrupted");
    expect(holderOf(dir)).toBeUndefined();
  });

  it("keeps a last word, and lists lines that are not events", async () => {
    const dir = makeRun("a", [started(1), stepEvent(1, ["r1"]), { type: "nonsense" }, { type: "finished", time: "t", step: 1, outcome: "stopped", seconds: 1 }]);
    const run = await readRun(dir);
    expect(run.state.phase).toBe("stopped");
    expect(run.bad).toEqual([expect.objectContaining({ line: 3 })]);
  });

  it("is waiting just after it was made, and interrupted when nothing ever came", async () => {
    const dir = makeRun("a", []);
    expect((await readRun(dir)).state.phase).toBe("waiting");
    const long = new Date(Date.now() - 3_600_000);
    utimesSync(path.join(dir, "run.json"), long, long);
    expect((await readRun(dir)).state.phase).toBe("interrupted");
  });

  it("names the file of a run that this version cannot read", async () => {
    const dir = makeRun("a", []);
    const file = path.join(dir, "run.json");
    writeFileSync(file, readFileSync(file, "utf8").replace('"sft"', '"telepathy"'));
    await expect(readRun(dir)).rejects.toMatchObject({ problem: { code: "native_contract", message: expect.stringContaining(file) as string } });
    await expect(readRun(path.join(root, "nowhere"))).rejects.toMatchObject({ problem: { code: "no_run", blame: "user" } });
  });

  it("gives a step's rows, those of the newest attempt", async () => {
    const dir = makeRun("a", [started(1), stepEvent(1, ["old"]), stepEvent(2, ["x"])]);
    appendFileSync(path.join(dir, "events.jsonl"), `${JSON.stringify(started(1))}\n${JSON.stringify(stepEvent(1, ["new", "newer"]))}\n`);
    expect(await rowsOfStep(dir, 1)).toEqual(["new", "newer"]);
    await expect(rowsOfStep(dir, 9)).rejects.toMatchObject({ problem: { code: "no_step" } });
  });

  it("leads back to the dataset of its rows", async () => {
    const dir = makeRun("a", []);
    const dataset = path.join(root, ".tillage", "datasets", "pairs@1");
    mkdirSync(dataset, { recursive: true });
    const { spec } = await readRun(dir);
    expect(datasetOf(dir, spec)).toBeUndefined();
    writeFileSync(path.join(dataset, "manifest.json"), "{}");
    expect(datasetOf(dir, spec)).toBe(dataset);
  });
});

describe("the runs of a workspace", () => {
  it("are listed newest first, those that cannot be read told apart", async () => {
    const old = makeRun("old", [started(1), stepEvent(3, ["r"]), { type: "finished", time: "t", step: 10, outcome: "completed", seconds: 1, output: "adapter" }]);
    const past = new Date(Date.now() - 60_000);
    utimesSync(path.join(old, "events.jsonl"), past, past);
    makeRun("new", [started(1), stepEvent(4, ["r"]), { type: "finished", time: "t", step: 4, outcome: "stopped", seconds: 1 }], { name: "other", file: "../../../other.run.yaml" });
    mkdirSync(path.join(root, ".tillage", "runs", "broken"));
    const broken: string[] = [];
    const runs = await listRuns(root, (dir) => broken.push(path.basename(dir)));
    expect(runs.map((run) => [run.id, run.phase, run.loss])).toEqual([["new", "stopped", 3], ["old", "completed", 3]]);
    expect(broken).toEqual(["broken"]);
    expect((await lastRunOf(root, path.join(root, "tune.run.yaml")))?.id).toBe("old");
  });

  it("are none where there is no folder", async () => {
    expect(await listRuns(root)).toEqual([]);
  });

  it("keep the newest numbers of a file of which only the ends are read", async () => {
    const steps = Array.from({ length: 6_000 }, (_value, index) => stepEvent(index + 1, ["some-row-id-of-usual-length"]));
    const dir = makeRun("long", [started(await deadPid()), ...steps]);
    expect(readFileSync(path.join(dir, "events.jsonl")).length).toBeGreaterThan(600 * 1024);
    expect((await listRuns(root))[0]).toMatchObject({ step: 6_000, total: 10, phase: "interrupted" });
  });
});

describe("whether an engine lives", () => {
  it("is told by its process, and by its name where pids may have been used again", async () => {
    const child = spawn(process.execPath, ["-e", "setTimeout(() => {}, 60000)"]);
    children.push(child);
    await new Promise((resolve) => child.once("spawn", resolve));
    const pid = child.pid ?? 0;
    expect(engineAlive(pid, "node")).toBe(true);
    if (process.platform === "linux") expect(engineAlive(pid, "tillage-native")).toBe(false);
    expect(engineAlive(await deadPid(), "node")).toBe(false);
  });

  it("is not denied because it belongs to somebody else", () => {
    const kill = vi.spyOn(process, "kill").mockImplementation(() => {
      throw Object.assign(new Error("not yours"), { code: "EPERM" });
    });
    const name = process.platform === "linux" ? readFileSync("/proc/self/comm", "utf8").trim() : "node";
    expect(engineAlive(process.pid, name)).toBe(true);
    kill.mockRestore();
  });
});
