import * as vscode from "vscode";
import type { ComparedCase } from "../../core/eval/compare";
import { changeMarkdown, promptPlaces } from "../../core/eval/prompts";
import { parseEvalFile } from "../../core/eval/schema";
import { Owner } from "../../vscode/disposable";
import { isEvalFile } from "./pick";
import type { EvalResults } from "./results";

const AUTHOR = { name: "Tillage" };

/** The inline panels under the prompts: what changed from one model to the other, and the verdict. */
export class ChangeThreads extends Owner {
  private readonly controller = this.register(vscode.comments.createCommentController("tillage-eval", "Tillage evaluation"));
  /** By document, then by prompt. */
  private readonly threads = new Map<string, Map<string, vscode.CommentThread>>();

  constructor(private readonly results: EvalResults) {
    super();
    this.register(results.onDidChange(() => this.refreshAll()));
    this.register(vscode.workspace.onDidOpenTextDocument((document) => this.refresh(document)));
    this.register(vscode.workspace.onDidSaveTextDocument((document) => this.refresh(document)));
    this.register(vscode.workspace.onDidCloseTextDocument((document) => this.drop(document.uri.toString())));
    this.refreshAll();
  }

  /** Opens the panel under a prompt. */
  async reveal(file: string, id: string): Promise<void> {
    const document = await vscode.workspace.openTextDocument(vscode.Uri.file(file));
    const editor = await vscode.window.showTextDocument(document, { preserveFocus: false });
    this.refresh(document);
    const thread = this.threads.get(document.uri.toString())?.get(id);
    if (!thread) return;
    thread.collapsibleState = vscode.CommentThreadCollapsibleState.Expanded;
    if (thread.range) editor.revealRange(thread.range, vscode.TextEditorRevealType.InCenterIfOutsideViewport);
  }

  private refreshAll(): void {
    for (const document of vscode.workspace.textDocuments) this.refresh(document);
  }

  private refresh(document: vscode.TextDocument): void {
    if (!isEvalFile(document) || document.uri.scheme !== "file") return;
    const file = document.uri.fsPath;
    const latest = this.results.latest(file);
    const known = this.threads.get(document.uri.toString()) ?? new Map<string, vscode.CommentThread>();
    this.threads.set(document.uri.toString(), known);
    const items = new Map(latest?.comparison.cases.map((item) => [item.id, item]));
    const seen = new Set<string>();
    for (const place of promptPlaces(parseEvalFile(document.getText(), file), document.getText())) {
      const item = items.get(place.id);
      if (!latest || item?.prompt !== place.prompt) continue;
      seen.add(place.id);
      // Under the whole prompt, not inside it.
      const position = document.positionAt(place.end);
      const range = new vscode.Range(position, position);
      const thread = known.get(place.id) ?? this.make(document.uri, range);
      known.set(place.id, thread);
      thread.range = range;
      this.fill(thread, file, item, latest.before.model, latest.after.model);
    }
    for (const [id, thread] of known) {
      if (seen.has(id)) continue;
      thread.dispose();
      known.delete(id);
    }
  }

  private make(uri: vscode.Uri, range: vscode.Range): vscode.CommentThread {
    const thread = this.controller.createCommentThread(uri, range, []);
    thread.canReply = false;
    thread.collapsibleState = vscode.CommentThreadCollapsibleState.Collapsed;
    thread.contextValue = "tillage-change";
    return thread;
  }

  private fill(thread: vscode.CommentThread, file: string, item: ComparedCase, before: { ref: string; label: string }, after: { ref: string; label: string }): void {
    const pair = encodeURIComponent(JSON.stringify([{ file, before: before.ref, after: after.ref, id: item.id }]));
    const text = new vscode.MarkdownString(`${changeMarkdown(item, before.label, after.label)}\n\n[Open diff](command:tillage.compare.openDiff?${pair}) · [Compare all](command:tillage.compare.open?${pair})`);
    text.isTrusted = { enabledCommands: ["tillage.compare.openDiff", "tillage.compare.open"] };
    thread.label = `${before.label} → ${after.label}: ${item.change}`;
    thread.comments = [{ author: AUTHOR, body: text, mode: vscode.CommentMode.Preview }];
  }

  private drop(key: string): void {
    for (const thread of this.threads.get(key)?.values() ?? []) thread.dispose();
    this.threads.delete(key);
  }
}
