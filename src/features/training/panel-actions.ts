import path from "node:path";
import * as vscode from "vscode";
import type { Deps } from "../../app/deps";
import { phaseWord } from "../../core/run/state";
import { rootOf } from "../../vscode/root";
import { listRuns } from "../../runtime/run-folder";
import type { Services } from "../../vscode/services";
import { overrideSnippet } from "./override";
import type { RunFeeds } from "./run-feed";

/** What a training panel needs of the feature. */
export interface TrainingHost {
  services: Services;
  feeds: RunFeeds;
  /** A run was started or resumed here. */
  onStarted(dir: string): void;
}

export function depsFor(services: Services, fileOrDir: string): Deps {
  return { root: rootOf(fileOrDir), corpus: services.corpus, engine: services.engine };
}

/** Opens a file beside the panel, at a 1-based line when there is one. */
export async function openAt(file: string, line?: number): Promise<void> {
  const at = new vscode.Position(Math.max(0, (line ?? 1) - 1), 0);
  await vscode.window.showTextDocument(vscode.Uri.file(file), { viewColumn: vscode.ViewColumn.Beside, selection: new vscode.Range(at, at) });
}

/** Opens the run file; for a guard, with the place ready where the reason for its override is written. */
export async function revealOverride(file: string, guard?: string): Promise<void> {
  const document = await vscode.workspace.openTextDocument(vscode.Uri.file(file));
  const editor = await vscode.window.showTextDocument(document, { viewColumn: vscode.ViewColumn.Beside });
  if (guard === undefined) return;
  const place = overrideSnippet(document.getText(), guard);
  if (place) await editor.insertSnippet(new vscode.SnippetString(place.snippet), document.positionAt(place.offset));
}

/** Asks which other runs are laid over this one; undefined when the user left it. */
export async function chooseOverlays(dir: string, chosen: readonly string[]): Promise<string[] | undefined> {
  const runs = (await listRuns(rootOf(dir))).filter((run) => run.dir !== dir);
  if (runs.length === 0) {
    void vscode.window.showInformationMessage("There is no other run in this workspace to compare with.");
    return undefined;
  }
  const items = runs.map((run) => ({
    label: run.name, description: `${phaseWord(run.phase)} · step ${run.step}`, detail: path.basename(run.dir), dir: run.dir, picked: chosen.includes(run.dir),
  }));
  const picked = await vscode.window.showQuickPick(items, { canPickMany: true, title: "Lay other runs over this one", matchOnDetail: true });
  return picked?.map((item) => item.dir);
}
