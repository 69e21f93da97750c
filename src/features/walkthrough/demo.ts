import { cp, mkdir, rename, rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import * as vscode from "vscode";
import { TillageError } from "../../protocol/errors";

const WALKTHROUGH = "tillage.tillage#tillage.demo";
/** Global state: the folder in whose window the walkthrough goes on. */
const CONTINUE = "tillage.demo.continueIn";
const FOLDER = "tillage-demo";
/** A file that only the demo has at its top. */
const MARK = "five-questions.eval.yaml";

/** Copies the packaged demo to a folder that the person picks and opens it. */
export async function openDemo(context: vscode.ExtensionContext): Promise<void> {
  const here = vscode.workspace.workspaceFolders?.[0];
  if (await isDemo()) {
    await openWalkthrough();
    return;
  }
  const [parent] = (await vscode.window.showOpenDialog({
    title: "Where should the demo workspace go?", openLabel: `Create ${FOLDER} here`, canSelectFiles: false, canSelectFolders: true, defaultUri: vscode.Uri.file(homedir()),
  })) ?? [];
  if (!parent) return;
  const target = path.join(parent.fsPath, FOLDER);
  if (await exists(target)) {
    if (!(await exists(path.join(target, MARK)))) {
      throw TillageError.user("folder_exists", `${target} is there already and is not the demo.`, "Choose another folder.", { file: target });
    }
    const choice = await vscode.window.showInformationMessage(`${target} is there already.`, { modal: true, detail: "It is opened as it is, with what was built in it." }, "Open it");
    if (choice === undefined) return;
  } else {
    await copyDemo(path.join(context.extensionPath, "demo"), target);
  }
  await context.globalState.update(CONTINUE, target);
  await vscode.commands.executeCommand("vscode.openFolder", vscode.Uri.file(target), { forceNewWindow: here !== undefined });
}

/** Opens the walkthrough, its first step ticked in the demo's window: the command that opened that ran in another one. */
export async function openWalkthrough(): Promise<void> {
  await vscode.commands.executeCommand("workbench.action.openWalkthrough", WALKTHROUGH, false);
  // Only after: VS Code takes no notice of a context that was there before the walkthrough was read.
  if (await isDemo()) await vscode.commands.executeCommand("setContext", "tillage.demo.isOpen", true);
}

async function isDemo(): Promise<boolean> {
  const here = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath;
  return here !== undefined && exists(path.join(here, MARK));
}

/** In the demo's own window, right after it was opened: the walkthrough goes on there. */
export async function continueWalkthrough(context: vscode.ExtensionContext): Promise<void> {
  const wanted = context.globalState.get<string>(CONTINUE);
  const here = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath;
  if (wanted === undefined || here !== wanted) return;
  await context.globalState.update(CONTINUE, undefined);
  await vscode.commands.executeCommand("workbench.view.extension.tillage");
  await openWalkthrough();
}

async function copyDemo(from: string, target: string): Promise<void> {
  const unfinished = `${target}.${process.pid}.tmp`;
  try {
    await mkdir(path.dirname(target), { recursive: true });
    // What a run of the demo left in the package's own folder is not part of it, nor is the script that writes its texts.
    await cp(from, unfinished, { recursive: true, filter: (source) => !/(^\.tillage|\.mjs|^planted\.json)$/u.test(path.basename(source)) });
    await rename(unfinished, target);
  } catch (cause) {
    await rm(unfinished, { recursive: true, force: true });
    throw new TillageError({ blame: "environment", code: "copy_failed", message: `The demo could not be copied: ${(cause as Error).message}.`, remedy: "Choose a folder that you may write to.", file: target }, { cause });
  }
}

function exists(file: string): Promise<boolean> {
  return stat(file).then(() => true, () => false);
}
