import * as vscode from "vscode";

/** Whether something may be run in this workspace; says so, with the way to change it, when not. */
export function trusted(what: string): boolean {
  if (vscode.workspace.isTrusted) return true;
  void vscode.window.showWarningMessage(`This workspace is not trusted, so ${what}. You can still browse and read.`, "Manage trust").then((choice) => {
    if (choice) void vscode.commands.executeCommand("workbench.trust.manage");
  });
  return false;
}
