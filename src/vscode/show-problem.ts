import { statSync } from "node:fs";
import * as vscode from "vscode";
import { toProblem } from "../protocol/errors";

/** Says what happened, whose fault it is and what to do; offers the place when there is one. Cancelling is not an error. */
export async function showProblem(error: unknown): Promise<void> {
  const problem = toProblem(error);
  if (problem.code === "cancelled") return;
  const file = problem.file && isFile(problem.file) ? problem.file : undefined;
  const open = file === undefined ? [] : ["Open the file"];
  const blame = problem.blame === "internal" ? " (a defect in Tillage)" : "";
  const text = `${problem.message}${blame} ${problem.remedy}`;
  const choice = await vscode.window.showErrorMessage(text, ...open);
  if (choice === undefined || file === undefined) return;
  const line = Math.max(0, (problem.line ?? 1) - 1);
  // By its editor and not as a text: the file may be none.
  await vscode.commands.executeCommand("vscode.open", vscode.Uri.file(file), { selection: new vscode.Range(line, 0, line, 0) } satisfies vscode.TextDocumentShowOptions);
}

/** A problem may be about a folder, or about a file that is gone. */
function isFile(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
}
