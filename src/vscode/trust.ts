import * as vscode from "vscode";
import { TillageError } from "../protocol/errors";

/** Whether something may be run in this workspace; says so, with the way to change it, when not. */
export function trusted(what: string): boolean {
  if (vscode.workspace.isTrusted) return true;
  void vscode.window.showWarningMessage(`This workspace is not trusted, so ${what}. You can still browse and read.`, "Manage trust").then((choice) => {
    if (choice) void vscode.commands.executeCommand("workbench.trust.manage");
  });
  return false;
}

/** @throws `untrusted_workspace` where nothing may be run */
export function requireTrust(): void {
  if (vscode.workspace.isTrusted) return;
  throw TillageError.user("untrusted_workspace", "This workspace is not trusted, so nothing is built or run in it.", "Trust the workspace (command “Workspaces: Manage Workspace Trust”), then start again.");
}
