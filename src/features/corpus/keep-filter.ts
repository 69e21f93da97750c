import path from "node:path";
import * as vscode from "vscode";
import { addStep, parseRecipe, stepRanges } from "../../core/recipe";
import { smallestReplacement } from "../../core/text-edit";
import type { Query } from "../../protocol/corpus";
import { TillageError } from "../../protocol/errors";
import type { Services } from "../../vscode/services";
import { trusted } from "../../vscode/trust";
import { findRecipes } from "../../vscode/workspace-files";
import type { CorpusDocument } from "./document";
import { newRecipe, whereStep } from "./recipe-text";

interface RecipeItem extends vscode.QuickPickItem {
  /** Absent for the offer to create one. */
  uri?: vscode.Uri;
  source?: string;
  sources?: number;
}

/** Writes a view of a file as a `where` step of a recipe that the person chooses. Resolves to the recipe's path, or null when none was chosen. */
export async function keepAsFilter(services: Services, document: CorpusDocument, query: Query): Promise<{ file: string } | null> {
  if (!trusted("no recipe is written in it")) return null;
  const { sql } = await document.ask((corpus, handle) => corpus.predicate({ handle, query }));
  const chosen = await chooseRecipe(document.uri);
  if (!chosen) return null;
  const uri = chosen.uri ? await writeStep(chosen.uri, whereStep(sql, (chosen.sources ?? 1) > 1 ? chosen.source : undefined)) : await createRecipe(document, sql);
  if (!uri) return null;
  services.log.info(`${uri.fsPath}: added where: ${sql}`);
  return { file: vscode.workspace.asRelativePath(uri) };
}

async function chooseRecipe(corpus: vscode.Uri): Promise<RecipeItem | undefined> {
  const recipes = await Promise.all((await findRecipes()).map((uri) => recipeItem(uri, corpus)));
  // Recipes that read this file come first.
  recipes.sort((a, b) => Number(b.source !== undefined) - Number(a.source !== undefined) || a.label.localeCompare(b.label));
  const create: RecipeItem = { label: "$(add) New recipe…", description: `that reads ${path.basename(corpus.fsPath)}`, alwaysShow: true };
  const title = "Keep as filter";
  const placeHolder = recipes.length === 0 ? "There is no recipe yet: create one with this filter" : "The recipe that gets the filter as a where step";
  return vscode.window.showQuickPick<RecipeItem>([...recipes, create], { title, placeHolder });
}

async function recipeItem(uri: vscode.Uri, corpus: vscode.Uri): Promise<RecipeItem> {
  const label = path.basename(uri.fsPath);
  const folder = path.dirname(vscode.workspace.asRelativePath(uri));
  const text = (await vscode.workspace.openTextDocument(uri)).getText();
  const { recipe } = parseRecipe(text, uri.fsPath);
  for (const source of recipe?.sources ?? []) {
    for (const files of source.files) {
      if (await reads(path.dirname(uri.fsPath), files, corpus)) {
        return { label, uri, source: source.name, sources: recipe?.sources.length ?? 1, description: `reads this file as ${source.name}`, ...(folder === "." ? {} : { detail: folder }) };
      }
    }
  }
  return { label, uri, description: folder === "." ? "" : folder };
}

/** Whether a source's path or glob names a file. */
async function reads(folder: string, files: string, corpus: vscode.Uri): Promise<boolean> {
  if (path.resolve(folder, files) === corpus.fsPath) return true;
  if (!/[*?[{]/u.test(files) || files.startsWith("..")) return false;
  const found = await vscode.workspace.findFiles(new vscode.RelativePattern(vscode.Uri.file(folder), files));
  return found.some((uri) => uri.fsPath === corpus.fsPath);
}

async function writeStep(uri: vscode.Uri, step: string): Promise<vscode.Uri> {
  const document = await vscode.workspace.openTextDocument(uri);
  const text = document.getText();
  const replacement = smallestReplacement(text, addStep(text, step));
  if (replacement) {
    const edit = new vscode.WorkspaceEdit();
    edit.replace(uri, new vscode.Range(document.positionAt(replacement.start), document.positionAt(replacement.end)), replacement.newText);
    if (!(await vscode.workspace.applyEdit(edit))) throw refused(uri);
  }
  await show(document);
  return uri;
}

async function createRecipe(corpus: CorpusDocument, sql: string): Promise<vscode.Uri | undefined> {
  const folder = vscode.workspace.getWorkspaceFolder(corpus.uri)?.uri ?? vscode.Uri.joinPath(corpus.uri, "..");
  const stem = path.basename(corpus.uri.fsPath).replace(/\.[^.]+$/u, "");
  const name = await vscode.window.showInputBox({
    title: "New recipe",
    prompt: `A file in ${path.basename(folder.fsPath)} that ends in .recipe.yaml`,
    value: `${stem}.recipe.yaml`,
    valueSelection: [0, stem.length],
    validateInput: (value) => checkName(folder, value),
  });
  if (name === undefined) return undefined;
  const uri = vscode.Uri.joinPath(folder, name);
  const text = newRecipe(uri.fsPath, corpus.uri.fsPath, corpus.opened?.shape ?? "table", sql);
  const edit = new vscode.WorkspaceEdit();
  edit.createFile(uri, { overwrite: false, contents: Buffer.from(text, "utf8") });
  if (!(await vscode.workspace.applyEdit(edit))) throw refused(uri);
  await show(await vscode.workspace.openTextDocument(uri));
  return uri;
}

async function checkName(folder: vscode.Uri, name: string): Promise<string | undefined> {
  if (!/^[^\\:*?"<>|]+\.recipe\.ya?ml$/u.test(name) || name.split("/").includes("..")) return "The name ends in .recipe.yaml, such as support.recipe.yaml.";
  const taken = await vscode.workspace.fs.stat(vscode.Uri.joinPath(folder, name)).then(() => true, () => false);
  return taken ? "There is a file of that name: choose it from the list before, or another name here." : undefined;
}

/** The recipe beside the corpus, with its last step in view. */
async function show(document: vscode.TextDocument): Promise<void> {
  const last = stepRanges(document.getText()).at(-1);
  const selection = last ? new vscode.Range(document.positionAt(last.start), document.positionAt(last.start)) : undefined;
  await vscode.window.showTextDocument(document, { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true, ...(selection ? { selection } : {}) });
}

function refused(uri: vscode.Uri): TillageError {
  return TillageError.environment("edit_refused", `${vscode.workspace.asRelativePath(uri)} could not be changed.`, "See whether the file is read-only, then try again.");
}
