import path from "node:path";
import * as vscode from "vscode";
import { z } from "zod";
import { readManifest } from "../../data/build/manifest";
import type { CorpusApi, ReceiptRow } from "../../protocol/corpus";
import { pickDataset } from "../../vscode/datasets";
import { Owner } from "../../vscode/disposable";
import { showProblem } from "../../vscode/show-problem";
import { whyText } from "./why-text";

const SCHEME = "tillage-why";
/** Receipts offered in the quick pick, and searched for rows that matched the one asked about. */
const MOST = 5000;

const argumentSchema = z.object({ rowId: z.string().min(1).optional(), dataset: z.string().min(1).optional() });

/** `Tillage: Why is this row here?`: a row's whole story as a Markdown page. */
export class Why extends Owner implements vscode.TextDocumentContentProvider {
  constructor(private readonly corpus: CorpusApi) {
    super();
    this.register(vscode.workspace.registerTextDocumentContentProvider(SCHEME, this));
    this.register(vscode.commands.registerCommand("tillage.why", (argument: unknown) => this.ask(argument)));
  }

  async provideTextDocumentContent(uri: vscode.Uri, token: vscode.CancellationToken): Promise<string> {
    const abort = new AbortController();
    token.onCancellationRequested(() => abort.abort());
    const { rowId, dataset } = argumentSchema.required().parse(JSON.parse(uri.query));
    return this.tell(dataset, rowId, abort.signal);
  }

  private async ask(argument: unknown): Promise<void> {
    try {
      const given = argumentSchema.safeParse(argument).data ?? {};
      const dataset = given.dataset ?? (await pickDataset(undefined));
      if (dataset === undefined) return;
      const rowId = given.rowId ?? (await this.pickRow(dataset));
      if (rowId === undefined) return;
      const uri = vscode.Uri.from({ scheme: SCHEME, path: `/Row ${rowId.slice(0, 8)}.md`, query: JSON.stringify({ rowId, dataset }) });
      // Opened first, so that an error reaches the user and not an empty page.
      await vscode.workspace.openTextDocument(uri);
      await vscode.commands.executeCommand("markdown.showPreview", uri);
    } catch (error) {
      await showProblem(error);
    }
  }

  private async tell(dataset: string, rowId: string, signal: AbortSignal): Promise<string> {
    const { steps } = readManifest(dataset);
    const [receipts, kept, all] = await Promise.all([
      this.corpus.receipts({ dataset, rowId, limit: 100 }, signal),
      this.corpus.rows({ dataset, rowIds: [rowId] }, signal),
      this.corpus.receipts({ dataset, limit: MOST }, signal),
    ]);
    return whyText({
      rowId, dataset: path.basename(dataset), steps, receipts, kept: kept[0],
      matchedBy: all.filter((receipt) => receipt.matchedRowId === rowId),
    });
  }

  /** Offers the rows that have a receipt; any other id can be typed. */
  private async pickRow(dataset: string): Promise<string | undefined> {
    const picker = vscode.window.createQuickPick<vscode.QuickPickItem & { rowId: string }>();
    picker.title = `Why is this row in ${path.basename(dataset)}, or not?`;
    picker.placeholder = "A row id, or words of a row that left or was changed";
    picker.matchOnDescription = true;
    picker.matchOnDetail = true;
    picker.busy = true;
    picker.show();
    const abort = new AbortController();
    this.corpus.receipts({ dataset, limit: MOST }, abort.signal).then(
      (rows) => {
        picker.items = rows.map(item);
        picker.busy = false;
      },
      (error: unknown) => {
        picker.hide();
        void showProblem(error);
      },
    );
    return new Promise((resolve) => {
      picker.onDidAccept(() => {
        resolve(picker.selectedItems[0]?.rowId ?? (picker.value.trim() || undefined));
        picker.hide();
      });
      picker.onDidHide(() => {
        abort.abort();
        picker.dispose();
        resolve(undefined);
      });
    });
  }
}

function item(row: ReceiptRow): vscode.QuickPickItem & { rowId: string } {
  const text = row.text.replace(/\s+/g, " ").slice(0, 90);
  return { label: text, description: `${row.step}: ${row.reason}`, detail: row.rowId, rowId: row.rowId };
}
