import { existsSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { readText } from "../disk/read-text";
import { TillageError } from "../protocol/errors";
import type { LoraConfig, PromptConfig, Template } from "../protocol/native.gen";
import { runsDir } from "../disk/layout";
import { readSpec } from "../runtime/spec";

/** A model that can be asked. */
export interface ResolvedModel {
  /** As it was named. */
  ref: string;
  label: string;
  base: string;
  adapter?: string;
  /** How its training rows became text; plain when it was not trained here. */
  template: Template;
}

/** Run folders of a run file's stem, newest first. A broken `run.json` is an error only where its folder bears the name that is asked for. */
export function runsNamed(root: string, name?: string): string[] {
  const dir = runsDir(root);
  if (!existsSync(dir)) return [];
  return readdirSync(dir)
    .filter((entry) => existsSync(path.join(dir, entry, "run.json")))
    .map((entry) => ({ dir: path.join(dir, entry), made: statSync(path.join(dir, entry, "run.json")).mtimeMs }))
    .sort((a, b) => b.made - a.made || (a.dir < b.dir ? 1 : -1))
    .map((entry) => entry.dir)
    .filter((entry) => name === undefined || isNamed(entry, name));
}

function isNamed(run: string, name: string): boolean {
  try {
    return readSpec(run).name === name;
  } catch (error) {
    if (path.basename(run).startsWith(`${name}-`)) throw error;
    return false;
  }
}

/**
 * Resolves a model's name: a folder (relative to `from`), `run:NAME` (the newest finished run of that run file)
 * or `run:NAME@STEP` (a checkpoint of its newest run).
 */
export function resolveModel(root: string, ref: string, from: string): ResolvedModel {
  const match = /^run:([^@]+)(?:@(\d+))?$/u.exec(ref);
  return match ? resolveRunModel(root, ref, match[1] ?? "", match[2] === undefined ? undefined : Number(match[2])) : resolveFolder(ref, from);
}

function resolveRunModel(root: string, ref: string, name: string, step: number | undefined): ResolvedModel {
  const runs = runsNamed(root, name);
  if (runs.length === 0) throw noRun(root, name);
  const within = (run: string): string[] => (step === undefined ? [path.join(run, "model"), path.join(run, "adapter")] : [checkpointFolder(run, step)]);
  for (const run of runs) {
    const found = within(run).find((dir) => existsSync(dir));
    if (!found) continue;
    const spec = readSpec(run);
    const label = step === undefined ? name : `${name} at step ${step}`;
    if (!existsSync(path.join(found, "adapter_config.json"))) return { ref, label, base: found, template: spec.template };
    if (spec.model.kind !== "folder") throw TillageError.user("broken_run", `${run} holds an adapter but its run.json names no base model.`, "Delete the run's folder and run it again.");
    return { ref, label, base: path.resolve(run, spec.model.path), adapter: found, template: spec.template };
  }
  throw step === undefined
    ? TillageError.user("no_result", `No run of ${name} has finished yet.`, "Resume it, or name one of its checkpoints as run:NAME@STEP.")
    : noCheckpoint(name, step, runs);
}

/**
 * The folder of a checkpoint `NAME@STEP`: of the newest run of that name that has it, or of the run with that id.
 * @throws `no_run` or `no_checkpoint`
 */
export function resolveCheckpoint(root: string, name: string, step: number): string {
  const byId = runsNamed(root).filter((run) => path.basename(run) === name);
  const runs = byId.length > 0 ? byId : runsNamed(root, name);
  if (runs.length === 0) throw noRun(root, name);
  const found = runs.map((run) => checkpointFolder(run, step)).find((dir) => existsSync(dir));
  if (found === undefined) throw noCheckpoint(name, step, runs);
  return found;
}

function checkpointFolder(run: string, step: number): string {
  return path.join(run, "checkpoints", `step-${String(step).padStart(6, "0")}`);
}

function noRun(root: string, name: string): TillageError {
  return TillageError.user("no_run", `There is no run named ${name} in ${runsDir(root)}.`, `Start ${name}.run.yaml first.`);
}

function noCheckpoint(name: string, step: number, runs: readonly string[]): TillageError {
  const steps = [...new Set(runs.flatMap((run) => checkpointSteps(run)))].sort((a, b) => a - b);
  const there = steps.length > 0 ? `Name one of the steps there are: ${steps.join(", ")}.` : "Resume it, or set `checkpoint_every` and start it again.";
  return TillageError.user("no_checkpoint", `No run of ${name} has a checkpoint at step ${step}.`, there);
}

function resolveFolder(ref: string, from: string): ResolvedModel {
  const dir = path.resolve(from, ref);
  if (existsSync(path.join(dir, "adapter_config.json"))) {
    const base = baseOf(dir);
    if (!existsSync(path.join(base, "config.json"))) {
      throw TillageError.user("no_base", `The adapter ${dir} names a base model that is not there: ${base}.`, "Put the base model's folder there, or correct base_model_name_or_path.", { file: path.join(dir, "adapter_config.json") });
    }
    return { ref, label: path.basename(dir), base, adapter: dir, template: { kind: "plain" } };
  }
  if (!existsSync(path.join(dir, "config.json"))) {
    throw TillageError.user("no_model", `${dir} is not a model folder: it has no config.json.`, "Name a Hugging Face model folder, or a run as run:NAME.", { file: dir });
  }
  return { ref, label: path.basename(dir), base: dir, template: { kind: existsSync(path.join(dir, "chat_template.jinja")) ? "chat" : "plain" } };
}

const promptSchema = z.looseObject({
  base_model_name_or_path: z.string(),
  peft_type: z.literal("PROMPT_TUNING"),
  num_virtual_tokens: z.number().int().positive(),
});
const loraSchema = z.looseObject({
  base_model_name_or_path: z.string(),
  r: z.number().int().positive(),
  lora_alpha: z.number().positive(),
  lora_dropout: z.number().nullish(),
  use_rslora: z.boolean().nullish(),
  use_dora: z.boolean().nullish(),
  target_modules: z.union([z.string(), z.array(z.string())]),
});
type LoraFields = z.infer<typeof loraSchema>;
type PromptFields = z.infer<typeof promptSchema>;
const typeSchema = z.looseObject({ peft_type: z.unknown() });

/** The settings of an adapter's folder, for a run that goes on with it. */
export function readAdapter(adapter: string): { adapter: LoraConfig | null; prompt?: PromptConfig } {
  const config = adapterConfig(adapter);
  if (isPrompt(config)) return { adapter: null, prompt: { tokens: config.num_virtual_tokens } };
  const targets = typeof config.target_modules === "string" ? [config.target_modules] : config.target_modules;
  return { adapter: { r: config.r, alpha: config.lora_alpha, dropout: config.lora_dropout ?? 0, targets, rslora: config.use_rslora ?? false, dora: config.use_dora ?? false } };
}

function isPrompt(config: LoraFields | PromptFields): config is PromptFields {
  return config.peft_type === "PROMPT_TUNING";
}

/** The base model's folder that an adapter's config names. */
function baseOf(adapter: string): string {
  return path.resolve(adapter, adapterConfig(adapter).base_model_name_or_path);
}

function adapterConfig(adapter: string): LoraFields | PromptFields {
  const file = path.join(adapter, "adapter_config.json");
  const broken = (why: string): TillageError => TillageError.user("broken_adapter", `${file} is not an adapter's config: ${why}.`, "Copy the adapter's folder again.", { file });
  let value: unknown;
  try {
    value = JSON.parse(readText(file, "adapter config"));
  } catch (error) {
    throw error instanceof TillageError ? error : broken(error instanceof Error ? error.message : String(error));
  }
  const type = typeSchema.safeParse(value);
  const schema = type.success && type.data.peft_type === "PROMPT_TUNING" ? promptSchema : loraSchema;
  const config = schema.safeParse(value);
  if (!config.success) throw broken(config.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; "));
  return config.data;
}

/** Every model of a workspace that can be asked: results of runs, and their checkpoints. Newest first. */
export function listModels(root: string): ResolvedModel[] {
  const seen = new Set<string>();
  const models: ResolvedModel[] = [];
  for (const run of runsNamed(root)) {
    const name = nameOf(run);
    if (name === undefined || seen.has(name)) continue;
    seen.add(name);
    const refs = [`run:${name}`, ...checkpointSteps(run).map((step) => `run:${name}@${step}`)];
    for (const ref of refs) {
      try {
        models.push(resolveModel(root, ref, root));
      } catch (error) {
        // A run that has not finished has no result yet; its checkpoints are still listed.
        if (!(error instanceof TillageError) || error.problem.blame !== "user") throw error;
      }
    }
  }
  return models;
}

/** A run's name; undefined for a folder whose `run.json` cannot be read: it has no model to offer, the others have. */
function nameOf(run: string): string | undefined {
  try {
    return readSpec(run).name;
  } catch {
    return undefined;
  }
}

/** Steps at which a run has a checkpoint, ascending. */
export function checkpointSteps(runDir: string): number[] {
  const dir = path.join(runDir, "checkpoints");
  if (!existsSync(dir)) return [];
  return readdirSync(dir).flatMap((entry) => (/^step-\d+$/u.test(entry) ? [Number(entry.slice(5))] : [])).sort((a, b) => a - b);
}
