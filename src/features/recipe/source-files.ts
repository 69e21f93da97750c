import path from "node:path";
import * as vscode from "vscode";
import { parseRecipe } from "../../core/recipe";

export interface SourceFile {
  source: string;
  path: string;
}

const MOST_FILES = 200;

/** The files that the sources of a recipe's text name, globs expanded; only what exists. */
export async function sourceFiles(document: vscode.TextDocument): Promise<SourceFile[]> {
  const { recipe } = parseRecipe(document.getText(), document.uri.fsPath);
  if (!recipe) return [];
  const folder = path.dirname(document.uri.fsPath);
  const found = await Promise.all(recipe.sources.map(async (source) => {
    const lists = await Promise.all(source.files.map((pattern) => expand(folder, pattern)));
    return lists.flat().map((file) => ({ source: source.name, path: file }));
  }));
  return found.flat();
}

async function expand(folder: string, pattern: string): Promise<string[]> {
  if (/[*?[{]/.test(pattern)) {
    const uris = await vscode.workspace.findFiles(new vscode.RelativePattern(vscode.Uri.file(folder), pattern), null, MOST_FILES);
    return uris.map((uri) => uri.fsPath).sort();
  }
  const file = path.resolve(folder, pattern);
  try {
    await vscode.workspace.fs.stat(vscode.Uri.file(file));
    return [file];
  } catch {
    return [];
  }
}
