import path from "node:path";
import * as vscode from "vscode";
import { z } from "zod";
import { isRecipe } from "./selector";

const uriLike = z.object({ fsPath: z.string().min(1) });
const pathLike = z.object({ path: z.string().min(1) });

/** The path in a command's argument: a Uri, `{path}` or a plain path. */
export function pathOf(argument: unknown): string | undefined {
  if (typeof argument === "string" && argument !== "") return argument;
  const uri = uriLike.safeParse(argument);
  if (uri.success) return uri.data.fsPath;
  const plain = pathLike.safeParse(argument);
  return plain.success ? plain.data.path : undefined;
}

/** The recipe that a command is about: its argument, the active editor, the only one there is, or the user's choice. */
export async function pickRecipe(argument: unknown, purpose: string): Promise<vscode.TextDocument | undefined> {
  const given = pathOf(argument);
  if (given !== undefined) return vscode.workspace.openTextDocument(vscode.Uri.file(given));
  const active = vscode.window.activeTextEditor?.document;
  if (active && isRecipe(active)) return active;
  // With the keyboard in a panel no editor is active: a single recipe in view is the one that is meant.
  const visible = new Set(vscode.window.visibleTextEditors.map((editor) => editor.document).filter(isRecipe));
  const [single] = visible;
  if (single && visible.size === 1) return single;
  const files = await vscode.workspace.findFiles("**/*.recipe.{yaml,yml}", "**/{node_modules,.tillage}/**");
  const only = files.length === 1 ? files[0] : undefined;
  if (only) return vscode.workspace.openTextDocument(only);
  if (files.length === 0) {
    void vscode.window.showInformationMessage("This workspace has no recipe. A recipe is a file whose name ends in .recipe.yaml.");
    return undefined;
  }
  const items = files.map((uri) => ({ label: path.basename(uri.fsPath), description: folderOf(uri), uri }));
  const picked = await vscode.window.showQuickPick(items.sort((a, b) => a.label.localeCompare(b.label)), { placeHolder: purpose });
  return picked && vscode.workspace.openTextDocument(picked.uri);
}

function folderOf(uri: vscode.Uri): string {
  const folder = path.posix.dirname(vscode.workspace.asRelativePath(uri));
  return folder === "." ? "" : folder;
}
