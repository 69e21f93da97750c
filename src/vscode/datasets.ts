import path from "node:path";
import * as vscode from "vscode";
import { pathArgument } from "./arguments";

/** Built datasets of the workspace, newest first. */
export async function findDatasets(): Promise<string[]> {
  const found = await vscode.workspace.findFiles("**/.tillage/datasets/*/manifest.json", null);
  const dated = await Promise.all(found.map(async (uri) => ({ folder: path.dirname(uri.fsPath), time: (await vscode.workspace.fs.stat(uri)).mtime })));
  return dated.sort((a, b) => b.time - a.time).map((item) => item.folder);
}

/** The dataset that a command is about: its argument, the only one there is, or the user's choice. */
export async function pickDataset(argument: unknown): Promise<string | undefined> {
  const given = pathArgument(argument);
  if (given !== undefined) return given;
  const folders = await findDatasets();
  if (folders.length <= 1) {
    if (folders.length === 0) await offerBuild();
    return folders[0];
  }
  const items = folders.map((folder, index) => ({ label: path.basename(folder), description: index === 0 ? "newest" : "", folder }));
  return (await vscode.window.showQuickPick(items, { placeHolder: "Dataset" }))?.folder;
}

async function offerBuild(): Promise<void> {
  const choice = await vscode.window.showInformationMessage("No dataset has been built in this workspace yet.", "Build a recipe");
  if (choice !== undefined) await vscode.commands.executeCommand("tillage.recipe.build");
}
