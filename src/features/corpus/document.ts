import { stat } from "node:fs/promises";
import path from "node:path";
import * as vscode from "vscode";
import type { CorpusApi, OpenResult } from "../../protocol/corpus";
import type { CorpusStage, CorpusState, CorpusUpdate } from "../../protocol/corpus-panel";
import { TillageError, toProblem } from "../../protocol/errors";
import { Owner } from "../../vscode/disposable";
import type { Services } from "../../vscode/services";
import { escapeGlob } from "./glob";

/** Writers write in pieces: the file is read again when it has been quiet for this long, ms. */
const QUIET_MS = 400;

/** A file in the corpus editor: it owns the handle in the corpus service, and reads the file again when it changes on disk. */
export class CorpusDocument extends Owner implements vscode.CustomDocument {
  /** The row (0-based) whose detail was looked at last. */
  selected: number | undefined;
  private stage: CorpusStage = { kind: "opening", since: Date.now() };
  private bytes = 0;
  private attempt: AbortController | undefined;
  private quiet: NodeJS.Timeout | undefined;
  private wanted: number | undefined;
  private reopening: Promise<OpenResult> | undefined;
  private readonly updates = this.register(new vscode.EventEmitter<CorpusUpdate>());
  readonly onDidUpdate = this.updates.event;

  constructor(readonly uri: vscode.Uri, private readonly services: Services, private readonly folder = false) {
    super();
    const pattern = folder ? new vscode.RelativePattern(uri, "**/*") : new vscode.RelativePattern(vscode.Uri.joinPath(uri, ".."), escapeGlob(path.basename(uri.fsPath)));
    const watcher = this.register(vscode.workspace.createFileSystemWatcher(pattern));
    const touched = (changed: vscode.Uri): void => {
      // What Tillage keeps beside a folder's files is none of them.
      if (!changed.path.includes("/.tillage/")) this.touched();
    };
    this.register(watcher.onDidChange(touched));
    this.register(watcher.onDidCreate(touched));
    this.register(watcher.onDidDelete(touched));
    this.register(vscode.workspace.onDidGrantWorkspaceTrust(() => this.updates.fire({ kind: "trusted" })));
    this.reload();
  }

  get state(): CorpusState {
    return {
      name: path.basename(this.uri.fsPath),
      path: vscode.workspace.asRelativePath(this.uri),
      bytes: this.bytes,
      trusted: vscode.workspace.isTrusted,
      stage: this.stage,
      ...(this.folder ? { folder: this.uri.fsPath } : {}),
    };
  }

  /** The state for an editor that starts or returns; a row that was asked for is shown once. */
  snapshot(): CorpusState {
    const reveal = this.wanted;
    this.wanted = undefined;
    return { ...this.state, ...(reveal === undefined ? {} : { reveal }) };
  }

  get opened(): OpenResult | undefined {
    return this.stage.kind === "ready" ? this.stage.open : undefined;
  }

  /** Shows a row (0-based position in the file) in the editors of the file, and in the next one that starts. */
  reveal(row: number, later = false): void {
    if (later) this.wanted = row;
    this.updates.fire({ kind: "reveal", row });
  }

  /** Reads the file from the start. */
  reload(): void {
    this.setStage({ kind: "opening", since: Date.now() });
    void this.read((open) => this.setStage({ kind: "ready", open }));
  }

  cancelOpen(): void {
    this.attempt?.abort();
  }

  /**
   * Asks the service about the open file. When the service was restarted, or the file changed under the handle, the file is
   * opened again and the question asked once more.
   */
  async ask<T>(question: (corpus: CorpusApi, handle: string) => Promise<T>): Promise<T> {
    const open = this.opened;
    if (!open) throw TillageError.user("not_open", "The file is not open.", "Open it again.");
    try {
      return await question(this.services.corpus, open.handle);
    } catch (error) {
      const { code } = toProblem(error);
      if (code === "file_changed") this.touched();
      if (code !== "unknown_handle" && code !== "service_crashed") throw error;
      const again = await this.reopen(open);
      return question(this.services.corpus, again.handle);
    }
  }

