import path from "node:path";
import * as vscode from "vscode";
import { nativeRow } from "../../core/dataset/native-row";
import type { Row } from "../../protocol/native.gen";
import { toProblem } from "../../protocol/errors";
import type { TokensApi, TokensOrigin, TokensSettings, TokensState, TokensUpdate } from "../../protocol/tokens-panel";
import { Owner } from "../../vscode/disposable";
import { openRow } from "../../vscode/open-row";
import type { Services } from "../../vscode/services";
import { WebviewPanel } from "../../vscode/webview-panel";
import { findModels, modelAt, settingsOf } from "./models";

/** A context that cuts no row. */
const WHOLE = 1 << 30;

/** What to show: a file's row, or text. */
export type TokensSubject = { path: string; row: number } | { given: Row };

/** A panel that VS Code brought back after the window was reloaded, with the settings that a person had chosen in it. */
export interface Restored {
  panel: vscode.WebviewPanel;
  settings?: TokensSettings | undefined;
}

/** One row as the model will see it. */
export class TokensPanel extends Owner {
  private readonly panel: WebviewPanel<TokensState, TokensUpdate>;
  private state: TokensState = {
    models: [], model: null, settingsFrom: null, settings: { template: { kind: "plain" }, lossOn: "completion", context: 2048 },
    origin: null, row: { text: "" }, result: null, loading: true, problem: null,
  };
  private handle: { path: string; handle: string; rows: number; shape: Parameters<typeof nativeRow>[0] } | undefined;
  private abort: AbortController | undefined;
  private readonly ready: Promise<void>;

  constructor(private readonly services: Services, subject: TokensSubject, model: string | undefined, onClosed: () => void, restored?: Restored) {
    super();
    this.panel = this.register(new WebviewPanel<TokensState, TokensUpdate>({
      extensionUri: services.context.extensionUri, panel: "tokens", title: "Tokens", api: this.api(), snapshot: () => Promise.resolve(this.state),
      ...(restored ? { restored: restored.panel } : {}),
    }, () => {
      this.dispose();
      onClosed();
    }));
    this.ready = this.start(model, restored?.settings);
    void this.ready.then(() => this.work((signal) => this.turnTo(subject, model, signal)));
  }

  /** Shows another subject in the panel that is open. */
  async show(subject: TokensSubject, model?: string): Promise<void> {
    await this.ready;
    this.panel.reveal(true);
    await this.work((signal) => this.turnTo(subject, model, signal));
  }

  private async turnTo(subject: TokensSubject, model: string | undefined, signal: AbortSignal): Promise<void> {
    if (model !== undefined && model !== this.state.model?.path) await this.take(model);
    if ("given" in subject) this.update({ row: subject.given, origin: null });
    else await this.readRow(subject.path, subject.row, signal);
    await this.tokenise(signal);
  }

  private async start(model: string | undefined, settings: TokensSettings | undefined): Promise<void> {
    const models = await findModels();
    this.update({ models });
    const first = model ?? models[0]?.path;
    if (first !== undefined) await this.take(first);
    if (settings) this.update({ settings, settingsFrom: null });
  }

  private async take(folder: string): Promise<void> {
    const { settings, from } = await settingsOf(folder);
    const model = modelAt(folder);
    const models = this.state.models.some((known) => known.path === folder) ? this.state.models : [...this.state.models, model];
    this.update({ models, model, settings, settingsFrom: from });
  }

  private async readRow(file: string, row: number, signal: AbortSignal): Promise<void> {
    if (this.handle?.path !== file) {
      await this.closeFile();
      const opened = await this.services.corpus.open({ path: file }, signal);
      this.handle = { path: file, handle: opened.handle, rows: opened.rows, shape: opened.shape };
    }
    const { handle, rows, shape } = this.handle;
    const detail = await this.services.corpus.detail({ handle, row }, signal);
    const { position, previous, next } = detail;
    const origin: TokensOrigin = { path: file, row, rows, position, previous, next };
    this.update({ origin, row: nativeRow(shape, detail.values) });
    this.panel.view.title = `Tokens: ${path.basename(file)} ${row + 1}`;
  }

  private async tokenise(signal: AbortSignal): Promise<void> {
    const { model, row, settings } = this.state;
    if (!model || emptyRow(row)) {
      this.update({ result: null });
      return;
    }
    // A text has no completion: all of it is trained on, whatever the rows of other shapes do.
    const lossOn = "text" in row ? "all" : settings.lossOn;
    // The whole row is asked for, so that the panel can show what the context cuts off, and where.
    const result = await this.services.engine.tokens({ model: model.path, row, template: settings.template, loss_on: lossOn, context: WHOLE }, signal);
    if (!signal.aborted) this.update({ result });
  }

  /** One piece of work at a time: the next cancels the last. */
  private async work(run: (signal: AbortSignal) => Promise<void>): Promise<void> {
    this.abort?.abort();
    const abort = new AbortController();
    this.abort = abort;
    this.update({ loading: true, problem: null });
    try {
      await run(abort.signal);
      if (!abort.signal.aborted) this.update({ loading: false });
    } catch (error) {
      if (!abort.signal.aborted) this.update({ loading: false, result: null, problem: toProblem(error) });
    }
  }

  private update(update: TokensUpdate): void {
    this.state = { ...this.state, ...update };
    if (!this.disposed) this.panel.push(update);
  }

  private api(): TokensApi {
    const done = async (work: Promise<void>): Promise<null> => {
      await work;
      return null;
    };
    return {
      pickModel: ({ path: folder }) => done(this.work(async (signal) => {
        await this.take(folder);
        await this.tokenise(signal);
      })),
      browseModel: () => done(this.browse()),
      setSettings: (settings) => done(this.work(async (signal) => {
        this.update({ settings, settingsFrom: null });
        await this.tokenise(signal);
      })),
      setRow: ({ row }) => done(this.work(async (signal) => {
        this.update({ row, origin: null });
        await this.tokenise(signal);
      })),
      goTo: ({ row }) => done(this.work(async (signal) => {
        if (this.state.origin) await this.readRow(this.state.origin.path, row, signal);
        await this.tokenise(signal);
      })),
      openSource: () => done(this.openSource()),
      retry: () => done(this.work((signal) => this.tokenise(signal))),
    };
  }

  private async browse(): Promise<void> {
    const picked = await vscode.window.showOpenDialog({ canSelectFolders: true, canSelectFiles: false, title: "Model folder (with tokenizer.json)", openLabel: "Use this model" });
    const folder = picked?.[0]?.fsPath;
    if (folder === undefined) return;
    await this.work(async (signal) => {
      await this.take(folder);
      await this.tokenise(signal);
    });
  }

  private async openSource(): Promise<void> {
    if (this.state.origin) await openRow(this.state.origin.path, this.state.origin.row);
  }

  private async closeFile(): Promise<void> {
    const open = this.handle;
    this.handle = undefined;
    if (open) await this.services.corpus.close({ handle: open.handle });
  }

  override dispose(): void {
    this.abort?.abort();
    this.closeFile().catch((error: unknown) => this.services.log.debug(`close: ${String(error)}`));
    super.dispose();
  }
}

function emptyRow(row: Row): boolean {
  if ("text" in row) return row.text === "";
  if ("messages" in row) return row.messages.length === 0;
  if ("completion" in row) return row.prompt === "" && row.completion === "";
  return row.chosen.length === 0 && row.rejected.length === 0;
}
