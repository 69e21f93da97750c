import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import * as vscode from "vscode";
import { checkpointSteps, resolveCheckpoint } from "../../app/models";
import { formatCount } from "../../core/format";
import { forkText } from "../../core/run/fork";
import { writeAtomic } from "../../disk/atomic";
import { TillageError } from "../../protocol/errors";
import { readSpec } from "../../runtime/spec";
import { rootOf } from "../../vscode/root";

/** Asks for a checkpoint of a run and opens a new run file that goes on from there, ready to be changed; undefined when the user left. */
export async function forkRun(dir: string): Promise<string | undefined> {
  const spec = readSpec(dir);
  const file = spec.file ? path.resolve(dir, spec.file) : undefined;
  if (file === undefined || !existsSync(file)) {
    throw TillageError.user("no_run_file", `The run file that ${path.basename(dir)} was made from is not there any more.`, "Write a run file with the same model, adapter and objective, and `fork: NAME@STEP` in it.", { file: dir });
  }
  const steps = checkpointSteps(dir).reverse();
  if (steps.length === 0) throw TillageError.user("no_checkpoint", `${path.basename(dir)} has no checkpoint yet.`, "Pause it, which writes one, or wait for the next.", { file: dir });
  const items = steps.map((step) => ({ label: `step ${formatCount(step)}`, step }));
  const step = (await vscode.window.showQuickPick(items, { title: `Fork ${spec.name}`, placeHolder: "The checkpoint to go on from: weights, optimiser states, place in the data" }))?.step;
  if (step === undefined) return undefined;
  // The name means the newest run that has this step; the run's own id where that is another one.
  const byName = resolveCheckpoint(rootOf(dir), spec.name, step);
  const named = path.dirname(path.dirname(byName)) === dir ? spec.name : path.basename(dir);
  const fork = freeName(file, step);
  writeAtomic(fork, forkText(readFileSync(file, "utf8"), `${named}@${step}`));
  const editor = await vscode.window.showTextDocument(await vscode.workspace.openTextDocument(vscode.Uri.file(fork)));
  const lr = /^\s*(?:train:.*)?\blr:/mu.exec(editor.document.getText());
  if (lr) {
    const at = editor.document.positionAt(lr.index + lr[0].length);
    editor.selection = new vscode.Selection(at, at);
    editor.revealRange(editor.selection);
  }
  return fork;
}

/** `tune-from-40.run.yaml` beside the run file, or with a number where that is there. */
function freeName(file: string, step: number): string {
  const base = file.replace(/\.run\.ya?ml$/u, "");
  for (let n = 1; ; n++) {
    const name = `${base}-from-${step}${n === 1 ? "" : `-${n}`}.run.yaml`;
    if (!existsSync(name)) return name;
  }
}
