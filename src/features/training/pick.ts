import path from "node:path";
import * as vscode from "vscode";
import { formatCount } from "../../core/format";
import { phaseWord } from "../../core/run/state";
import type { RunPhase } from "../../core/run/state";
import { rootOf } from "../../vscode/root";
import { listRuns } from "../../runtime/run-folder";
import type { RunSummary } from "../../runtime/run-folder";
import { pathArgument } from "../../vscode/arguments";

const FILES = "**/*.run.{yaml,yml}";

export function isRunFile(document: vscode.TextDocument): boolean {
  return /\.run\.ya?ml$/.test(document.uri.path);
}

/** The run file that a command is about: its argument, the active editor, the only one there is, or the user's choice. */
export async function pickRunFile(argument: unknown): Promise<string | undefined> {
  const given = pathArgument(argument);
  if (given !== undefined) return given;
  const active = vscode.window.activeTextEditor?.document;
  if (active && isRunFile(active)) return active.uri.fsPath;
  const files = await vscode.workspace.findFiles(FILES, "**/{node_modules,.tillage}/**");
  if (files.length === 0) {
    void vscode.window.showInformationMessage("This workspace has no run file. A run file is one whose name ends in .run.yaml.");
    return undefined;
  }
  if (files.length === 1) return files[0]?.fsPath;
  const items = files.map((uri) => ({ label: path.basename(uri.fsPath), description: vscode.workspace.asRelativePath(path.dirname(uri.fsPath)), file: uri.fsPath }));
  return (await vscode.window.showQuickPick(items.sort((a, b) => a.label.localeCompare(b.label)), { placeHolder: "Which run file?" }))?.file;
}

/** The workspace's roots, as runs are kept under them. */
export function roots(): string[] {
  return [...new Set((vscode.workspace.workspaceFolders ?? []).filter((folder) => folder.uri.scheme === "file").map((folder) => rootOf(folder.uri.fsPath)))];
}

/** Every run of the workspace, newest first. */
export async function allRuns(): Promise<RunSummary[]> {
  return (await Promise.all(roots().map((root) => listRuns(root)))).flat();
}

/** The run's folder that a command is about: its argument, or the user's choice among those in one of the phases. */
export async function pickRun(argument: unknown, purpose: string, fits: (phase: RunPhase) => boolean = () => true): Promise<string | undefined> {
  const given = pathArgument(argument);
  if (given !== undefined) return given;
  const runs = (await allRuns()).filter((run) => fits(run.phase));
  if (runs.length === 0) {
    void vscode.window.showInformationMessage("There is no such run in this workspace.");
    return undefined;
  }
  const items = runs.map((run) => ({ label: run.name, description: describe(run), detail: run.id, dir: run.dir }));
  return (await vscode.window.showQuickPick(items, { placeHolder: purpose, matchOnDetail: true }))?.dir;
}

function describe(run: RunSummary): string {
  const loss = run.loss === undefined ? "" : ` · loss ${run.loss.toFixed(3)}`;
  return `${phaseWord(run.phase)} · step ${formatCount(run.step)} of ${formatCount(run.total)}${loss}`;
}
