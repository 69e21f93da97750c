import path from "node:path";
import * as vscode from "vscode";
import { readManifest, recipeFolder } from "../../data/build/manifest";
import type { BuildResult, ReceiptRow, RowDetail, StepCount } from "../../protocol/corpus";
import { toProblem } from "../../protocol/errors";
import type { ReceiptsApi, ReceiptsState, ReceiptsUpdate, ReceiptTexts } from "../../protocol/receipts-panel";
import { Owner } from "../../vscode/disposable";
import { openRow } from "../../vscode/open-row";
import type { Services } from "../../vscode/services";
import { WebviewPanel } from "../../vscode/webview-panel";

/** Rows read at first, and added at each request for more. */
const PAGE = 2000;
/** Characters of a row's text in its receipt. */
const CUT = 400;
/** The name under which receipts file rows that the mix did not take. */
const MIX = "mix";
/** Receipts of the mix that are counted; a mix that leaves out more shows this many. */
const MOST_MIX = 20_000;

/** Where the receipts come from. */
export type ReceiptsOrigin =
  | { kind: "dataset"; dataset: string; build?: BuildResult; step?: string }
  /** `text`: the recipe as it would be, in place of the document's text. */
  | { kind: "step"; document: vscode.TextDocument; step: number; text?: string };

/** Every row that left or was changed, and why; of a built dataset or of a recipe's present text. */
export class Receipts extends Owner {
  private readonly panel: WebviewPanel<ReceiptsState, ReceiptsUpdate>;
  private state: ReceiptsState;
  private abort: AbortController | undefined;
  private limit = PAGE;
  private rows: ReceiptRow[] = [];
  /** Source files that were opened for their whole rows. */
  private readonly handles = new Map<string, Promise<string>>();

  constructor(private readonly services: Services, private origin: ReceiptsOrigin, onClosed: () => void, restored?: vscode.WebviewPanel) {
    super();
    this.state = blank(origin);
    this.panel = this.register(new WebviewPanel<ReceiptsState, ReceiptsUpdate>({
      extensionUri: services.context.extensionUri, panel: "receipts", title: `Receipts: ${this.state.title}`, column: vscode.ViewColumn.Active, api: this.api(), snapshot: () => Promise.resolve(this.state), restored,
    }, () => {
      this.dispose();
      onClosed();
    }));
    void this.load();
  }

  /** Shows something else of the same kind in the panel that is open. */
  show(origin: ReceiptsOrigin): void {
    this.origin = origin;
    this.limit = PAGE;
    this.update({ ...blank(origin), rows: [] });
    this.panel.view.title = `Receipts: ${this.state.title}`;
    this.panel.reveal();
    void this.load();
  }

  private async load(): Promise<void> {
    this.abort?.abort();
    const abort = new AbortController();
    this.abort = abort;
    this.update({ loading: true, problem: null });
    try {
      const update = this.origin.kind === "dataset" ? await this.ofDataset(this.origin, abort.signal) : await this.ofStep(this.origin, abort.signal);
      if (!abort.signal.aborted) this.update({ ...update, loading: false });
    } catch (error) {
      if (!abort.signal.aborted) this.update({ loading: false, problem: toProblem(error) });
    }
  }

  private async ofDataset(origin: Extract<ReceiptsOrigin, { kind: "dataset" }>, signal: AbortSignal): Promise<ReceiptsUpdate> {
    const facts = readManifest(origin.dataset);
    const { split, guards } = facts;
    const rowsIn = facts.sources.reduce((sum, source) => sum + source.rows, 0);
    const rowsOut = facts.steps.at(-1)?.out ?? rowsIn;
    const steps = [...facts.steps, ...(await this.mixStep(origin.dataset, facts.steps.length, rowsOut, signal))];
    const selected = this.state.selected ?? indexOfStep(steps, origin.step);
    const step = selected === null ? undefined : steps.find((item) => item.index === selected)?.step;
    const rows = await this.services.corpus.receipts({ dataset: origin.dataset, step, limit: this.limit }, signal);
    return { steps, selected, rows: this.keep(rows), more: rows.length >= this.limit, rowsIn, rowsOut, build: { split, guards, made: origin.build && { fresh: origin.build.built, seconds: origin.build.seconds } } };
  }

  /** What the mix did not sample, as one more step: its rows have receipts like those of the others. */
  private async mixStep(dataset: string, index: number, rowsIn: number, signal: AbortSignal): Promise<StepCount[]> {
    const rows = await this.services.corpus.receipts({ dataset, step: MIX, limit: MOST_MIX }, signal);
    if (rows.length === 0) return [];
    const reasons = [{ reason: rows[0]?.reason ?? MIX, rows: rows.length }];
    return [{ index, step: MIX, in: rowsIn, out: rowsIn - rows.length, changed: 0, reasons }];
  }

