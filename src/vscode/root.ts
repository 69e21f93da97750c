import path from "node:path";
import * as vscode from "vscode";
import { workspaceRoot } from "../disk/layout";

/**
 * The folder whose `.tillage` a file or folder belongs to, never above the opened folder: what lies above it is not part of the
 * workspace, and neither the explorer nor a watcher would see it.
 */
export function rootOf(fileOrFolder: string): string {
  const nearest = workspaceRoot(fileOrFolder);
  const opened = vscode.workspace.getWorkspaceFolder(vscode.Uri.file(fileOrFolder))?.uri.fsPath;
  return opened !== undefined && (opened === nearest || opened.startsWith(nearest + path.sep)) ? opened : nearest;
}
