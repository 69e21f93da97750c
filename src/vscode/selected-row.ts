import * as vscode from "vscode";

const CORPUS_COMMAND = "tillage.corpus.selectedRow";

/** The row (0-based) that is looked at in the corpus editor in front; undefined where another editor, or none, is in front. */
export async function selectedRow(): Promise<{ path: string; row: number } | undefined> {
  const input = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
  if (!(input instanceof vscode.TabInputCustom)) return undefined;
  const commands = await vscode.commands.getCommands(true);
  if (!commands.includes(CORPUS_COMMAND)) return undefined;
  const row = await vscode.commands.executeCommand<number | undefined>(CORPUS_COMMAND, input.uri);
  return row === undefined ? undefined : { path: input.uri.fsPath, row };
}
