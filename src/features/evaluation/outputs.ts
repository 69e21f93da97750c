import path from "node:path";
import * as vscode from "vscode";
import { z } from "zod";
import { outputDocument } from "../../core/eval/prompts";
import type { ComparedCase, Comparison } from "../../core/eval/compare";
import type { EvalResult } from "../../core/eval/result";
import { Owner } from "../../vscode/disposable";
import type { EvalResults } from "./results";

/** Scheme of the documents that show one answer of one model. */
export const OUTPUT_SCHEME = "tillage-output";

const querySchema = z.object({ file: z.string(), ref: z.string(), id: z.string() });

/** Gives models' answers to VS Code as read-only documents, for its own diff editors. */
export class OutputDocuments extends Owner implements vscode.TextDocumentContentProvider {
  private readonly changed = this.register(new vscode.EventEmitter<vscode.Uri>());
  readonly onDidChange = this.changed.event;

  constructor(private readonly results: EvalResults) {
    super();
    this.register(vscode.workspace.registerTextDocumentContentProvider(OUTPUT_SCHEME, this));
    this.register(results.onDidChange(() => {
      for (const document of vscode.workspace.textDocuments) if (document.uri.scheme === OUTPUT_SCHEME) this.changed.fire(document.uri);
    }));
  }

  provideTextDocumentContent(uri: vscode.Uri): string {
    const { file, ref, id } = querySchema.parse(JSON.parse(uri.query));
    const result = this.results.find(file, ref);
    const found = result?.cases.find((item) => item.id === id);
    return result && found ? outputDocument(found, result.model.label) : "This answer is not there any more. Run the evaluation again.\n";
  }
}

/**
 * The document of one answer. The path is what people see: the prompt's id and what became of it. It is the same on both sides,
 * so that no diff takes it for a renamed file; the query says whose answer it is.
 */
function outputUri(file: string, item: ComparedCase, result?: EvalResult): vscode.Uri {
  const query = result ? { query: JSON.stringify({ file, ref: result.model.ref, id: item.id }) } : {};
  return vscode.Uri.from({ scheme: OUTPUT_SCHEME, path: `/${path.basename(file)}/${item.id} (${item.change}).txt`, ...query });
}

/** All answers of two models in VS Code's multi-file diff, the changed ones first. */
export async function openChanges(file: string, comparison: Comparison): Promise<void> {
  const order = { broken: 0, fixed: 1, changed: 2, same: 3 } as const;
  const cases = [...comparison.cases].sort((a, b) => order[a.change] - order[b.change]);
  const resources = cases.map((item): [vscode.Uri, vscode.Uri, vscode.Uri] => [outputUri(file, item), outputUri(file, item, comparison.before), outputUri(file, item, comparison.after)]);
  await vscode.commands.executeCommand("vscode.changes", `${path.basename(file)}: ${comparison.before.model.label} ⇄ ${comparison.after.model.label}`, resources);
}

/** One prompt's answers in VS Code's diff editor. */
export async function openDiff(file: string, comparison: Comparison, id: string): Promise<void> {
  const item = comparison.cases.find((compared) => compared.id === id);
  if (!item) return;
  const title = `${id}: ${comparison.before.model.label} ⇄ ${comparison.after.model.label}`;
  await vscode.commands.executeCommand("vscode.diff", outputUri(file, item, comparison.before), outputUri(file, item, comparison.after), title);
}