  override dispose(): void {
    clearTimeout(this.quiet);
    this.attempt?.abort();
    this.close(this.opened);
    super.dispose();
  }

  /** Several questions may find the handle gone at once: the first opens the file again, the others use what it got. */
  private async reopen(lost: OpenResult): Promise<OpenResult> {
    if (this.opened && this.opened.handle !== lost.handle) return this.opened;
    this.reopening ??= this.services.corpus.open({ path: lost.path }).finally(() => (this.reopening = undefined));
    const open = await this.reopening;
    this.stage = { kind: "ready", open };
    return open;
  }

  private touched(): void {
    clearTimeout(this.quiet);
    this.quiet = setTimeout(() => {
      const before = this.opened;
      if (!before) {
        if (this.stage.kind === "failed") this.reload();
        return;
      }
      void this.read((open) => {
        if (open.version === before.version) {
          this.close(open);
          return;
        }
        this.close(before);
        this.stage = { kind: "ready", open };
        this.updates.fire({ kind: "changed", open, bytes: this.bytes, rowsBefore: before.rows, time: Date.now() });
      });
    }, QUIET_MS);
  }

  /** One reading at a time: a newer one replaces an older one. */
  private async read(done: (open: OpenResult) => void): Promise<void> {
    this.attempt?.abort();
    const attempt = new AbortController();
    this.attempt = attempt;
    try {
      if (this.uri.scheme !== "file") {
        throw TillageError.user("not_on_disk", `A corpus is read from disk, and this is a “${this.uri.scheme}” resource.`, "Save the file to disk and open that.");
      }
      const found = await stat(this.uri.fsPath).catch((cause: unknown) => Promise.reject(missing(this.uri, cause)));
      // A folder's own size is not that of its files, which are known when it was read.
      this.bytes = this.folder ? 0 : found.size;
      if (this.stage.kind === "opening") this.setStage(this.stage);
      const open = await this.services.corpus.open({ path: this.uri.fsPath }, attempt.signal);
      if (attempt.signal.aborted || this.disposed) this.close(open);
      else done(open);
    } catch (error) {
      if (this.disposed || this.attempt !== attempt) return;
      const problem = toProblem(error);
      if (attempt.signal.aborted) {
        const cancelled = TillageError.user("cancelled", "Reading it was cancelled.", "Try again when you want to see it.");
        this.setStage({ kind: "failed", problem: cancelled.problem });
        return;
      }
      this.services.log.warn(`${this.uri.fsPath}: ${problem.code}: ${problem.message}`);
      this.close(this.opened);
      this.setStage({ kind: "failed", problem });
    }
  }

  private setStage(stage: CorpusStage): void {
    if (stage.kind === "opening") this.close(this.opened);
    this.stage = stage;
    this.updates.fire({ kind: "stage", stage, bytes: this.bytes });
  }

  private close(open: OpenResult | undefined): void {
    if (!open) return;
    // A handle that the service no longer knows is closed already.
    this.services.corpus.close({ handle: open.handle }).catch((error: unknown) => this.services.log.debug(`close: ${toProblem(error).message}`));
  }
}

function missing(uri: vscode.Uri, cause: unknown): TillageError {
  const code = (cause as NodeJS.ErrnoException).code;
  const file = uri.fsPath;
  const problem = code === "ENOENT"
    ? { blame: "user" as const, code: "file_missing", message: "The file is not there any more: it was moved or deleted.", remedy: "Put it back, or close this editor.", file }
    : { blame: "environment" as const, code: "file_unreadable", message: `The file cannot be read (${code ?? String(cause)}).`, remedy: "Check that you may read it.", file };
  return new TillageError(problem, { cause });
}
