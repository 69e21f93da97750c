import * as vscode from "vscode";

const CORPUS_COMMAND = "tillage.corpus.openAt";

/** Opens a file at one of its rows (0-based): in the corpus editor where there is one for it, else in the text editor at that line. */
export async function openRow(file: string, row: number): Promise<void> {
  const commands = await vscode.commands.getCommands(true);
  if (commands.includes(CORPUS_COMMAND)) {
    await vscode.commands.executeCommand(CORPUS_COMMAND, { path: file, row });
    return;
  }
  await vscode.window.showTextDocument(vscode.Uri.file(file), { selection: new vscode.Range(row, 0, row, 0) });
}
