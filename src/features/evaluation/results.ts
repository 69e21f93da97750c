import * as vscode from "vscode";
import { resolveModel, listModels } from "../../app/models";
import type { ResolvedModel } from "../../app/models";
import { listResults } from "../../app/run-eval";
import { compareResults } from "../../core/eval/compare";
import type { Comparison } from "../../core/eval/compare";
import { defaultPair } from "../../core/eval/pair";
import type { EvalResult } from "../../core/eval/result";
import { rootOf } from "../../vscode/root";
import { Owner } from "../../vscode/disposable";

/** The results that lie in `.tillage/evals`; tells when one comes, changes or goes. */
export class EvalResults extends Owner {
  private readonly changed = this.register(new vscode.EventEmitter<void>());
  readonly onDidChange = this.changed.event;
  private readonly kept = new Map<string, EvalResult[]>();

  constructor(private readonly log: vscode.LogOutputChannel) {
    super();
    const watcher = this.register(vscode.workspace.createFileSystemWatcher("**/.tillage/evals/*/result.json"));
    for (const event of [watcher.onDidCreate, watcher.onDidChange, watcher.onDidDelete]) this.register(event(() => this.forget()));
  }

  /** Reads again at the next question. */
  forget(): void {
    this.kept.clear();
    this.changed.fire();
  }

  /** Results of an eval file, newest first. */
  of(file: string): EvalResult[] {
    const known = this.kept.get(file);
    if (known) return known;
    const { results, broken } = listResults(rootOf(file), file);
    for (const path of broken) this.log.warn(`${path} is not a result that this version can read.`);
    this.kept.set(file, results);
    return results;
  }

  /** A model's result, if it was asked. */
  find(file: string, ref: string): EvalResult | undefined {
    return this.of(file).find((result) => result.model.ref === ref);
  }

  /** What is shown beside the prompts: the results of a training and of what it started from. */
  latest(file: string): { comparison: Comparison; before: EvalResult; after: EvalResult } | undefined {
    const results = this.of(file);
    const pair = defaultPair(results.map((result) => ({ ref: result.model.ref, base: result.model.base, adapter: result.model.adapter, result })));
    if (!pair) return undefined;
    const [before, after] = [pair.before.result, pair.after.result];
    return { comparison: compareResults(before, after), before, after };
  }

  compare(file: string, before: string, after: string): { comparison: Comparison; before: EvalResult; after: EvalResult } | undefined {
    const [first, second] = [this.find(file, before), this.find(file, after)];
    return first && second && { comparison: compareResults(first, second), before: first, after: second };
  }
}

/** Models that a file's prompts can be put to: what runs made, and folders that were asked before and are still there. */
export function modelsFor(file: string, results: readonly EvalResult[]): ResolvedModel[] {
  const root = rootOf(file);
  const models = listModels(root);
  const known = new Set(models.map((model) => model.ref));
  for (const { model } of results) {
    if (known.has(model.ref)) continue;
    known.add(model.ref);
    try {
      models.push(resolveModel(root, model.ref, root));
    } catch {
      // Its answers are still there to be compared, but it cannot be asked again.
      models.push({ ref: model.ref, label: model.label, base: model.base, ...(model.adapter ? { adapter: model.adapter } : {}), template: { kind: "plain" } });
    }
  }
  return models;
}

