import path from "node:path";
import * as vscode from "vscode";
import type { ResolvedModel } from "../../app/models";
import { evalResultSchema } from "../../core/eval/result";
import { parseRunFile } from "../../core/run/schema";
import { rootOf } from "../../vscode/root";
import { readSpec } from "../../runtime/spec";
import { pathArgument } from "../../vscode/arguments";

const FILES = "**/*.eval.{yaml,yml}";

export function isEvalFile(document: vscode.TextDocument): boolean {
  return isEvalPath(document.uri.path);
}

export function isEvalPath(file: string): boolean {
  return /\.eval\.ya?ml$/.test(file);
}

/** An eval file, and the models to compare when the argument says which. */
export interface EvalTarget {
  file: string;
  before?: string;
  after?: string;
}

/**
 * What a command is about: an eval file, a `result.json` or its folder, a run's folder, `{file, before, after}`, or nothing,
 * which means the active editor, the only eval file there is, or the user's choice.
 */
export async function pickTarget(argument: unknown): Promise<EvalTarget | undefined> {
  if (typeof argument === "object" && argument !== null && "file" in argument && typeof argument.file === "string") {
    const { file, before, after } = argument as EvalTarget;
    return { file, ...(before ? { before } : {}), ...(after ? { after } : {}) };
  }
  // A comment thread carries its document.
  const given = pathArgument(typeof argument === "object" && argument !== null && "uri" in argument ? argument.uri : argument);
  if (given === undefined) return pickFile();
  if (isEvalPath(given)) return { file: given };
  return (await fromResult(given)) ?? (await fromRun(given));
}

async function fromResult(given: string): Promise<EvalTarget | undefined> {
  const file = path.basename(given) === "result.json" ? given : path.join(given, "result.json");
  try {
    const bytes = await vscode.workspace.fs.readFile(vscode.Uri.file(file));
    const result = evalResultSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
    return { file: path.resolve(rootOf(file), result.file), after: result.model.ref };
  } catch {
    return undefined;
  }
}

/** A run's result and what it started from, on the eval file that its run file watches; otherwise on one that the user chooses. */
async function fromRun(dir: string): Promise<EvalTarget | undefined> {
  const spec = readSpec(dir);
  const watched = spec.file ? await watchedEval(path.resolve(dir, spec.file)) : undefined;
  const target = watched === undefined ? await pickFile() : { file: watched };
  return target && { ...target, after: `run:${spec.name}` };
}

async function watchedEval(runFile: string): Promise<string | undefined> {
  try {
    const text = new TextDecoder().decode(await vscode.workspace.fs.readFile(vscode.Uri.file(runFile)));
    const watch = parseRunFile(text, runFile).value?.watch;
    return watch && path.resolve(path.dirname(runFile), watch.eval);
  } catch {
    // The run file has gone since; the user chooses.
    return undefined;
  }
}

async function pickFile(): Promise<EvalTarget | undefined> {
  const active = vscode.window.activeTextEditor?.document;
  if (active && isEvalFile(active)) return { file: active.uri.fsPath };
  const files = await vscode.workspace.findFiles(FILES, "**/{node_modules,.tillage}/**");
  if (files.length === 0) {
    void vscode.window.showInformationMessage("This workspace has no eval file. An eval file is one whose name ends in .eval.yaml.");
    return undefined;
  }
  if (files.length === 1 && files[0]) return { file: files[0].fsPath };
  const items = files.map((uri) => ({ label: path.basename(uri.fsPath), description: vscode.workspace.asRelativePath(path.dirname(uri.fsPath)), file: uri.fsPath }));
  const picked = await vscode.window.showQuickPick(items.sort((a, b) => a.label.localeCompare(b.label)), { placeHolder: "Which eval file?" });
  return picked && { file: picked.file };
}

/** Lets the user choose a model: what runs made, or a folder. */
export async function pickModel(models: readonly ResolvedModel[], placeHolder: string): Promise<{ ref: string; label: string } | undefined> {
  const items = [
    ...models.map((model) => ({ label: model.label, description: model.adapter ? "adapter" : "", detail: model.ref === model.label ? "" : model.ref, ref: model.ref })),
    { label: "$(folder-opened) A model folder…", description: "", detail: "a Hugging Face model or a PEFT adapter on this machine", ref: "" },
  ];
  const picked = await vscode.window.showQuickPick(items, { placeHolder, matchOnDetail: true });
  if (!picked) return undefined;
  if (picked.ref !== "") return { ref: picked.ref, label: picked.label };
  return pickFolder();
}

export async function pickFolder(): Promise<{ ref: string; label: string } | undefined> {
  const folders = await vscode.window.showOpenDialog({ canSelectFolders: true, canSelectFiles: false, openLabel: "Take this model", title: "A folder with config.json and model.safetensors, or with adapter_config.json" });
  const folder = folders?.[0]?.fsPath;
  return folder === undefined ? undefined : { ref: folder, label: path.basename(folder) };
}
