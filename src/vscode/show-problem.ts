import { statSync } from "node:fs";
import * as vscode from "vscode";
import { toProblem } from "../protocol/errors";
import { wayTo, type WayTo } from "./show-place";

/** Says what happened, whose fault it is and what to do; offers the place when there is one. Cancelling is not an error. */
export async function showProblem(error: unknown): Promise<void> {
  const problem = toProblem(error);
  if (problem.code === "cancelled") return;
  const file = problem.file && isFile(problem.file) ? problem.file : undefined;
  const way = file === undefined ? undefined : wayToSee(file, problem.line ?? 1);
  const blame = problem.blame === "internal" ? " (a defect in Tillage)" : "";
  const text = `${problem.message}${blame} ${problem.remedy}`;
  if ((await vscode.window.showErrorMessage(text, ...(way ? [way.button] : []))) === way?.button) await way?.go();
}

/** Files of weights, which no editor shows. */
const WEIGHTS = /\.(?:safetensors|gguf)$/iu;

/** A file's line in its editor, or where the file is. */
function wayToSee(file: string, number: number): WayTo {
  if (WEIGHTS.test(file)) return wayTo(file);
  const line = Math.max(0, number - 1);
  const options: vscode.TextDocumentShowOptions = { selection: new vscode.Range(line, 0, line, 0) };
  // By its editor and not as a text: the file may be none.
  return { button: "Open the file", go: () => vscode.commands.executeCommand("vscode.open", vscode.Uri.file(file), options) };
}

/** A problem may be about a folder, or about a file that is gone. */
function isFile(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
}
