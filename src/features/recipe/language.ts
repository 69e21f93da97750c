import * as vscode from "vscode";
import { completionsAt, describeAt } from "../../core/recipe";
import { Owner } from "../../vscode/disposable";
import { recipeSelector } from "./selector";
import type { SourceColumns } from "./source-columns";
import { columnWord, insidePredicate } from "./predicate";
import { valueItems } from "./value-items";
import { valuePlace } from "./value-place";

/** Completion and hover of recipes: steps, keys, values, presets, and the columns of the sources inside predicates. */
export class RecipeLanguage extends Owner implements vscode.CompletionItemProvider, vscode.HoverProvider {
  constructor(private readonly columns: SourceColumns) {
    super();
    this.register(vscode.languages.registerCompletionItemProvider(recipeSelector, this, " ", ":", "-", "[", "{", ",", "\"", "/"));
    this.register(vscode.languages.registerHoverProvider(recipeSelector, this));
  }

  async provideCompletionItems(document: vscode.TextDocument, position: vscode.Position, token: vscode.CancellationToken): Promise<vscode.CompletionItem[]> {
    const text = document.getText();
    const offset = document.offsetAt(position);
    if (insidePredicate(document.lineAt(position).text, position.character)) return this.columnItems(document, position, token);
    const place = valuePlace(document.lineAt(position).text, position.character);
    if (place) return valueItems(document, position.line, place, this.columns);
    const { items, start, end } = completionsAt(text, offset);
    const range = new vscode.Range(document.positionAt(start), document.positionAt(end));
    return items.map((item, index) => {
      const completion = new vscode.CompletionItem(item.label, item.insertText.includes("\n") ? vscode.CompletionItemKind.Struct : vscode.CompletionItemKind.Property);
      completion.insertText = new vscode.SnippetString(item.insertText);
      completion.detail = item.detail;
      completion.documentation = new vscode.MarkdownString(item.documentation);
      completion.range = range;
      // The order of the grammar says more than the alphabet.
      completion.sortText = String(index).padStart(4, "0");
      return completion;
    });
  }

  private async columnItems(document: vscode.TextDocument, position: vscode.Position, token: vscode.CancellationToken): Promise<vscode.CompletionItem[]> {
    const columns = await this.columns.of(document);
    if (token.isCancellationRequested) return [];
    const { start, end } = columnWord(document.lineAt(position).text, position.character);
    const range = new vscode.Range(position.line, start, position.line, end);
    return columns.map((column) => {
      const completion = new vscode.CompletionItem(column.name, vscode.CompletionItemKind.Field);
      completion.detail = column.detail;
      completion.documentation = column.documentation;
      completion.insertText = /^[A-Za-z_][A-Za-z0-9_]*$/.test(column.name) ? column.name : `"${column.name.replaceAll("\"", "\"\"")}"`;
      completion.range = range;
      return completion;
    });
  }

  provideHover(document: vscode.TextDocument, position: vscode.Position): vscode.Hover | undefined {
    const found = describeAt(document.getText(), document.offsetAt(position));
    if (!found) return undefined;
    const range = new vscode.Range(document.positionAt(found.start), document.positionAt(found.end));
    return new vscode.Hover(new vscode.MarkdownString(found.markdown), range);
  }
}
