import * as vscode from "vscode";
import { TillageError } from "../../protocol/errors";
import { smallestReplacement } from "../../core/text-edit";

/** Changes a recipe's text in the editor, so that Undo, unsaved text and the diff gutter work as for typed changes. */
export class RecipeWriter {
  private queue: Promise<void> = Promise.resolve();
  private inDrag = false;

  constructor(private readonly uri: vscode.Uri) {}

  /**
   * Applies a change of the text, after those asked for before it.
   * Changes up to one with `last` are one undo step, where the recipe is visible; a hidden one is changed at `last` only.
   */
  write(change: (text: string) => string, last = true): Promise<void> {
    const turn = this.queue.then(() => this.apply(change, last));
    this.queue = turn.catch(() => undefined);
    return turn;
  }

  private async apply(change: (text: string) => string, last: boolean): Promise<void> {
    const document = await vscode.workspace.openTextDocument(this.uri);
    const before = document.getText();
    const replacement = smallestReplacement(before, change(before));
    const editor = vscode.window.visibleTextEditors.find((candidate) => candidate.document === document);
    const first = !this.inDrag;
    this.inDrag = !last;
    if (!replacement) return;
    const range = new vscode.Range(document.positionAt(replacement.start), document.positionAt(replacement.end));
    if (editor) {
      const done = await editor.edit((edit) => edit.replace(range, replacement.newText), { undoStopBefore: first, undoStopAfter: last });
      if (done) return;
    } else if (last) {
      const edit = new vscode.WorkspaceEdit();
      edit.replace(this.uri, range, replacement.newText);
      if (await vscode.workspace.applyEdit(edit)) return;
    } else {
      return;
    }
    throw TillageError.environment("edit_refused", `${vscode.workspace.asRelativePath(this.uri)} could not be changed.`, "See whether the file is read-only, then try again.");
  }

  /** Undoes the last change of the text, as the editor's own Undo does. */
  async undo(): Promise<void> {
    await this.queue;
    await this.show();
    await vscode.commands.executeCommand("undo");
  }

  /** Brings the text to the front, where it already is or beside the panel. */
  async show(): Promise<void> {
    const document = await vscode.workspace.openTextDocument(this.uri);
    const visible = vscode.window.visibleTextEditors.find((candidate) => candidate.document === document);
    const column = visible?.viewColumn ?? tabColumn(this.uri) ?? vscode.ViewColumn.One;
    await vscode.window.showTextDocument(document, { viewColumn: column });
  }
}

function tabColumn(uri: vscode.Uri): vscode.ViewColumn | undefined {
  for (const group of vscode.window.tabGroups.all) {
    const holds = group.tabs.some((tab) => tab.input instanceof vscode.TabInputText && tab.input.uri.toString() === uri.toString());
    if (holds) return group.viewColumn;
  }
  return undefined;
}
