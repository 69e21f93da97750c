import { readFileSync } from "node:fs";
import path from "node:path";
import * as vscode from "vscode";
import { runEval } from "../../app/run-eval";
import type { EvalResult } from "../../core/eval/result";
import { parseEvalFile } from "../../core/eval/schema";
import { rootOf } from "../../vscode/root";
import type { Services } from "../../vscode/services";

/** Puts a file's prompts to a model; tells how many prompts were begun. */
export async function ask(services: Services, file: string, ref: string, options: { signal: AbortSignal; onProgress: (done: number, of: number) => void }): Promise<EvalResult> {
  const open = vscode.workspace.textDocuments.find((document) => document.uri.fsPath === file && document.isDirty);
  // The file on disk is what is asked; an editor with changes would show something else.
  await open?.save();
  const of = parseEvalFile(readFileSync(file, "utf8"), file).value?.prompts.length ?? 0;
  const begun = new Set<string>();
  options.onProgress(0, of);
  return runEval({ file, model: ref }, { root: rootOf(file), corpus: services.corpus, engine: services.engine }, {
    signal: options.signal,
    onToken: ({ id }) => {
      if (begun.has(id)) return;
      begun.add(id);
      options.onProgress(begun.size, of);
    },
  });
}

/** The same with a notification that shows progress and has a Cancel. */
export async function askWithNotification(services: Services, file: string, ref: string, label: string): Promise<EvalResult> {
  return vscode.window.withProgress({ location: vscode.ProgressLocation.Notification, title: `${path.basename(file)}: asking ${label}`, cancellable: true }, async (progress, token) => {
    const abort = new AbortController();
    token.onCancellationRequested(() => abort.abort());
    let last = 0;
    return ask(services, file, ref, {
      signal: abort.signal,
      onProgress: (done, of) => {
        progress.report({ message: done === 0 ? "reading the model" : `question ${done} of ${of}`, increment: of === 0 ? 0 : ((done - last) / of) * 100 });
        last = done;
      },
    });
  });
}
