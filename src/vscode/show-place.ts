import * as vscode from "vscode";

/** A way to a file or folder: the words of its button, and what it does. */
export interface WayTo {
  button: string;
  go: () => Thenable<unknown>;
}

/** The way to a file or folder that no editor shows. */
export function wayTo(place: string): WayTo {
  const uri = vscode.Uri.file(place);
  // The system's file manager is not there in a browser, nor where the extension runs on another machine.
  if (vscode.env.uiKind === vscode.UIKind.Desktop && vscode.env.remoteName === undefined) {
    return { button: "Show in folder", go: () => vscode.commands.executeCommand("revealFileInOS", uri) };
  }
  if (vscode.workspace.getWorkspaceFolder(uri) !== undefined) {
    return { button: "Show in explorer", go: () => vscode.commands.executeCommand("revealInExplorer", uri) };
  }
  return { button: "Copy path", go: () => vscode.env.clipboard.writeText(place) };
}
