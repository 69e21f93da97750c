import path from "node:path";
import * as vscode from "vscode";
import { exportModel, isAdapterRun } from "../../app/export-model";
import { formatBytes, formatCount } from "../../core/format";
import type { ExportFormat, ExportResult, Quantize } from "../../protocol/native.gen";
import { readSpec } from "../../runtime/spec";
import type { Services } from "../../vscode/services";
import { wayTo } from "../../vscode/show-place";
import { freePlace } from "../../vscode/free-place";
import { replacing } from "./export-place";
import { depsFor } from "./panel-actions";

interface Choice extends vscode.QuickPickItem {
  to: ExportFormat;
  quantize?: Quantize;
}

const gguf: readonly Choice[] = [
  { label: "GGUF, 16 bits", description: "f16", detail: "One file for llama.cpp, Ollama and LM Studio, as exact as its type.", to: "gguf", quantize: "f16" },
  { label: "GGUF, 8 bits", description: "q8_0", detail: "Half the size, hardly a difference in its answers.", to: "gguf", quantize: "q8_0" },
  { label: "GGUF, 4 bits", description: "q4_0", detail: "The smallest; its answers differ.", to: "gguf", quantize: "q4_0" },
];
const merged: Choice = { label: "Hugging Face model", description: "merged", detail: "A folder with the whole model, for transformers and others.", to: "merged" };
const peft: Choice = { label: "PEFT adapter", description: "peft", detail: "A folder with what was trained alone, on top of the base model.", to: "peft" };

/** Asks for a format and a place, and writes a run's result there; undefined when the user left. */
export async function exportRun(services: Services, run: string): Promise<ExportResult | undefined> {
  const { name, prompt } = readSpec(run);
  // No weights of a model can stand for a tuned prompt: it is exported as it is.
  const choices = prompt ? [peft] : [...gguf, merged, ...(isAdapterRun(run) ? [peft] : [])];
  const choice = await vscode.window.showQuickPick(choices, { title: `Export ${name}`, placeHolder: "For which program?", matchOnDescription: true, matchOnDetail: true });
  if (choice === undefined) return undefined;
  const out = await place(choice, name, depsFor(services, run).root);
  if (out === undefined) return undefined;
  const title = `Exporting ${name} (${choice.description ?? choice.to})`;
  const write = (): Thenable<ExportResult> => vscode.window.withProgress({ location: vscode.ProgressLocation.Notification, title, cancellable: true }, async (progress, token) => {
    const abort = new AbortController();
    const cancel = token.onCancellationRequested(() => abort.abort());
    let last = 0;
    try {
      return await exportModel({ ref: run, to: choice.to, out, ...(choice.quantize === undefined ? {} : { quantize: choice.quantize }) }, depsFor(services, run), {
        signal: abort.signal,
        onProgress: ({ done, total }) => {
          const reached = total === 0 ? 0 : (done / total) * 100;
          progress.report({ message: doing(done, total), increment: Math.max(0, reached - last) });
          last = Math.max(last, reached);
        },
      });
    } finally {
      cancel.dispose();
    }
  });
  // The dialog has asked whether a file may be replaced; the engine replaces nothing by itself.
  const result = await (choice.to === "gguf" ? replacing(out, write) : write());
  void announce(name, out, result);
  return result;
}

/** What an export does now; folders are written in one go, GGUF tensor by tensor. */
function doing(done: number, total: number): string {
  if (total <= 1) return "writing the files";
  return done === 0 ? "reading the model" : `tensor ${formatCount(done)} of ${formatCount(total)}`;
}

/** A file's place for GGUF, a new folder's otherwise. */
async function place(choice: Choice, name: string, root: string): Promise<string | undefined> {
  const [stem, end] = choice.to === "gguf" ? [`${name}-${choice.quantize ?? "f16"}`, ".gguf"] : [`${name}-${choice.to}`, ""];
  const target = await vscode.window.showSaveDialog({
    title: choice.to === "gguf" ? "The GGUF file to write" : "The folder to make",
    saveLabel: "Export",
    defaultUri: vscode.Uri.file(freePlace(path.join(root, stem), end)),
    ...(choice.to === "gguf" ? { filters: { GGUF: ["gguf"] } } : {}),
  });
  return target?.fsPath;
}

async function announce(name: string, out: string, result: ExportResult): Promise<void> {
  const bytes = result.files.reduce((sum, file) => sum + file.bytes, 0);
  const notes = result.notes.length === 0 ? "" : ` ${result.notes.join(" ")}`;
  const way = wayTo(out);
  const text = `${name} was written to ${path.basename(out)} (${formatBytes(bytes)}).${notes}`;
  if ((await vscode.window.showInformationMessage(text, way.button)) === way.button) await way.go();
}
