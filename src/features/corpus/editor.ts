import path from "node:path";
import * as vscode from "vscode";
import type { CorpusPanelApi, CorpusState, CorpusUpdate } from "../../protocol/corpus-panel";
import { PanelLink } from "../../vscode/panel-link";
import type { Services } from "../../vscode/services";
import { webviewOptions } from "../../vscode/webview-html";
import { CorpusDocument } from "./document";
import { keepAsFilter } from "./keep-filter";

/** The editor for Parquet, which has no other. */
export const CORPUS_EDITOR = "tillage.corpus";
/** The same for files that are text as well: an editor's priority is one for all its files, and for these text stays the default. */
export const LINES_EDITOR = "tillage.corpus.lines";

/** The view type of a folder's panel. */
export const FOLDER_PANEL = "tillage.corpus.folder";

export function editorOf(uri: vscode.Uri): string {
  return /\.parquet$/iu.test(uri.path) ? CORPUS_EDITOR : LINES_EDITOR;
}

/** The word count comes with signals of every row, some 20,000 rows a second: beyond this many it would compete with what a person does. */
const SUMMARY_ROWS = 100_000;

/** The read-only editor for corpora. */
export class CorpusEditors implements vscode.CustomReadonlyEditorProvider<CorpusDocument> {
  private readonly documents = new Map<string, CorpusDocument>();
  /** Rows asked for before their document was there. */
  private readonly wanted = new Map<string, number>();
  private readonly folders = new Map<string, vscode.WebviewPanel>();

  constructor(private readonly services: Services) {}

  openCustomDocument(uri: vscode.Uri): CorpusDocument {
    const document = new CorpusDocument(uri, this.services);
    const key = uri.toString();
    this.documents.set(key, document);
    const row = this.wanted.get(key);
    this.wanted.delete(key);
    if (row !== undefined) document.reveal(row, true);
    return document;
  }

  resolveCustomEditor(document: CorpusDocument, panel: vscode.WebviewPanel): void {
    this.documents.set(document.uri.toString(), document);
    this.show(document, panel);
  }

  /** All data files of a folder as one corpus. An editor is for a file: a folder is shown in a panel, which is the same otherwise. */
  openFolder(uri: vscode.Uri, restored?: vscode.WebviewPanel): void {
    const key = uri.toString();
    const open = this.folders.get(key);
    if (open) {
      restored?.dispose();
      open.reveal();
      return;
    }
    const panel = restored ?? vscode.window.createWebviewPanel(FOLDER_PANEL, path.basename(uri.fsPath), vscode.ViewColumn.Active, { enableFindWidget: true });
    const document = new CorpusDocument(uri, this.services, true);
    this.documents.set(key, document);
    this.folders.set(key, panel);
    panel.onDidDispose(() => {
      this.folders.delete(key);
      document.dispose();
    });
    this.show(document, panel);
  }

  private show(document: CorpusDocument, panel: vscode.WebviewPanel): void {
    panel.webview.options = webviewOptions(this.services.context.extensionUri);
    const { extensionUri } = this.services.context;
    const link = new PanelLink<CorpusState, CorpusUpdate>({ panel: "corpus", title: "Corpus", extensionUri, host: panel, api: this.api(document), snapshot: async () => document.snapshot() });
    const updates = document.onDidUpdate((update) => link.push(update));
    panel.onDidDispose(() => {
      updates.dispose();
      link.dispose();
    });
  }

  /** Opens the file and shows one of its rows (0-based). */
  async openAt(uri: vscode.Uri, row: number): Promise<void> {
    const key = uri.toString();
    const open = this.documents.get(key);
    if (open && !open.disposed) open.reveal(row);
    else this.wanted.set(key, row);
    await vscode.commands.executeCommand("vscode.openWith", uri, editorOf(uri));
  }

  /** The row (0-based) of an open file whose detail was looked at last; the first where none was. */
  selectedRow(uri: vscode.Uri): number | undefined {
    const open = this.documents.get(uri.toString());
    return open && !open.disposed ? (open.selected ?? 0) : undefined;
  }

  private api(document: CorpusDocument): CorpusPanelApi {
    return {
      page: ({ query, offset, limit }, signal) => document.ask((corpus, handle) => corpus.page({ handle, query, offset, limit, partial: true }, signal)),
      facets: ({ query, pause }, signal) => document.ask((corpus, handle) => corpus.facets({ handle, query, partial: true, pause }, signal)),
      detail: ({ row }, signal) => {
        document.selected = row;
        return document.ask((corpus, handle) => corpus.detail({ handle, row }, signal));
      },
      summary: async (_params, signal) => {
        if ((document.opened?.rows ?? 0) > SUMMARY_ROWS) return null;
        const { words, exactDuplicates } = await this.services.corpus.stats({ path: document.uri.fsPath }, signal);
        return { words, exactDuplicates };
      },
      keepAsFilter: ({ query }) => keepAsFilter(this.services, document, query),
      openText: async ({ line }) => {
        const at = new vscode.Position(Math.max(0, (line ?? 1) - 1), 0);
        const options: vscode.TextDocumentShowOptions = { viewColumn: vscode.ViewColumn.Active, ...(line === undefined ? {} : { selection: new vscode.Range(at, at) }) };
        // By its editor's id and not by showTextDocument: files over 50 MB are not given to extensions, but can be shown.
        await vscode.commands.executeCommand("vscode.openWith", document.uri, "default", options);
        return null;
      },
      copy: async ({ text }) => {
        await vscode.env.clipboard.writeText(text);
        return null;
      },
      tokens: async ({ row }) => {
        await vscode.commands.executeCommand("tillage.tokens.show", { path: document.uri.fsPath, row });
        return null;
      },
      reload: async () => {
        document.reload();
        return null;
      },
      cancelOpen: async () => {
        document.cancelOpen();
        return null;
      },
    };
  }
}
