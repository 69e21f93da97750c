import * as vscode from "vscode";
import { readableGlob } from "../../core/dataset/formats";
import { parseRecipe } from "../../core/recipe";
import type { CorpusApi, RecipeCounts } from "../../protocol/corpus";
import { toProblem } from "../../protocol/errors";
import type { Problem } from "../../protocol/errors";
import { Owner } from "../../vscode/disposable";
import { isRecipe } from "./selector";

/** Typing pauses this long before rows are counted. */
const PAUSE_MS = 350;
/** A count that takes less is not announced: lines that flicker while one types are worse than late ones. */
const ANNOUNCE_MS = 400;

export interface LiveState {
  /** The last counts, possibly of an older text. */
  counts?: RecipeCounts;
  /** The text that `counts` belongs to is not the text on screen. */
  stale: boolean;
  /** Rows are being counted for a while already; false too when the text has errors, which stop the counting. */
  counting: boolean;
  problem?: Problem;
}

interface Entry extends LiveState {
  timer?: NodeJS.Timeout;
  announce?: NodeJS.Timeout;
  abort?: AbortController;
}

/** Counts the rows of every recipe that is open, after each pause in typing; a newer text cancels the count of the older one. */
export class LiveCounts extends Owner {
  private readonly entries = new Map<string, Entry>();
  private readonly changed = this.register(new vscode.EventEmitter<vscode.TextDocument>());
  readonly onDidChange = this.changed.event;

  constructor(private readonly corpus: CorpusApi) {
    super();
    this.register(vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
      if (contentChanges.length > 0 && isRecipe(document)) this.schedule(document, PAUSE_MS);
    }));
    this.register(vscode.workspace.onDidOpenTextDocument((document) => this.follow(document)));
    this.register(vscode.workspace.onDidCloseTextDocument((document) => this.forget(document)));
    const files = this.register(vscode.workspace.createFileSystemWatcher(readableGlob));
    const recount = (uri: vscode.Uri): void => this.sourcesChanged(uri);
    for (const event of [files.onDidChange, files.onDidCreate, files.onDidDelete]) this.register(event(recount));
    for (const document of vscode.workspace.textDocuments) this.follow(document);
  }

  get(document: vscode.TextDocument): LiveState {
    return this.entries.get(document.uri.toString()) ?? { stale: true, counting: false };
  }

  /** Counts again now, such as after an error that the user mended outside. */
  recount(document: vscode.TextDocument): void {
    this.schedule(document, 0);
  }

  private follow(document: vscode.TextDocument): void {
    if (isRecipe(document)) this.schedule(document, 0);
  }

  private sourcesChanged(uri: vscode.Uri): void {
    if (uri.path.includes("/.tillage/")) return;
    for (const document of vscode.workspace.textDocuments) {
      if (isRecipe(document)) this.schedule(document, PAUSE_MS);
    }
  }

  private schedule(document: vscode.TextDocument, delay: number): void {
    const key = document.uri.toString();
    const entry = this.entries.get(key) ?? { stale: true, counting: false };
    this.entries.set(key, entry);
    stop(entry);
    entry.stale = true;
    entry.timer = setTimeout(() => void this.count(document, entry), delay);
    entry.announce = setTimeout(() => {
      entry.counting = true;
      this.changed.fire(document);
    }, delay + ANNOUNCE_MS);
  }

  private async count(document: vscode.TextDocument, entry: Entry): Promise<void> {
    const text = document.getText();
    if (parseRecipe(text, document.uri.fsPath).recipe === undefined) {
      // The text's own problems are shown at their places; the counts wait until it can be read.
      stop(entry);
      entry.problem = undefined;
      this.changed.fire(document);
      return;
    }
    const abort = new AbortController();
    entry.abort = abort;
    try {
      const counts = await this.corpus.counts({ path: document.uri.fsPath, text }, abort.signal);
      if (abort.signal.aborted) return;
      Object.assign(entry, { counts, stale: false, problem: undefined });
    } catch (error) {
      if (abort.signal.aborted) return;
      Object.assign(entry, { counts: undefined, stale: false, problem: toProblem(error) });
    }
    stop(entry);
    if (!this.disposed) this.changed.fire(document);
  }

  private forget(document: vscode.TextDocument): void {
    const key = document.uri.toString();
    const entry = this.entries.get(key);
    if (entry) stop(entry);
    this.entries.delete(key);
  }

  override dispose(): void {
    for (const entry of this.entries.values()) stop(entry);
    this.entries.clear();
    super.dispose();
  }
}

function stop(entry: Entry): void {
  clearTimeout(entry.timer);
  clearTimeout(entry.announce);
  entry.abort?.abort();
  entry.abort = undefined;
  entry.counting = false;
}
