import * as vscode from "vscode";
import { corpusGlob, isTextualCorpus } from "../core/dataset/formats";

/** Folders whose files nobody means when they say "my corpora". */
const EXCLUDED = "**/{node_modules,.git,.tillage,.venv,venv,__pycache__,dist,target}/**";
const MOST = 1000;

/** Files that the corpus editor opens. `.jsonl` of other tools' making is included: telling them apart needs reading them. */
export async function findCorpora(): Promise<vscode.Uri[]> {
  return sorted(await vscode.workspace.findFiles(corpusGlob, EXCLUDED, MOST));
}

/** The corpus that stands open as text in front of the person, if it is one. */
export function corpusShownAsText(): vscode.Uri | undefined {
  const uri = vscode.window.activeTextEditor?.document.uri;
  return uri?.scheme === "file" && isTextualCorpus(uri.path) ? uri : undefined;
}

export async function findRecipes(): Promise<vscode.Uri[]> {
  return sorted(await vscode.workspace.findFiles("**/*.recipe.{yaml,yml}", EXCLUDED, MOST));
}

export async function findRunFiles(): Promise<vscode.Uri[]> {
  return sorted(await vscode.workspace.findFiles("**/*.run.{yaml,yml}", EXCLUDED, MOST));
}

export async function findEvalFiles(): Promise<vscode.Uri[]> {
  return sorted(await vscode.workspace.findFiles("**/*.eval.{yaml,yml}", EXCLUDED, MOST));
}

/** `config.json` of model folders; whether weights lie beside it is for the caller to see. */
export async function findModelConfigs(): Promise<vscode.Uri[]> {
  return sorted(await vscode.workspace.findFiles("**/{config,adapter_config}.json", EXCLUDED, MOST));
}

function sorted(uris: vscode.Uri[]): vscode.Uri[] {
  return uris.sort((a, b) => a.path.localeCompare(b.path, "en", { numeric: true }));
}
