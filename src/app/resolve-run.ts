import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import { parseEvalFile } from "../core/eval/schema";
import { FORK, parseRunFile } from "../core/run/schema";
import type { RunFile, TemplateChoice } from "../core/run/schema";
import type { BuildProgress, BuildResult, GuardResult } from "../protocol/corpus";
import { TillageError } from "../protocol/errors";
import type { ModelSource, RunSpec, Template } from "../protocol/native.gen";
import { runsDir, stem } from "../disk/layout";
import type { Deps } from "./deps";
import { besides, readYaml } from "./files";
import { readAdapter, resolveCheckpoint, resolveModel } from "./models";

/** A run, ready to be looked at and started. */
export interface PlannedRun {
  spec: RunSpec;
  /** The folder that the run will have; it does not exist yet. */
  runDir: string;
  guards: GuardResult[];
  /** Guards that fail and that the run file does not override. */
  blocked: GuardResult[];
  dataset?: BuildResult;
}

export interface ResolveOptions {
  signal?: AbortSignal;
  progress?: (progress: BuildProgress) => void;
  /** Takes the sources as they are: no step of the recipe runs. */
  raw?: boolean;
  /** Overrides beside those of the run file. */
  overrides?: Record<string, string>;
}

/** Reads a run file, builds its dataset when it is stale, and resolves everything to the engine's `run.json`. */
export async function resolveRun(runFile: string, deps: Deps, options: ResolveOptions = {}): Promise<PlannedRun> {
  const file = path.resolve(runFile);
  const run = readYaml(file, "run file", parseRunFile);
  const dataset = typeof run.data === "string" ? await deps.corpus.build({ path: besides(file, run.data), skipSteps: options.raw ?? false, root: deps.root, evals: run.watch ? [path.relative(path.dirname(besides(file, run.data)), besides(file, run.watch.eval))] : [] }, options.signal, options.progress) : undefined;
  const name = stem(file);
  const id = `${name}-${timestamp(new Date())}-${randomBytes(2).toString("hex")}`;
  const overrides = { ...run.guards?.override, ...options.overrides };
  const guards = dataset?.guards ?? [];
  const start = startOf(run, deps.root, file);
  const spec: RunSpec = {
    version: 1,
    id,
    name,
    file,
    objective: run.objective,
    ...(run.preference ? { preference: run.preference } : {}),
    ...(run.policy ? { policy: { ...run.policy, rewards: run.policy.rewards.map((reward) => rewardOf(reward, deps.root, file)) } } : {}),
    ...(run.distill ? { distill: teacherOf(run.distill, deps.root, file) } : {}),
    ...start,
    dtype: run.dtype,
    ...forkOf(run, deps.root),
    data: dataFiles(run, file, dataset),
    template: toTemplate(run.template),
    ...(run.weight === undefined ? {} : { weight: run.weight }),
    loss_on: run.loss_on ?? (run.objective === "pretrain" ? "all" : "completion"),
    train: { ...trainOf(run, dataset), max_steps: run.train.max_steps ?? null, seed: run.seed, watch_every: run.watch?.every ?? 0 },
    watch: run.watch ? readYaml(besides(file, run.watch.eval), "eval file", parseEvalFile).prompts.map(({ id: promptId, prompt }) => ({ id: promptId, prompt })) : [],
    watch_max_new: run.watch?.max_new_tokens ?? 64,
    threads: run.threads,
    overrides,
  };
  const blocked = guards.filter((guard) => !guard.ok && !Object.hasOwn(overrides, guard.guard));
  return { spec, runDir: path.join(runsDir(deps.root), id), guards, blocked, dataset };
}

/** The settings with the order of the rows: the run file's own, or that of the dataset's curriculum. Shuffled rows are not written, as before there was an order. */
function trainOf({ train: { order, ...train } }: RunFile, dataset: BuildResult | undefined): Omit<RunFile["train"], "order"> & Pick<RunSpec["train"], "order"> {
  const curriculum = dataset?.curriculum !== undefined && dataset.curriculum.order !== "shuffle";
  return (order ?? (curriculum ? "stored" : "shuffled")) === "stored" ? { ...train, order: "stored" } : train;
}

