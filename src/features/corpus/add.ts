import { copyFile, mkdir, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import * as vscode from "vscode";
import { dialogExtensions } from "../../core/dataset/formats";
import { TillageError } from "../../protocol/errors";
import { pathArgument } from "../../vscode/arguments";
import { editorOf } from "./editor";

/** "Add a corpus": a file from anywhere comes into the workspace's `data` folder as a copy, or is only opened where it lies. */
export async function addCorpus(argument: unknown): Promise<void> {
  const given = pathArgument(argument);
  const [file] = given !== undefined ? [vscode.Uri.file(given)] : (await vscode.window.showOpenDialog({ title: "Add a corpus", openLabel: "Add", filters: { Corpora: [...dialogExtensions] } })) ?? [];
  if (!file) return;
  const folder = vscode.workspace.workspaceFolders?.[0];
  const inside = vscode.workspace.getWorkspaceFolder(file) !== undefined;
  const place = inside || !folder || !vscode.workspace.isTrusted ? "open" : await askPlace(folder);
  if (!place) return;
  const uri = place === "copy" && folder ? await copyIn(file, folder.uri) : file;
  await vscode.commands.executeCommand("vscode.openWith", uri, editorOf(uri));
}

async function askPlace(folder: vscode.WorkspaceFolder): Promise<"copy" | "open" | undefined> {
  const picked = await vscode.window.showQuickPick(
    [
      { label: "Copy into the workspace", description: `${folder.name}/data`, detail: "It appears under Sources, and recipes can read it.", place: "copy" as const },
      { label: "Open where it is", detail: "Nothing is copied; a recipe can name it by its path.", place: "open" as const },
    ],
    { title: "Add a corpus", placeHolder: "The file lies outside of the workspace" },
  );
  return picked?.place;
}

async function copyIn(file: vscode.Uri, folder: vscode.Uri): Promise<vscode.Uri> {
  const target = vscode.Uri.joinPath(folder, "data", path.basename(file.fsPath));
  if (await stat(target.fsPath).then(() => true, () => false)) {
    throw TillageError.user("file_exists", `data/${path.basename(file.fsPath)} is there already.`, "Rename one of the two, then add it again.", { file: target.fsPath });
  }
  await vscode.window.withProgress({ location: vscode.ProgressLocation.Notification, title: `Copying ${path.basename(file.fsPath)}` }, async () => {
    const unfinished = path.join(path.dirname(target.fsPath), `.${path.basename(target.fsPath)}.${process.pid}.tmp`);
    try {
      await mkdir(path.dirname(target.fsPath), { recursive: true });
      await copyFile(file.fsPath, unfinished);
      await rename(unfinished, target.fsPath);
    } catch (cause) {
      await rm(unfinished, { force: true });
      throw new TillageError({ blame: "environment", code: "copy_failed", message: `The file could not be copied: ${(cause as Error).message}.`, remedy: "Check the space on the disk and the rights of the folder.", file: target.fsPath }, { cause });
    }
  });
  return target;
}
