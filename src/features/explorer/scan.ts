import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import * as vscode from "vscode";
import { z } from "zod";
import type { RunSummary } from "../../runtime/run-folder";
import { findCorpora, findEvalFiles, findModelConfigs, findRecipes, findRunFiles } from "../../vscode/workspace-files";
import { familyOf } from "./nodes";
import type { DatasetFact, ModelFact, ResultFact, SourceFact } from "./nodes";

/** Folders that hold a `.tillage`, wherever in the workspace they are. */
export async function tillageRoots(): Promise<string[]> {
  const found = await vscode.workspace.findFiles("**/.tillage/{datasets/*/manifest.json,runs/*/run.json,evals/*/result.json}", "**/node_modules/**");
  return [...new Set(found.map((uri) => uri.fsPath.slice(0, uri.fsPath.lastIndexOf(`${path.sep}.tillage${path.sep}`))))].sort();
}

export async function scanSources(): Promise<SourceFact[]> {
  const facts = await Promise.all((await findCorpora()).map(async (uri) => ({ file: uri.fsPath, bytes: await sizeOf(uri.fsPath) })));
  return facts.filter((fact): fact is SourceFact => fact.bytes !== undefined);
}

export async function scanRecipes(): Promise<string[]> {
  return (await findRecipes()).map((uri) => uri.fsPath);
}

export async function scanRuns(roots: readonly string[], log: vscode.LogOutputChannel): Promise<{ runFiles: string[]; runs: RunSummary[] }> {
  // Its schema checker is only needed where there are runs.
  const { listRuns } = await import("../../runtime/run-folder");
  const [files, ...lists] = await Promise.all([findRunFiles(), ...roots.map((root) => listRuns(root, (dir, error) => log.debug(`${dir}: ${String(error)}`)))]);
  return { runFiles: files.map((uri) => uri.fsPath), runs: lists.flat() };
}

const manifest = z.object({ shape: z.string().optional(), split: z.array(z.object({ name: z.string(), rows: z.number(), files: z.array(z.string()) })) });

export async function scanDatasets(roots: readonly string[]): Promise<DatasetFact[]> {
  return perFolder(roots, "datasets", async (dir) => {
    const file = path.join(dir, "manifest.json");
    const { shape, split } = manifest.parse(JSON.parse(await readFile(file, "utf8")));
    return { dir, splits: split, shape: shape ?? "", time: (await stat(file)).mtimeMs };
  });
}

const result = z.object({ file: z.string(), model: z.object({ label: z.string() }), correct: z.number(), of: z.number(), time: z.string() });

export async function scanEvals(roots: readonly string[]): Promise<{ evals: string[]; results: ResultFact[] }> {
  const files = (await findEvalFiles()).map((uri) => uri.fsPath);
  const results = await perFolder(roots, "evals", async (dir, root) => {
    const file = path.join(dir, "result.json");
    const data = result.parse(JSON.parse(await readFile(file, "utf8")));
    return { file, evalFile: path.resolve(root, data.file), model: data.model.label, correct: data.correct, of: data.of, time: Date.parse(data.time) };
  });
  return { evals: files, results };
}

const config = z.object({ model_type: z.string().optional(), hidden_size: z.number().optional(), num_hidden_layers: z.number().optional() });

export async function scanModels(runs: readonly RunSummary[]): Promise<ModelFact[]> {
  const made = runs.flatMap((run) => (["model", "adapter"] as const).map((kind) => modelAt(path.join(run.dir, kind), kind, run)));
  const kept = (await findModelConfigs()).map((uri) => modelAt(path.dirname(uri.fsPath), uri.path.endsWith("adapter_config.json") ? "adapter" : "model"));
  return (await Promise.all([...made, ...kept])).filter((model) => model !== undefined);
}

/** A folder is a model when weights in safetensors lie beside its config. */
async function modelAt(dir: string, kind: ModelFact["kind"], run?: RunSummary): Promise<ModelFact | undefined> {
  try {
    const names = await readdir(dir);
    const weights = names.filter((name) => name.endsWith(".safetensors"));
    const configName = kind === "adapter" ? "adapter_config.json" : "config.json";
    if (weights.length === 0 || !names.includes(configName)) return undefined;
    const sizes = await Promise.all(weights.map((name) => sizeOf(path.join(dir, name))));
    const text = kind === "model" ? config.parse(JSON.parse(await readFile(path.join(dir, configName), "utf8"))) : {};
    return { dir, kind, bytes: sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0), family: familyOf(text), ...(run ? { run } : {}) };
  } catch {
    return undefined;
  }
}

/** What each folder of `.tillage/<kind>/` is; those that cannot be read are being written or are no such thing. */
async function perFolder<T>(roots: readonly string[], kind: string, read: (dir: string, root: string) => Promise<T>): Promise<T[]> {
  const lists = await Promise.all(roots.map(async (root) => {
    const parent = path.join(root, ".tillage", kind);
    const entries = await readdir(parent, { withFileTypes: true }).catch(() => []);
    const dirs = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith(".")).map((entry) => path.join(parent, entry.name));
    return Promise.all(dirs.map((dir) => read(dir, root).catch(() => undefined)));
  }));
  return lists.flat().filter((item): item is Awaited<T> => item !== undefined);
}

async function sizeOf(file: string): Promise<number | undefined> {
  return stat(file).then((info) => info.size, () => undefined);
}
