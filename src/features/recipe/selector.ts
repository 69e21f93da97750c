import * as vscode from "vscode";

/** Language id of recipes: YAML's colours, and completion that opens while values are typed. */
export const RECIPE_LANGUAGE = "tillage-recipe";

/** Files of the name count too, where the user's own associations chose another language for them. */
export const recipeSelector: vscode.DocumentSelector = [
  { language: RECIPE_LANGUAGE },
  { pattern: "**/*.recipe.{yaml,yml}" },
];

export function isRecipe(document: vscode.TextDocument): boolean {
  return document.languageId === RECIPE_LANGUAGE || /\.recipe\.ya?ml$/.test(document.uri.path);
}

/** The open document of a path; its text counts, not the file's. */
export function openRecipe(path: string): vscode.TextDocument | undefined {
  return vscode.workspace.textDocuments.find((document) => document.uri.fsPath === path && isRecipe(document));
}
