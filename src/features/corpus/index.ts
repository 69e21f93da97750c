import path from "node:path";
import * as vscode from "vscode";
import { dialogExtensions } from "../../core/dataset/formats";
import { z } from "zod";
import { pathArgument } from "../../vscode/arguments";
import type { Feature } from "../../vscode/services";
import { showProblem } from "../../vscode/show-problem";
import { corpusShownAsText, findCorpora } from "../../vscode/workspace-files";
import { addCorpus } from "./add";
import { CORPUS_EDITOR, CorpusEditors, editorOf, FOLDER_PANEL, LINES_EDITOR } from "./editor";

const rowPlace = z.object({ path: z.string().min(1), row: z.number().int().min(0) });

/** The corpus editor and the commands that open it. */
export const register: Feature = (services) => {
  const editors = new CorpusEditors(services);
  const command = (id: string, run: (argument: unknown) => Promise<void>): vscode.Disposable =>
    vscode.commands.registerCommand(id, async (argument: unknown) => {
      try {
        await run(argument);
      } catch (error) {
        await showProblem(error);
      }
    });
  return vscode.Disposable.from(
    vscode.window.registerCustomEditorProvider(CORPUS_EDITOR, editors, { supportsMultipleEditorsPerDocument: true }),
    vscode.window.registerCustomEditorProvider(LINES_EDITOR, editors, { supportsMultipleEditorsPerDocument: true }),
    command("tillage.corpus.open", async (argument) => {
      const uri = await corpusToOpen(argument);
      if (uri) await vscode.commands.executeCommand("vscode.openWith", uri, editorOf(uri));
    }),
    command("tillage.corpus.openAt", async (argument) => {
      const place = rowPlace.parse(argument);
      await editors.openAt(vscode.Uri.file(place.path), place.row);
    }),
    // For commands of other features that take a row.
    vscode.commands.registerCommand("tillage.corpus.selectedRow", (uri: unknown) => (uri instanceof vscode.Uri ? editors.selectedRow(uri) : undefined)),
    command("tillage.corpus.add", addCorpus),
    command("tillage.corpus.openFolder", async (argument) => {
      const given = pathArgument(argument);
      const uri = given === undefined ? await folderToOpen() : vscode.Uri.file(given);
      if (uri) editors.openFolder(uri);
    }),
    vscode.window.registerWebviewPanelSerializer(FOLDER_PANEL, {
      deserializeWebviewPanel: (panel, state) => {
        const kept = z.object({ folder: z.string().min(1) }).safeParse(state);
        if (kept.success) editors.openFolder(vscode.Uri.file(kept.data.folder), panel);
        else panel.dispose();
        return Promise.resolve();
      },
    }),
  );
};

async function folderToOpen(): Promise<vscode.Uri | undefined> {
  const folders = await vscode.window.showOpenDialog({ title: "Open folder as corpus", openLabel: "Open", canSelectFiles: false, canSelectFolders: true });
  return folders?.[0];
}

/** The command's argument, the corpus that is open as text, or the person's choice among the workspace's corpora. */
async function corpusToOpen(argument: unknown): Promise<vscode.Uri | undefined> {
  const given = pathArgument(argument);
  if (given !== undefined) return vscode.Uri.file(given);
  const shown = corpusShownAsText();
  if (shown) return shown;
  const uris = await findCorpora();
  const browse = { label: "$(folder-opened) Browse…", description: "a file anywhere: Parquet, JSONL, JSON, CSV or text", uri: undefined };
  const items = uris.map((uri) => {
    const folder = path.dirname(vscode.workspace.asRelativePath(uri));
    return { label: path.basename(uri.fsPath), description: folder === "." ? "" : folder, uri };
  });
  const placeHolder = uris.length === 0 ? "The workspace holds no Parquet, JSONL or CSV file" : "The corpus to open";
  const picked = await vscode.window.showQuickPick([...items, browse], { title: "Open as corpus", placeHolder, matchOnDescription: true });
  if (!picked) return undefined;
  if (picked.uri) return picked.uri;
  const files = await vscode.window.showOpenDialog({ title: "Open as corpus", openLabel: "Open", filters: { Corpora: [...dialogExtensions] } });
  return files?.[0];
}
