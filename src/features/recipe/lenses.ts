import * as vscode from "vscode";
import { stepRanges } from "../../core/recipe";
import { plural } from "../../core/format";
import { Owner } from "../../vscode/disposable";
import { freshness, hasReceipts, mappingLens, reasonList, sourceLens, stepLens, totalLens } from "./lens-text";
import type { LiveCounts, LiveState } from "./live-counts";
import { recipeSelector } from "./selector";
import { sourceRanges } from "./source-ranges";

/** Counts above every source and step; the recipe's actions at the top. */
export class RecipeLenses extends Owner implements vscode.CodeLensProvider {
  private readonly changed = this.register(new vscode.EventEmitter<void>());
  readonly onDidChangeCodeLenses = this.changed.event;

  constructor(private readonly live: LiveCounts) {
    super();
    this.register(live.onDidChange(() => this.changed.fire()));
    this.register(vscode.languages.registerCodeLensProvider(recipeSelector, this));
  }

  provideCodeLenses(document: vscode.TextDocument): vscode.CodeLens[] {
    const state = this.live.get(document);
    return [...this.top(document, state), ...this.sources(document, state), ...this.steps(document, state)];
  }

  private top(document: vscode.TextDocument, state: LiveState): vscode.CodeLens[] {
    const range = new vscode.Range(0, 0, 0, 0);
    const lens = (title: string, command: string, tooltip: string, ...args: unknown[]): vscode.CodeLens =>
      new vscode.CodeLens(range, { title, command, tooltip, arguments: [document.uri, ...args] });
    const lenses = [
      lens("$(play) Build", "tillage.recipe.build", "Build the dataset: shards, receipts and manifest under .tillage/datasets"),
      lens("$(settings) Mixer", "tillage.recipe.mixer", "Set how many tokens each source gives"),
      lens("$(table) Raw rows", "tillage.recipe.raw", "Open the sources as they are, before any step"),
    ];
    const fresh = freshness(state);
    if (state.problem) lenses.push(lens(`$(error) ${state.problem.message}`, "tillage.recipe.problem", state.problem.remedy));
    else if (fresh === "counting") lenses.push(lens("$(sync~spin) counting rows", "", "Rows are read and counted; typing starts over"));
    else if (state.counts) lenses.push(lens(totalLens(state.counts), "", "Rows read, and rows that all steps leave"));
    return lenses;
  }

  private sources(document: vscode.TextDocument, state: LiveState): vscode.CodeLens[] {
    const counts = state.counts;
    return sourceRanges(document.getText()).flatMap(({ name, start }) => {
      const source = counts?.sources.find((candidate) => candidate.name === name);
      const at = document.positionAt(start);
      const range = new vscode.Range(at, at);
      const map = new vscode.CodeLens(range, { ...mappingLens(source?.reading), command: "tillage.recipe.map", arguments: [document.uri, name] });
      // A source that cannot be read has no counts, and needs the mapping most.
      if (!source) return [map];
      const lenses = [new vscode.CodeLens(range, { title: sourceLens(source), command: "tillage.recipe.raw", tooltip: "Open this source's rows", arguments: [document.uri, name] }), map];
      if (source.badRows > 0) {
        const title = `$(warning) ${plural(source.badRows, "row")} could not be read`;
        lenses.push(new vscode.CodeLens(range, { title, command: "workbench.actions.view.problems", tooltip: "They are kept out and listed in Problems" }));
      }
      return lenses;
    });
  }

  private steps(document: vscode.TextDocument, state: LiveState): vscode.CodeLens[] {
    const counts = state.counts;
    if (!counts) return [];
    const ranges = stepRanges(document.getText());
    return ranges.flatMap((step) => {
      // While a step is being added or removed above, positions no longer name the same step.
      const count = counts.steps.find((candidate) => candidate.index === step.index && sameStep(candidate.step, step.step));
      if (!count) return [];
      const at = document.positionAt(step.start);
      const range = new vscode.Range(at, at);
      const show = { command: "tillage.recipe.rows", arguments: [{ path: document.uri.fsPath, step: step.index }] };
      const tooltip = reasonList(count);
      if (!hasReceipts(count)) return [new vscode.CodeLens(range, { title: stepLens(count, freshness(state)), command: "", tooltip })];
      return [
        new vscode.CodeLens(range, { ...show, title: stepLens(count, freshness(state)), tooltip }),
        new vscode.CodeLens(range, { ...show, title: "show", tooltip: "Show the rows that this step dropped or changed" }),
      ];
    });
  }
}

function sameStep(counted: string, written: string): boolean {
  return counted === written || counted.split(" ")[0] === written.split(" ")[0];
}
