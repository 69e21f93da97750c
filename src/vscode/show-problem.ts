import * as vscode from "vscode";
import { toProblem } from "../protocol/errors";

/** Says what happened, whose fault it is and what to do; offers the place when there is one. Cancelling is not an error. */
export async function showProblem(error: unknown): Promise<void> {
  const problem = toProblem(error);
  if (problem.code === "cancelled") return;
  const file = problem.file ?? undefined;
  const open = file === undefined ? [] : ["Open the file"];
  const blame = problem.blame === "internal" ? " (a defect in Tillage)" : "";
  const text = `${problem.message}${blame} ${problem.remedy}`;
  const choice = await vscode.window.showErrorMessage(text, ...open);
  if (choice === undefined || file === undefined) return;
  const line = Math.max(0, (problem.line ?? 1) - 1);
  await vscode.window.showTextDocument(vscode.Uri.file(file), { selection: new vscode.Range(line, 0, line, 0) });
}
