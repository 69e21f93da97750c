import path from "node:path";
import * as vscode from "vscode";
import { parseRecipe, stepRanges } from "../../core/recipe";
import type { BadRow, Diagnostic } from "../../protocol/corpus";
import { Owner } from "../../vscode/disposable";
import type { LiveCounts } from "./live-counts";
import { isRecipe, recipeSelector } from "./selector";
import { sourceRanges } from "./source-ranges";

const SEVERITY = {
  error: vscode.DiagnosticSeverity.Error,
  warning: vscode.DiagnosticSeverity.Warning,
  information: vscode.DiagnosticSeverity.Information,
} as const;

/** Problems that another mapping of the columns may mend. */
const MAPPED = new Set(["unsure_shape", "unknown_shape", "missing_column", "wrong_type"]);

/** Problems of the text at once, problems of the data when the rows are counted, and rows that could not be read in their own files. */
export class RecipeDiagnostics extends Owner implements vscode.CodeActionProvider {
  private readonly problems = this.register(vscode.languages.createDiagnosticCollection("tillage"));
  private readonly rows = this.register(vscode.languages.createDiagnosticCollection("tillage-rows"));
  /** What is shown for a document, with its fixes, in the same order as its diagnostics. */
  private readonly shown = new Map<string, { source: Diagnostic; shown: vscode.Diagnostic }[]>();
  private readonly badRows = new Map<string, BadRow[]>();

  constructor(private readonly live: LiveCounts) {
    super();
    this.register(vscode.workspace.onDidOpenTextDocument((document) => this.refresh(document)));
    this.register(vscode.workspace.onDidChangeTextDocument(({ document }) => this.refresh(document)));
    this.register(vscode.workspace.onDidCloseTextDocument((document) => this.forget(document)));
    this.register(live.onDidChange((document) => this.refresh(document)));
    const actions = { providedCodeActionKinds: [vscode.CodeActionKind.QuickFix] };
    this.register(vscode.languages.registerCodeActionsProvider(recipeSelector, this, actions));
    for (const document of vscode.workspace.textDocuments) this.refresh(document);
  }

  provideCodeActions(document: vscode.TextDocument, range: vscode.Range, context: vscode.CodeActionContext): vscode.CodeAction[] {
    const shown = this.shown.get(document.uri.toString()) ?? [];
    return shown
      .filter((item) => context.diagnostics.some((other) => other.message === item.shown.message && other.range.isEqual(item.shown.range)) || item.shown.range.contains(range))
      .flatMap((item) => [...this.fixes(document, item), ...showActions(document, item.source, item.shown)]);
  }

  private fixes(document: vscode.TextDocument, item: { source: Diagnostic; shown: vscode.Diagnostic }): vscode.CodeAction[] {
    return item.source.fixes.map((fix, index) => {
      const action = new vscode.CodeAction(fix.title, vscode.CodeActionKind.QuickFix);
      action.edit = new vscode.WorkspaceEdit();
      action.edit.replace(document.uri, new vscode.Range(document.positionAt(fix.start), document.positionAt(fix.end)), fix.newText);
      action.diagnostics = [item.shown];
      action.isPreferred = index === 0 && item.source.fixes.length === 1;
      return action;
    });
  }

  private refresh(document: vscode.TextDocument): void {
    if (!isRecipe(document)) return;
    const { problems } = parseRecipe(document.getText(), document.uri.fsPath);
    const state = this.live.get(document);
    // Data problems carry offsets of the text that was counted: on a newer text they would point at the wrong place.
    const found = state.stale ? problems : merge(problems, state.counts?.diagnostics ?? []);
    const shown = found.map((source) => ({ source, shown: toVscode(document, source) }));
    const failure = state.problem;
    const diagnostics = shown.map((item) => item.shown);
    if (failure && !state.stale && failure.blame !== "internal") {
      const line = Math.max(0, Math.min(document.lineCount, failure.file === document.uri.fsPath ? (failure.line ?? 1) : 1) - 1);
      const diagnostic = new vscode.Diagnostic(document.lineAt(line).range, `${failure.message} ${failure.remedy}`, SEVERITY.error);
      diagnostic.source = "Tillage";
      diagnostic.code = failure.code;
      diagnostics.push(diagnostic);
    }
    this.shown.set(document.uri.toString(), shown);
    this.problems.set(document.uri, diagnostics);
    if (!state.stale) this.showBadRows(document, document.uri.toString(), state.counts?.sources.flatMap((source) => source.bad) ?? []);
  }

