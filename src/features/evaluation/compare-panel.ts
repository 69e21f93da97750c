import { readFileSync } from "node:fs";
import path from "node:path";
import * as vscode from "vscode";
import type { ResolvedModel } from "../../app/models";
import { textHash } from "../../app/resolve-run";
import type { ComparedCase } from "../../core/eval/compare";
import { defaultPair, startOf } from "../../core/eval/pair";
import { promptPlaces } from "../../core/eval/prompts";
import type { EvalCase } from "../../core/eval/result";
import { parseEvalFile } from "../../core/eval/schema";
import { toProblem } from "../../protocol/errors";
import type { Problem } from "../../protocol/errors";
import type { CompareAnswer, CompareApi, CompareCase, CompareUpdate, CompareView } from "../../protocol/compare-panel";
import { Owner } from "../../vscode/disposable";
import type { Services } from "../../vscode/services";
import { requireTrust } from "../../vscode/trust";
import { WebviewPanel } from "../../vscode/webview-panel";
import { ask } from "./ask";
import { openChanges, openDiff } from "./outputs";
import type { EvalTarget } from "./pick";
import { pickFolder } from "./pick";
import { modelsFor } from "./results";
import type { EvalResults } from "./results";

/** Before and after: one eval file's prompts through two models. Models that were not asked yet are asked. */
export class ComparePanel extends Owner {
  private readonly panel: WebviewPanel<CompareView, CompareUpdate>;
  private before: string | undefined;
  private after: string | undefined;
  private readonly added: ResolvedModel[] = [];
  private asking: { label: string; done: number; of: number } | undefined;
  private abort: AbortController | undefined;
  private problem: Problem | undefined;

  constructor(private readonly services: Services, private readonly results: EvalResults, readonly file: string, restored: vscode.WebviewPanel | undefined, onClosed: () => void) {
    super();
    this.panel = new WebviewPanel<CompareView, CompareUpdate>({
      extensionUri: services.context.extensionUri,
      panel: "compare",
      title: `Compare: ${path.basename(file)}`,
      column: vscode.ViewColumn.Active,
      api: this.api(),
      snapshot: () => Promise.resolve(this.view()),
      ...(restored ? { restored } : {}),
    }, () => {
      this.abort?.abort();
      this.dispose();
      onClosed();
    });
    this.register(this.panel);
    this.register(results.onDidChange(() => this.tell()));
    this.register(vscode.workspace.onDidSaveTextDocument((document) => {
      if (document.uri.fsPath === file) this.tell();
    }));
  }

  reveal(): void {
    this.panel.reveal();
  }

  /** Shows a pair: what is asked for, and where nothing is, what a training made and what it started from. */
  async show(target: Omit<EvalTarget, "file">, run = true): Promise<void> {
    const models = this.models();
    const pair = defaultPair(models);
    const after = target.after ?? this.after ?? pair?.after.ref;
    const chosen = models.find((model) => model.ref === after);
    const before = target.before ?? (target.after === undefined ? this.before : undefined) ?? (chosen && startOf(chosen, models)?.ref) ?? (pair?.before.ref === after ? pair?.after.ref : pair?.before.ref);
    this.before = before;
    this.after = after;
    this.tell();
    if (run) await this.askMissing();
  }

  /** Asks those of the two that were not asked yet, one after the other. */
  private async askMissing(again = false): Promise<void> {
    const refs = [this.before, this.after].filter((ref) => ref !== undefined);
    for (const ref of new Set(refs)) {
      if (!again && this.results.find(this.file, ref)) continue;
      if (!(await this.askOne(ref))) return;
    }
  }

  private async askOne(ref: string): Promise<boolean> {
    this.abort?.abort();
    const abort = new AbortController();
    this.abort = abort;
    this.problem = undefined;
    const label = this.models().find((model) => model.ref === ref)?.label ?? ref;
    this.asking = { label, done: 0, of: 0 };
    this.tell();
    try {
      requireTrust();
      await ask(this.services, this.file, ref, {
        signal: abort.signal,
        onProgress: (done, of) => {
          if (this.abort !== abort) return;
          this.asking = { label, done, of };
          this.tell();
        },
      });
      return true;
    } catch (error) {
      const problem = toProblem(error);
      if (this.abort === abort && problem.code !== "cancelled") this.problem = problem;
      return false;
    } finally {
      if (this.abort === abort) {
        this.abort = undefined;
        this.asking = undefined;
      }
      this.results.forget();
    }
  }

