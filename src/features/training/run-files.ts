import * as vscode from "vscode";
import { runDocs } from "../../core/run/docs";
import { parseRunFile } from "../../core/run/schema";
import { phaseWord } from "../../core/run/state";
import { rootOf } from "../../vscode/root";
import { lastRunOf } from "../../runtime/run-folder";
import { YamlHelp } from "../../vscode/yaml-help";
import { isRunFile } from "./pick";

const PATTERN = "**/*.run.{yaml,yml}";

/** What run files get in the editor: problems, completion, hover, and the lenses at the top. */
export function registerRunFiles(): vscode.Disposable {
  const help = new YamlHelp({ pattern: PATTERN, matches: isRunFile, parse: parseRunFile, docs: runDocs });
  const lenses = new RunLenses();
  return vscode.Disposable.from(help, lenses, vscode.languages.registerCodeLensProvider({ pattern: PATTERN }, lenses));
}

/** `Start · Preflight · Open last run` above a run file's first line. */
class RunLenses implements vscode.CodeLensProvider, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChangeCodeLenses = this.changed.event;
  private readonly watcher = vscode.workspace.createFileSystemWatcher("**/.tillage/runs/*/run.json", false, true, false);

  constructor() {
    this.watcher.onDidCreate(() => this.changed.fire());
    this.watcher.onDidDelete(() => this.changed.fire());
  }

  async provideCodeLenses(document: vscode.TextDocument): Promise<vscode.CodeLens[]> {
    const top = new vscode.Range(0, 0, 0, 0);
    const { uri } = document;
    const last = await lastRunOf(rootOf(uri.fsPath), uri.fsPath);
    return [
      new vscode.CodeLens(top, { title: "$(play) Start", command: "tillage.run.startNow", arguments: [uri], tooltip: "Preflight, then start if nothing stands in the way" }),
      new vscode.CodeLens(top, { title: "$(checklist) Preflight", command: "tillage.run.start", arguments: [uri], tooltip: "Guards, tokens, memory and time before anything starts" }),
      ...(last ? [new vscode.CodeLens(top, { title: `$(graph-line) Open last run (${phaseWord(last.phase)})`, command: "tillage.run.open", arguments: [vscode.Uri.file(last.dir)] })] : []),
    ];
  }

  dispose(): void {
    this.watcher.dispose();
    this.changed.dispose();
  }
}
