/** A run's folder, read: the only state that a run shares with the world. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { open, readdir, stat } from "node:fs/promises";
import path from "node:path";
import { emptyRun, foldEvents, withLiveness } from "../core/run/state";
import type { RunPhase, RunState } from "../core/run/state";
import { TillageError } from "../protocol/errors";
import type { Event, RunSpec } from "../protocol/native.gen";
import { EVENTS_FILE, EventLines, EventReader } from "./follow";
import type { BadLine } from "./follow";
import { runsDir } from "../disk/layout";
import { engineFileName } from "./locate";
import { readSpec } from "./spec";

export interface Run {
  dir: string;
  spec: RunSpec;
  state: RunState;
  /** Lines of `events.jsonl` that are not events. */
  bad: BadLine[];
}

/** What a list of runs shows of one. */
export interface RunSummary {
  id: string;
  dir: string;
  name: string;
  /** The `*.run.yaml` that it was made from. */
  file?: string;
  objective: RunSpec["objective"];
  adapter: boolean;
  phase: RunPhase;
  step: number;
  total: number;
  /** Loss of the newest step, nats; absent before the first. */
  loss?: number;
  /** RFC 3339; of the newest attempt. */
  startedAt?: string;
}

/** A folder that a run's process has been started for may stay silent this long before it counts as interrupted, ms. */
const SILENT_START_MS = 15_000;

/** A whole run as it is now. */
export async function readRun(dir: string): Promise<Run> {
  const spec = readSpec(dir);
  let state = emptyRun();
  let bad: BadLine[] = [];
  await new EventReader(dir).read((batch) => {
    state = foldEvents(batch.reset ? emptyRun() : state, batch.events);
    bad = batch.reset ? batch.bad : [...bad, ...batch.bad];
  });
  return { dir, spec, state: settle(dir, state), bad };
}

/** The folded state with what the folder and the machine know: whether the process lives, whether it was asked to stop. */
export function settle(dir: string, state: RunState): RunState {
  if (state.phase !== "running" && state.phase !== "waiting") return state;
  return withLiveness(state, { alive: isAlive(dir, state), stopRequested: existsSync(path.join(dir, "stop")) });
}

/** Whether the process of a run that has said no last word is at work. */
function isAlive(dir: string, state: RunState): boolean {
  const locked = lockPid(dir);
  if (locked !== undefined && locked !== state.attempt?.pid && engineAlive(locked)) return true;
  if (state.attempt) return engineAlive(state.attempt.pid);
  try {
    // Between the start of the process and its first event there is only the file that it was started with.
    return Date.now() - statSync(path.join(dir, "run.json")).mtimeMs < SILENT_START_MS;
  } catch {
    return false;
  }
}

/** The pid of the engine that holds a run's folder now. */
export function holderOf(dir: string): number | undefined {
  const pid = lockPid(dir);
  return pid !== undefined && engineAlive(pid) ? pid : undefined;
}

/** The pid that the lock names. The file outlives the process, so it proves nothing by itself. */
export function lockPid(dir: string): number | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path.join(dir, "lock"), "utf8"));
    const pid = typeof value === "object" && value !== null && "pid" in value ? value.pid : undefined;
    return typeof pid === "number" && Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Whether an engine runs under this pid on this machine. Pids are used again, so where the system tells a process's name
 * (Linux) it has to be the engine's, and a process that only waits to be reaped does not count.
 */
export function engineAlive(pid: number, processName = engineFileName): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  if (process.platform !== "linux") return true;
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const name = text.slice(text.indexOf("(") + 1, text.lastIndexOf(")"));
    // The kernel keeps 15 characters of a name.
    return name === processName.slice(0, 15) && !/^[ZX]/.test(text.slice(text.lastIndexOf(")") + 2));
  } catch {
    return false;
  }
}

/** All runs of a workspace, newest first. Folders without a readable `run.json` are left out and given to `onUnreadable`. */
export async function listRuns(root: string, onUnreadable?: (dir: string, error: unknown) => void): Promise<RunSummary[]> {
  let names: string[];
  try {
    names = (await readdir(runsDir(root), { withFileTypes: true })).filter((entry) => entry.isDirectory() && !entry.name.startsWith(".")).map((entry) => entry.name);
  } catch {
    return [];
  }
  const runs = await Promise.all(names.map(async (name) => {
    const dir = path.join(runsDir(root), name);
    try {
      return { at: await lastChange(dir), summary: await summarise(dir) };
    } catch (error) {
      onUnreadable?.(dir, error);
      return undefined;
    }
  }));
  return runs.filter((run) => run !== undefined).sort((a, b) => b.at - a.at).map((run) => run.summary);
}

/** The newest run that a run file made, if any. */
export async function lastRunOf(root: string, runFile: string): Promise<RunSummary | undefined> {
  const wanted = path.resolve(runFile);
  return (await listRuns(root)).find((run) => run.file !== undefined && path.resolve(run.dir, run.file) === wanted);
}

async function summarise(dir: string): Promise<RunSummary> {
  const spec = readSpec(dir);
  const state = settle(dir, foldEvents(emptyRun(), await endsOfEvents(path.join(dir, EVENTS_FILE))));
  return {
    id: spec.id, dir, name: spec.name, objective: spec.objective, adapter: Boolean(spec.adapter), phase: state.phase, step: state.step, total: state.total,
    ...(spec.file ? { file: spec.file } : {}),
    ...(state.series.loss.length > 0 ? { loss: state.series.loss.at(-1) } : {}),
    ...(state.attempt ? { startedAt: state.attempt.time } : {}),
  };
}

const END = 256 * 1024;

/** The first and the last events of a file that may be long; enough for a summary. */
async function endsOfEvents(file: string): Promise<Event[]> {
  let handle;
  try {
    handle = await open(file, "r");
  } catch {
    return [];
  }
  try {
    const { size } = await handle.stat();
    const part = async (from: number, length: number): Promise<Event[]> => {
      const buffer = Buffer.alloc(length);
      const { bytesRead } = await handle.read(buffer, 0, length, from);
      const bytes = buffer.subarray(0, bytesRead);
      // A part from the middle starts inside a line.
      return new EventLines().push(from === 0 ? bytes : bytes.subarray(bytes.indexOf(10) + 1)).events;
    };
    if (size <= 2 * END) return await part(0, size);
    return [...(await part(0, END)), ...(await part(size - END, END))];
  } finally {
    await handle.close();
  }
}

/**
 * The row ids of one step's batch, read from the events when somebody asks.
 * @throws `no_step` when the run has no such step
 */
export async function rowsOfStep(dir: string, step: number): Promise<string[]> {
  let rows: string[] | undefined;
  await new EventReader(dir).read((batch) => {
    for (const event of batch.events) if (event.type === "step" && event.step === step) rows = event.rows;
  });
  if (rows) return rows;
  throw TillageError.user("no_step", `The run has no step ${step}.`, "Choose a point of the curve.");
}

/** The dataset folder that a run's rows came from: the nearest folder above its first shard that has a manifest. */
export function datasetOf(dir: string, spec: RunSpec): string | undefined {
  const shard = spec.data.train[0];
  if (shard === undefined) return undefined;
  for (let at = path.dirname(path.resolve(dir, shard)); path.dirname(at) !== at; at = path.dirname(at)) {
    if (existsSync(path.join(at, "manifest.json"))) return at;
  }
  return undefined;
}

async function lastChange(dir: string): Promise<number> {
  for (const name of [EVENTS_FILE, "run.json"]) {
    try {
      return (await stat(path.join(dir, name))).mtimeMs;
    } catch {
      continue;
    }
  }
  return 0;
}
