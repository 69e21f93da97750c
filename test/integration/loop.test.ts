import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, it } from "mocha";
import * as vscode from "vscode";

function folder(): string {
  const first = vscode.workspace.workspaceFolders?.[0];
  assert.ok(first, "no folder is open");
  return first.uri.fsPath;
}

const uri = (file: string): vscode.Uri => vscode.Uri.file(path.join(folder(), file));

/** Waits until `probe` gives something. */
async function until<T>(what: string, probe: () => T | undefined, timeout = 30_000): Promise<T> {
  for (const end = Date.now() + timeout; ; ) {
    const value = probe();
    if (value !== undefined) return value;
    assert.ok(Date.now() < end, `${what}: not within ${timeout / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

describe("in the demo workspace", () => {
  it("opens a corpus in its own editor", async () => {
    await vscode.commands.executeCommand("tillage.corpus.open", uri("data/notes.jsonl"));
    const input = await until("the corpus editor's tab", () => {
      const active = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
      return active instanceof vscode.TabInputCustom ? active : undefined;
    });
    assert.match(input.viewType, /^tillage\.corpus/);
  });

  it("says in the recipe what is wrong with it, and where", async () => {
    const file = uri("broken.recipe.yaml");
    writeFileSync(file.fsPath, "tillage: 1\nsources:\n  notes: { files: data/notes.jsonl, as: text }\nsteps:\n  - qality: { preset: gopher }\n");
    await vscode.window.showTextDocument(file);
    const [problem] = await until("a diagnostic", () => {
      const found = vscode.languages.getDiagnostics(file);
      return found.length > 0 ? found : undefined;
    });
    assert.equal(problem?.severity, vscode.DiagnosticSeverity.Error);
    assert.equal(problem.range.start.line, 4);
    assert.match(problem.message, /qality/);
  });

  it("completes and explains a recipe's steps", async () => {
    const file = uri("corpus.recipe.yaml");
    const document = await vscode.workspace.openTextDocument(file);
    const line = document.getText().split("\n").findIndex((text) => text.includes("- quality:"));
    const at = new vscode.Position(line, 6);
    const hovers = await vscode.commands.executeCommand<vscode.Hover[]>("vscode.executeHoverProvider", file, at);
    const texts = hovers.flatMap((hover) => hover.contents).map((content) => (content instanceof vscode.MarkdownString ? content.value : ""));
    assert.match(texts.join("\n"), /quality/i);
    const list = await vscode.commands.executeCommand<vscode.CompletionList>("vscode.executeCompletionItemProvider", file, at);
    const labels = list.items.map((item) => (typeof item.label === "string" ? item.label : item.label.label));
    for (const step of ["where", "dedup", "pii", "language", "decontaminate"]) assert.ok(labels.some((label) => label.startsWith(step)), `${step} is not among ${labels.slice(0, 20).join(", ")}`);
  });

  it("builds a dataset with receipts for the rows that left", async () => {
    await vscode.commands.executeCommand("tillage.recipe.build", uri("corpus.recipe.yaml"));
    const datasets = path.join(folder(), ".tillage/datasets");
    const built = await until("the dataset", () => (existsSync(datasets) ? readdirSync(datasets).find((name) => name.startsWith("corpus@") && existsSync(path.join(datasets, name, "manifest.json"))) : undefined), 120_000);
    const files = readdirSync(path.join(datasets, built));
    assert.ok(files.includes("receipts.parquet"), files.join(", "));
    assert.ok(files.some((name) => /^train-\d+\.parquet$/.test(name)), files.join(", "));
    const manifest = JSON.parse(readFileSync(path.join(datasets, built, "manifest.json"), "utf8")) as { steps?: unknown[] };
    assert.ok(Array.isArray(manifest.steps) && manifest.steps.length > 0);
  });
});
