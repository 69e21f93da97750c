import * as vscode from "vscode";
import { mark, promptPlaces } from "../../core/eval/prompts";
import { parseEvalFile } from "../../core/eval/schema";
import { Owner } from "../../vscode/disposable";
import type { EvalResults } from "./results";

/** Above each prompt what became of it; above the file what can be done. */
export class EvalLenses extends Owner implements vscode.CodeLensProvider {
  private readonly changed = this.register(new vscode.EventEmitter<void>());
  readonly onDidChangeCodeLenses = this.changed.event;

  constructor(private readonly results: EvalResults) {
    super();
    this.register(results.onDidChange(() => this.changed.fire()));
  }

  provideCodeLenses(document: vscode.TextDocument): vscode.CodeLens[] {
    const file = document.uri.fsPath;
    const top = new vscode.Range(0, 0, 0, 0);
    const latest = this.results.latest(file);
    const lenses = [
      new vscode.CodeLens(top, { title: "$(beaker) Run on…", command: "tillage.eval.run", arguments: [document.uri], tooltip: "Put the prompts to a model" }),
      new vscode.CodeLens(top, { title: "$(diff) Compare…", command: "tillage.compare.open", arguments: [document.uri], tooltip: "The same prompts through two models" }),
    ];
    if (latest) {
      const { before, after } = latest;
      lenses.push(new vscode.CodeLens(top, { title: `${before.model.label} ${before.correct}/${before.of} → ${after.model.label} ${after.correct}/${after.of}`, command: "tillage.compare.openChanges", arguments: [document.uri], tooltip: "Open all answers as a multi-file diff" }));
    }
    for (const place of promptPlaces(parseEvalFile(document.getText(), file), document.getText())) {
      const position = document.positionAt(place.start);
      lenses.push(...this.ofPrompt(document.uri, new vscode.Range(position, position), place));
    }
    return lenses;
  }

  private ofPrompt(uri: vscode.Uri, range: vscode.Range, place: { id: string; prompt: string }): vscode.CodeLens[] {
    const file = uri.fsPath;
    const latest = this.results.latest(file);
    const item = latest?.comparison.cases.find((compared) => compared.id === place.id && compared.prompt === place.prompt);
    if (latest && item) {
      const title = `${latest.before.model.label} ${mark(item.before.verdict.pass)} → ${latest.after.model.label} ${mark(item.after.verdict.pass)}`;
      const pair = { file, before: latest.before.model.ref, after: latest.after.model.ref, id: place.id };
      return [
        new vscode.CodeLens(range, { title, command: "tillage.eval.show", arguments: [pair], tooltip: "Show the change here" }),
        new vscode.CodeLens(range, { title: "Open diff", command: "tillage.compare.openDiff", arguments: [pair] }),
      ];
    }
    // Asked of one model only, or changed since.
    const only = this.results.of(file)[0];
    const answer = only?.cases.find((asked) => asked.id === place.id && asked.prompt === place.prompt);
    if (only && answer) return [new vscode.CodeLens(range, { title: `${only.model.label} ${mark(answer.verdict.pass)}`, command: "tillage.compare.open", arguments: [uri], tooltip: answer.output.trim() })];
    return only ? [new vscode.CodeLens(range, { title: "not asked yet", command: "tillage.eval.run", arguments: [uri] })] : [];
  }
}