  private models(): ResolvedModel[] {
    const models = modelsFor(this.file, this.results.of(this.file));
    return [...models, ...this.added.filter((model) => !models.some((known) => known.ref === model.ref))];
  }

  private tell(): void {
    if (!this.disposed) this.panel.push({ view: this.view() });
  }

  private view(): CompareView {
    const text = readText(this.file);
    const parsed = parseEvalFile(text, this.file);
    const hash = textHash(text);
    const compared = this.before !== undefined && this.after !== undefined ? this.results.compare(this.file, this.before, this.after) : undefined;
    const problem = this.problem ?? parsed.problems[0];
    return {
      file: this.file,
      name: path.basename(this.file),
      ...(parsed.value?.title ? { title: parsed.value.title } : {}),
      models: this.models().map(({ ref, label }) => {
        const result = this.results.find(this.file, ref);
        return { ref, label, ...(result ? { result: { correct: result.correct, of: result.of, time: result.time, stale: result.fileHash !== hash } } : {}) };
      }),
      ...(this.before === undefined ? {} : { before: this.before }),
      ...(this.after === undefined ? {} : { after: this.after }),
      ...(compared ? { cases: compared.comparison.cases.map(toCase), counts: compared.comparison.counts } : {}),
      unmatched: compared ? Math.max(compared.before.cases.length, compared.after.cases.length) - compared.comparison.cases.length : 0,
      ...(this.asking ? { asking: this.asking } : {}),
      ...(problem ? { problem } : {}),
    };
  }

  private api(): CompareApi {
    const compared = () => (this.before !== undefined && this.after !== undefined ? this.results.compare(this.file, this.before, this.after)?.comparison : undefined);
    return {
      choose: async ({ before, after }) => {
        this.before = before ?? this.before;
        this.after = after ?? this.after;
        this.problem = undefined;
        this.tell();
        await this.askMissing();
        return null;
      },
      swap: () => {
        [this.before, this.after] = [this.after, this.before];
        this.tell();
        return Promise.resolve(null);
      },
      again: async () => {
        await this.askMissing(true);
        return null;
      },
      cancel: () => {
        this.abort?.abort();
        return Promise.resolve(null);
      },
      openDiff: async ({ id }) => {
        const comparison = compared();
        if (comparison) await openDiff(this.file, comparison, id);
        return null;
      },
      openChanges: async () => {
        const comparison = compared();
        if (comparison) await openChanges(this.file, comparison);
        return null;
      },
      openPrompt: async ({ id }) => {
        const document = await vscode.workspace.openTextDocument(vscode.Uri.file(this.file));
        const place = promptPlaces(parseEvalFile(document.getText(), this.file), document.getText()).find((prompt) => prompt.id === id);
        const at = document.positionAt(place?.start ?? 0);
        await vscode.window.showTextDocument(document, { viewColumn: vscode.ViewColumn.Beside, selection: new vscode.Range(at, at) });
        return null;
      },
      addModel: async ({ side }) => {
        const folder = await pickFolder();
        if (!folder) {
          this.tell();
          return null;
        }
        this.added.push({ ...folder, base: folder.ref, template: { kind: "plain" } });
        this[side] = folder.ref;
        await this.askMissing();
        return null;
      },
    };
  }
}

function toCase(item: ComparedCase): CompareCase {
  const { id, prompt, answer, change, words } = item;
  return { id, prompt, answer, change, words, before: toAnswer(item.before), after: toAnswer(item.after) };
}

function toAnswer({ output, verdict, tokens, ended, seconds }: EvalCase): CompareAnswer {
  return { output, verdict, tokens, ended, seconds };
}

/** The text of the open document counts, where there is one; an unreadable file has problems of its own. */
function readText(file: string): string {
  const open = vscode.workspace.textDocuments.find((document) => document.uri.fsPath === file && !document.isDirty);
  if (open) return open.getText();
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