  /** Keeps the rows with their real paths; the panel shows paths as the workspace calls them. */
  private keep(rows: ReceiptRow[]): ReceiptRow[] {
    this.rows = rows;
    return rows.map((row) => ({ ...row, file: vscode.workspace.asRelativePath(this.absolute(row.file)) }));
  }

  private async ofStep(origin: Extract<ReceiptsOrigin, { kind: "step" }>, signal: AbortSignal): Promise<ReceiptsUpdate> {
    const selected = this.state.selected ?? origin.step;
    const about = { path: origin.document.uri.fsPath, text: origin.text ?? origin.document.getText() };
    const [counts, rows] = await Promise.all([
      this.services.corpus.counts(about, signal),
      this.services.corpus.dropped({ ...about, step: selected, limit: this.limit }, signal),
    ]);
    const rowsIn = counts.sources.reduce((sum, source) => sum + source.rows, 0);
    return { steps: counts.steps, selected, rows: this.keep(rows), more: rows.length >= this.limit, rowsIn, rowsOut: counts.steps.at(-1)?.out ?? rowsIn };
  }

  private update(update: ReceiptsUpdate): void {
    this.state = { ...this.state, ...update };
    if (!this.disposed) this.panel.push(update);
  }

  private api(): ReceiptsApi {
    return {
      select: async ({ step }) => {
        this.limit = PAGE;
        if (this.origin.kind === "dataset") this.origin = { ...this.origin, step: undefined };
        this.update({ selected: this.origin.kind === "step" && step === null ? this.state.selected : step, rows: [] });
        await this.load();
        return null;
      },
      open: async ({ index }) => {
        const row = this.rows[index];
        if (row) await openRow(this.absolute(row.file), row.fileRow);
        return null;
      },
      texts: async ({ index }) => this.texts(index),
      why: async ({ rowId }) => {
        const dataset = this.origin.kind === "dataset" ? this.origin.dataset : undefined;
        await vscode.commands.executeCommand("tillage.why", { rowId, dataset });
        return null;
      },
      loadMore: async () => {
        this.limit += PAGE;
        await this.load();
        return null;
      },
      retry: async () => {
        await this.load();
        return null;
      },
    };
  }

  private async texts(index: number): Promise<ReceiptTexts> {
    const row = this.rows[index];
    if (!row) return { text: "", matchedText: null, found: [] };
    const personal = row.step.startsWith("pii");
    if (row.text.length < CUT && !personal) return { text: row.text, matchedText: row.matchedText, found: [] };
    const handle = await this.handleOf(this.absolute(row.file));
    const detail = await this.services.corpus.detail({ handle, row: row.fileRow });
    const found = personal ? detail.pii.filter((item) => item.kind === row.reason || row.reason === "pii").map((item) => item.value) : [];
    return { text: row.text.length < CUT ? row.text : wholeText(row, detail), matchedText: row.matchedText, found };
  }

  private handleOf(file: string): Promise<string> {
    const open = this.handles.get(file) ?? this.services.corpus.open({ path: file }).then((opened) => opened.handle);
    this.handles.set(file, open);
    open.catch(() => this.handles.delete(file));
    return open;
  }

  private absolute(file: string): string {
    if (path.isAbsolute(file)) return file;
    const base = this.origin.kind === "step" ? path.dirname(this.origin.document.uri.fsPath) : recipeFolder(this.origin.dataset, readManifest(this.origin.dataset));
    return path.resolve(base, file);
  }

  override dispose(): void {
    this.abort?.abort();
    for (const handle of this.handles.values()) {
      handle.then((open) => this.services.corpus.close({ handle: open })).catch((error: unknown) => this.services.log.debug(`close: ${String(error)}`));
    }
    this.handles.clear();
    super.dispose();
  }
}

/** A receipt has the start of its row's text: the value that starts alike is the text. */
function wholeText(row: ReceiptRow, detail: RowDetail): string {
  const start = row.text.slice(0, CUT / 2);
  const values = Object.values(detail.values).filter((value): value is string => typeof value === "string");
  return values.find((value) => value.startsWith(start)) ?? row.text;
}

function indexOfStep(steps: ReceiptsState["steps"], step: string | undefined): number | null {
  return steps.find((item) => item.step === step)?.index ?? null;
}

function blank(origin: ReceiptsOrigin): ReceiptsState {
  const title = origin.kind === "dataset" ? path.basename(origin.dataset) : `${path.basename(origin.document.uri.fsPath)}${origin.text === undefined ? "" : " with the fix"}`;
  const selected = origin.kind === "step" ? origin.step : null;
  return { kind: origin.kind, title, dataset: origin.kind === "dataset" ? origin.dataset : null, steps: [], rowsIn: 0, rowsOut: 0, build: null, selected, rows: [], more: false, loading: true, problem: null };
}
