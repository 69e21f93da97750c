import { statSync } from "node:fs";
import path from "node:path";
import * as vscode from "vscode";
import type { DatasetDiff } from "../../protocol/dataset-diff";
import type { DiffApi, DiffPick, DiffSideName, DiffState, DiffTexts, DiffUpdate } from "../../protocol/diff-panel";
import { TillageError, toProblem } from "../../protocol/errors";
import { Owner } from "../../vscode/disposable";
import { openRow } from "../../vscode/open-row";
import type { Services } from "../../vscode/services";
import { WebviewPanel } from "../../vscode/webview-panel";
import { chooseDataset } from "./choose";

/** Rows of each change that are read at first; each request for more reads four times as many. */
const FIRST = 200;
const MORE = 4;

export interface ComparedDatasets {
  before: string;
  after: string;
}

/** What two built datasets differ in: rows, the steps responsible, shares and lengths. */
export class DiffPanel extends Owner {
  private readonly panel: WebviewPanel<DiffState, DiffUpdate>;
  private state: DiffState;
  /** The comparison as it came, with the real paths of the files. */
  private diff: DatasetDiff | undefined;
  private abort: AbortController | undefined;
  private limit = FIRST;

  constructor(private readonly services: Services, { before, after }: ComparedDatasets, onClosed: () => void, restored?: vscode.WebviewPanel) {
    super();
    this.state = { before: pickOf(before), after: pickOf(after), diff: null, progress: null, cancelled: false, problem: null };
    this.panel = this.register(new WebviewPanel<DiffState, DiffUpdate>({
      extensionUri: services.context.extensionUri, panel: "diff", title: titleOf(this.state), column: vscode.ViewColumn.Active, api: this.api(), snapshot: () => Promise.resolve(this.state), restored,
    }, () => {
      this.dispose();
      onClosed();
    }));
    void this.compare();
  }

  /** Compares two others in the panel that is open. */
  show({ before, after }: ComparedDatasets): void {
    this.limit = FIRST;
    this.diff = undefined;
    this.update({ before: pickOf(before), after: pickOf(after), diff: null });
    this.panel.view.title = titleOf(this.state);
    this.panel.reveal();
    void this.compare();
  }

  private async compare(): Promise<void> {
    this.abort?.abort();
    const abort = new AbortController();
    this.abort = abort;
    this.update({ progress: { stage: "starting", done: 0, of: 0 }, problem: null, cancelled: false });
    try {
      const [before, after] = [this.state.before.dataset, this.state.after.dataset];
      const diff = await this.services.corpus.diff({ before, after, limit: this.limit }, abort.signal, (progress) => {
        if (this.abort === abort && !abort.signal.aborted) this.update({ progress });
      });
      if (this.abort !== abort) return;
      this.diff = diff;
      const rows = diff.rows.map((row) => ({ ...row, file: vscode.workspace.asRelativePath(row.file) }));
      this.update({ diff: { ...diff, rows }, progress: null });
    } catch (error) {
      if (this.abort !== abort) return;
      const problem = toProblem(error);
      this.update(problem.code === "cancelled" ? { progress: null, cancelled: true } : { progress: null, problem });
    }
  }

  private update(update: DiffUpdate): void {
    this.state = { ...this.state, ...update };
    if (!this.disposed) this.panel.push(update);
  }

  private api(): DiffApi {
    return {
      cancel: async () => {
        this.abort?.abort();
        return Promise.resolve(null);
      },
      retry: async () => {
        void this.compare();
        return Promise.resolve(null);
      },
      swap: async () => {
        this.show({ before: this.state.after.dataset, after: this.state.before.dataset });
        return Promise.resolve(null);
      },
      choose: async ({ side }) => {
        const chosen = await chooseDataset(side === "before" ? "The dataset before" : "The dataset after", this.state[side].dataset);
        if (chosen !== undefined) this.show({ before: this.state.before.dataset, after: this.state.after.dataset, [side]: chosen });
        return null;
      },
      more: async () => {
        this.limit *= MORE;
        void this.compare();
        return Promise.resolve(null);
      },
      texts: async ({ index }) => this.texts(index),
      open: async ({ index }) => {
        const row = this.row(index);
        await openRow(row.file, row.fileRow);
        return null;
      },
      why: async ({ index, side }) => {
        await vscode.commands.executeCommand("tillage.why", { rowId: this.row(index).rowId, dataset: this.state[side].dataset });
        return null;
      },
    };
  }

  private row(index: number): DatasetDiff["rows"][number] {
    const row = this.diff?.rows[index];
    if (row) return row;
    throw TillageError.internal("no_row", `The comparison has no row ${index}.`);
  }

  private async texts(index: number): Promise<DiffTexts> {
    const row = this.row(index);
    const whole = async (side: DiffSideName): Promise<string | null> => {
      if (row[side] === null) return null;
      const [found] = await this.services.corpus.rows({ dataset: this.state[side].dataset, rowIds: [row.rowId] });
      return found?.text ?? row[side];
    };
    const [before, after] = await Promise.all([whole("before"), whole("after")]);
    return { before, after };
  }

  override dispose(): void {
    this.abort?.abort();
    super.dispose();
  }
}

function pickOf(dataset: string): DiffPick {
  return { dataset, name: path.basename(dataset), built: statSync(path.join(dataset, "manifest.json"), { throwIfNoEntry: false })?.mtimeMs ?? null };
}

function titleOf({ before, after }: DiffState): string {
  const [name, other] = [before.name.split("@")[0] ?? "", after.name.split("@")[0] ?? ""];
  return name === other ? `${name}: before and after` : `${name} ⇄ ${other}`;
}
