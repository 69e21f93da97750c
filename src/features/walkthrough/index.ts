import path from "node:path";
import * as vscode from "vscode";
import type { Feature } from "../../vscode/services";
import { showProblem } from "../../vscode/show-problem";
import { continueWalkthrough, openDemo, WALKTHROUGH } from "./demo";

/** A walkthrough's step: the demo's file that it is about, and the real command that it runs on it. */
const steps = [
  { id: "tillage.demo.corpus", file: "notes.jsonl", command: "tillage.corpus.open" },
  { id: "tillage.demo.recipe", file: "corpus.recipe.yaml", command: "vscode.open" },
  { id: "tillage.demo.mixer", file: "corpus.recipe.yaml", command: "tillage.recipe.mixer" },
  { id: "tillage.demo.build", file: "corpus.recipe.yaml", command: "tillage.recipe.build" },
  { id: "tillage.demo.pretrain", file: "pretrain.run.yaml", command: "tillage.run.start" },
  { id: "tillage.demo.tune", file: "tune.run.yaml", command: "tillage.run.start" },
  { id: "tillage.demo.ask", file: "five-questions.eval.yaml", command: "tillage.eval.run" },
  { id: "tillage.demo.compare", file: "five-questions.eval.yaml", command: "tillage.compare.open" },
] as const;

/** The demo workspace and the walkthrough over it. */
export const register: Feature = ({ context }) => {
  continueWalkthrough(context).then(undefined, showProblem);
  const command = (id: string, run: () => Promise<void>): vscode.Disposable => vscode.commands.registerCommand(id, () => run().catch(showProblem));
  return vscode.Disposable.from(
    command("tillage.demo.open", () => openDemo(context)),
    command("tillage.walkthrough.open", async () => void (await vscode.commands.executeCommand("workbench.action.openWalkthrough", WALKTHROUGH, false))),
    ...steps.map((step) => command(step.id, () => runStep(step.file, step.command))),
  );
};

async function runStep(name: string, command: string): Promise<void> {
  const found = await vscode.workspace.findFiles(`**/${name}`, "**/{node_modules,.tillage}/**", 20);
  // The nearest to the top is the demo's own, where the workspace holds a copy of it deeper down.
  const [file] = found.sort((a, b) => a.path.split(path.posix.sep).length - b.path.split(path.posix.sep).length);
  if (file) {
    await vscode.commands.executeCommand(command, file);
    return;
  }
  const choice = await vscode.window.showInformationMessage(`This workspace has no ${name}: the step is about the demo.`, "Open the demo");
  if (choice !== undefined) await vscode.commands.executeCommand("tillage.demo.open");
}