  /** Rows that a build could not read stay listed until the next build, whether the recipe is open or not. */
  keepBadRows(document: vscode.TextDocument, bad: BadRow[]): void {
    this.showBadRows(document, `${document.uri.toString()} built`, bad);
  }

  /** Rows that could not be read, at their lines of their files, so that a click in Problems goes there. */
  private showBadRows(document: vscode.TextDocument, key: string, bad: BadRow[]): void {
    const old = this.badRows.get(key) ?? [];
    this.badRows.set(key, bad);
    const all = [...this.badRows.values()].flat();
    for (const file of new Set([...old, ...bad].map((row) => row.file))) {
      const rows = new Map(all.filter((row) => row.file === file).map((row) => [`${row.line} ${row.reason}`, row]));
      this.rows.set(vscode.Uri.file(absolute(document, file)), [...rows.values()].map((row) => {
        const line = Math.max(0, row.line - 1);
        const diagnostic = new vscode.Diagnostic(new vscode.Range(line, 0, line, 1), `This row is kept out: ${row.reason}`, vscode.DiagnosticSeverity.Warning);
        diagnostic.source = "Tillage";
        diagnostic.code = "bad_row";
        return diagnostic;
      }));
    }
  }

  private forget(document: vscode.TextDocument): void {
    if (!isRecipe(document)) return;
    const key = document.uri.toString();
    this.showBadRows(document, key, []);
    this.badRows.delete(key);
    this.shown.delete(key);
    this.problems.delete(document.uri);
  }
}

/** `Show` beside the fixes of a problem that rows have: the rows themselves. */
function showActions(document: vscode.TextDocument, problem: Diagnostic, shown: vscode.Diagnostic): vscode.CodeAction[] {
  const command = showCommand(document, problem);
  if (!command) return [];
  const action = new vscode.CodeAction(command.title, vscode.CodeActionKind.QuickFix);
  action.command = command;
  action.diagnostics = [shown];
  return [action];
}

function showCommand(document: vscode.TextDocument, problem: Diagnostic): vscode.Command | undefined {
  const text = document.getText();
  const title = "Show the rows";
  const path = document.uri.fsPath;
  if (MAPPED.has(problem.code)) {
    const source = sourceRanges(text).find(({ start }) => start >= problem.start && start <= problem.end);
    return source && { title: "Map columns…", command: "tillage.recipe.map", arguments: [document.uri, source.name] };
  }
  if (problem.code === "bad_rows") return { title, command: "workbench.actions.view.problems" };
  if (problem.code === "drops_most") {
    const step = stepRanges(text).find((range) => range.start === problem.start);
    return step && { title, command: "tillage.recipe.rows", arguments: [{ path, step: step.index }] };
  }
  // The rows that the last fix would drop: the recipe as it would be with it.
  const fix = problem.code === "pii" || problem.code === "duplicates" ? problem.fixes.at(-1) : undefined;
  if (!fix) return undefined;
  const fixed = text.slice(0, fix.start) + fix.newText + text.slice(fix.end);
  const step = stepRanges(fixed).at(-1)?.index;
  return step === undefined ? undefined : { title, command: "tillage.recipe.rows", arguments: [{ path, step, text: fixed }] };
}

function absolute(document: vscode.TextDocument, file: string): string {
  return path.isAbsolute(file) ? file : path.join(path.dirname(document.uri.fsPath), file);
}

/** The service parses the text as well: what both report is shown once. */
function merge(local: Diagnostic[], counted: Diagnostic[]): Diagnostic[] {
  const seen = new Set(local.map((problem) => `${problem.code} ${problem.start}`));
  return [...local, ...counted.filter((problem) => !seen.has(`${problem.code} ${problem.start}`))];
}

function toVscode(document: vscode.TextDocument, problem: Diagnostic): vscode.Diagnostic {
  const range = new vscode.Range(document.positionAt(problem.start), document.positionAt(Math.max(problem.end, problem.start + 1)));
  const diagnostic = new vscode.Diagnostic(range, problem.message, SEVERITY[problem.severity]);
  diagnostic.source = "Tillage";
  diagnostic.code = problem.code;
  return diagnostic;
}
