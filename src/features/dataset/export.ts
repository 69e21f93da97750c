import path from "node:path";
import * as vscode from "vscode";
import { plural } from "../../core/format";
import type { DatasetExport, DatasetFormat } from "../../protocol/corpus";
import { pickDataset } from "../../vscode/datasets";
import { freePlace } from "../../vscode/free-place";
import type { Services } from "../../vscode/services";
import { wayTo } from "../../vscode/show-place";

interface Choice extends vscode.QuickPickItem {
  to: DatasetFormat;
}

const formats: readonly Choice[] = [
  { label: "Hugging Face dataset", description: "hub", detail: "A folder as the hub reads it: Parquet files by split, and a card that lists sources, steps and counts.", to: "hub" },
  { label: "Parquet", description: "parquet", detail: "A file or more for each split, conversations as lists.", to: "parquet" },
  { label: "JSON lines", description: "jsonl", detail: "A file or more for each split, one row a line.", to: "jsonl" },
];

const columns = [
  { label: "All columns", detail: "Each row keeps its id, its source, and its place in the source file.", plain: false },
  { label: "Without the columns that lead back", detail: "What the rows say alone, without the columns whose names begin with _.", plain: true },
];

/** Asks for a format and a place, and writes a built dataset there; undefined when the person left. */
export async function exportDataset({ corpus }: Services, argument: unknown): Promise<DatasetExport | undefined> {
  const dataset = await pickDataset(argument);
  if (dataset === undefined) return undefined;
  const title = `Export ${path.basename(dataset)}`;
  const choice = await vscode.window.showQuickPick(formats, { title, placeHolder: "In which form?", matchOnDescription: true, matchOnDetail: true });
  const kept = choice && (await vscode.window.showQuickPick(columns, { title, placeHolder: "Which columns?" }));
  if (!choice || !kept) return undefined;
  const [name = "dataset"] = path.basename(dataset).split("@");
  const target = await vscode.window.showSaveDialog({ title: "The folder to make", saveLabel: "Export", defaultUri: vscode.Uri.file(freePlace(path.join(path.resolve(dataset, "..", "..", ".."), `${name}-${choice.to}`), "")) });
  if (!target) return undefined;
  const result = await vscode.window.withProgress({ location: vscode.ProgressLocation.Notification, title: `Exporting ${name}`, cancellable: true }, async (progress, token) => {
    const abort = new AbortController();
    const cancel = token.onCancellationRequested(() => abort.abort());
    let last = 0;
    try {
      return await corpus.exportDataset({ dataset, to: choice.to, out: target.fsPath, plain: kept.plain }, abort.signal, ({ stage, done, of }) => {
        const reached = of > 0 ? (100 * done) / of : 0;
        progress.report({ message: of > 1 ? `${stage} (file ${done + 1} of ${of})` : stage, increment: Math.max(0, reached - last) });
        last = Math.max(last, reached);
      });
    } finally {
      cancel.dispose();
    }
  });
  void announce(name, result);
  return result;
}

async function announce(name: string, result: DatasetExport): Promise<void> {
  const way = wayTo(result.out);
  const text = `${name} was written to ${path.basename(result.out)}: ${plural(result.rows, "row")} in ${plural(result.files.length, "file")}.`;
  if ((await vscode.window.showInformationMessage(text, way.button)) === way.button) await way.go();
}