function teacherOf({ teacher, sequence, ...settings }: NonNullable<RunFile["distill"]>, root: string, file: string): RunSpec["distill"] {
  const model = resolveModel(root, teacher, path.dirname(file));
  return { teacher: model.base, ...(model.adapter === undefined ? {} : { adapter: model.adapter }), ...settings, ...(sequence === false ? {} : { sequence: sequence === true ? {} : sequence }) };
}

type Policy = NonNullable<RunSpec["policy"]>;

/** A reward with what it names: a schema's file read, a model's folders found, and the folder in which a program runs. */
function rewardOf(reward: NonNullable<RunFile["policy"]>["rewards"][number], root: string, file: string): Policy["rewards"][number] {
  switch (reward.kind) {
    case "json_schema":
      return { ...reward, schema: typeof reward.schema === "string" ? readJson(besides(file, reward.schema)) : reward.schema };
    case "reward_model": {
      const { model, ...settings } = reward;
      const { base, adapter } = resolveModel(root, model, path.dirname(file));
      if (adapter === undefined) throw TillageError.user("no_reward_model", `${model} is no adapter, so it has no scalar head.`, "Name the result of a run with the objective `reward`.", { file });
      return { ...settings, base, adapter };
    }
    case "command":
      return { ...reward, cwd: path.dirname(file) };
    default:
      return reward;
  }
}

/** @throws `bad_json_file` when it cannot be read or is not JSON */
function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as unknown;
  } catch (error) {
    throw TillageError.user("bad_json_file", `${file} cannot be read as JSON: ${error instanceof Error ? error.message : String(error)}.`, "Name a file with a JSON Schema.", { file });
  }
}

/** The engine's form of a template. */
export function toTemplate(choice: TemplateChoice): Template {
  return typeof choice === "string" ? { kind: choice } : { kind: "format", prompt: choice.prompt };
}

/** What the run begins with, and the adapter or prompt that it trains: its own, or the one that it goes on with. */
function startOf(run: RunFile, root: string, file: string): Pick<RunSpec, "model" | "adapter" | "prompt"> {
  const adapter = run.adapter ?? null;
  const own = { adapter, ...(run.prompt ? { prompt: run.prompt } : {}) };
  if (typeof run.model === "string") {
    const from = resolveModel(root, run.model, path.dirname(file));
    if (from.adapter === undefined) return { model: { kind: "folder", path: from.base }, ...own };
    const model: ModelSource = { kind: "folder", path: from.base, adapter: from.adapter };
    return { model, ...(run.adapter || run.prompt ? own : readAdapter(from.adapter)) };
  }
  const { tokenizer, ...shape } = run.model.init;
  const source: ModelSource = {
    kind: "init",
    shape,
    tokenizer: typeof tokenizer === "string" ? { kind: "folder", path: resolveModel(root, tokenizer, path.dirname(file)).base } : { kind: "train", vocab_size: tokenizer.vocab_size },
  };
  return { model: source, ...own };
}

function forkOf(run: RunFile, root: string): Pick<RunSpec, "fork"> {
  const [, name, step] = FORK.exec(run.fork ?? "") ?? [];
  return name === undefined ? {} : { fork: { checkpoint: resolveCheckpoint(root, name, Number(step)) } };
}

function dataFiles(run: RunFile, file: string, dataset: BuildResult | undefined): RunSpec["data"] {
  if (typeof run.data !== "string") return { train: run.data.train.map((item) => besides(file, item)), valid: run.data.valid.map((item) => besides(file, item)) };
  const shards = (name: string): string[] => (dataset?.split.find((part) => part.name === name)?.files ?? []).map((item) => path.resolve(dataset?.dataset ?? "", item));
  return { train: shards("train"), valid: shards("valid") };
}

function timestamp(date: Date): string {
  return date.toISOString().replace(/[-:]/gu, "").replace("T", "-").slice(0, 15);
}

/** First 16 hex digits of a text's SHA-256. */
export function textHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
