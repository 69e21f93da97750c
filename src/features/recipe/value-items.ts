import path from "node:path";
import * as vscode from "vscode";
import { readableGlob } from "../../core/dataset/formats";
import type { SourceColumns } from "./source-columns";
import { sourceRanges } from "./source-ranges";
import type { ValueKind, ValuePlace } from "./value-place";

const GLOBS = { data: readableGlob, evals: "**/*.eval.{yaml,yml}", tokenizer: "**/tokenizer.json" } as const;
const NEVER = "**/{node_modules,.tillage,.git}/**";
const MOST = 500;

/** Completions that come from the workspace, for one place of a recipe. */
export async function valueItems(document: vscode.TextDocument, line: number, place: ValuePlace, columns: SourceColumns): Promise<vscode.CompletionItem[]> {
  const range = new vscode.Range(line, place.start, line, place.end);
  const item = (label: string, kind: vscode.CompletionItemKind, detail: string): vscode.CompletionItem => {
    const completion = new vscode.CompletionItem(label, kind);
    completion.detail = detail;
    completion.range = range;
    return completion;
  };
  const names = sourceRanges(document.getText()).map((source) => source.name);
  switch (place.kind) {
    case "source":
      return names.map((name) => item(name, vscode.CompletionItemKind.Reference, "source"));
    case "share":
      return names.map((name) => {
        const completion = item(name, vscode.CompletionItemKind.Reference, "share of this source");
        completion.insertText = new vscode.SnippetString(`${name}: \${1:50}%`);
        return completion;
      });
    case "column": {
      const groupable = (await columns.of(document)).filter((column) => column.groupable);
      return [item("source", vscode.CompletionItemKind.Value, "the source's name"), ...groupable.map((column) => item(column.name, vscode.CompletionItemKind.Field, column.detail))];
    }
    default:
      return (await files(document, place.kind)).map((file) => item(file, vscode.CompletionItemKind.File, place.kind));
  }
}

async function files(document: vscode.TextDocument, kind: Extract<ValueKind, keyof typeof GLOBS>): Promise<string[]> {
  const uris = await vscode.workspace.findFiles(GLOBS[kind], NEVER, MOST);
  const folder = path.dirname(document.uri.fsPath);
  const found = uris.map((uri) => (kind === "tokenizer" ? path.dirname(uri.fsPath) : uri.fsPath));
  return found.map((file) => path.relative(folder, file).split(path.sep).join("/")).sort();
}
