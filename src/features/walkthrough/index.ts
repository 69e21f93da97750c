import path from "node:path";
import * as vscode from "vscode";
import type { Feature } from "../../vscode/services";
import { showProblem } from "../../vscode/show-problem";
import { continueWalkthrough, openDemo, openWalkthrough } from "./demo";

/** A walkthrough's step: the demo's file that it is about, and the real command that it runs on it. */
interface Step {
  id: string;
  file: string;
  command: string;
  /** Opens the file first. */
  show?: boolean;
}

const steps: readonly Step[] = [
  { id: "tillage.demo.corpus", file: "notes.jsonl", command: "tillage.corpus.open" },
  { id: "tillage.demo.recipe", file: "corpus.recipe.yaml", command: "vscode.open" },
  { id: "tillage.demo.mixer", file: "corpus.recipe.yaml", command: "tillage.recipe.mixer" },
  { id: "tillage.demo.build", file: "corpus.recipe.yaml", command: "tillage.recipe.build" },
  { id: "tillage.demo.pretrain", file: "pretrain.run.yaml", command: "tillage.run.start" },
  { id: "tillage.demo.tune", file: "tune.run.yaml", command: "tillage.run.start" },
  // The answers stand above the prompts afterwards: the file is what to look at.
  { id: "tillage.demo.ask", file: "five-questions.eval.yaml", command: "tillage.eval.run", show: true },
  { id: "tillage.demo.compare", file: "five-questions.eval.yaml", command: "tillage.compare.open" },
];

/** The demo workspace and the walkthrough over it. */
export const register: Feature = ({ context }) => {
  continueWalkthrough(context).then(undefined, showProblem);
  const command = (id: string, run: () => Promise<void>): vscode.Disposable => vscode.commands.registerCommand(id, () => run().catch(showProblem));
  return vscode.Disposable.from(
    command("tillage.demo.open", () => openDemo(context)),
    command("tillage.walkthrough.open", openWalkthrough),
    ...steps.map((step) => command(step.id, () => runStep(step))),
  );
};

async function runStep({ file: name, command, show }: Step): Promise<void> {
  const found = await vscode.workspace.findFiles(`**/${name}`, "**/{node_modules,.tillage}/**", 20);
  // The nearest to the top is the demo's own, where the workspace holds a copy of it deeper down.
  const [file] = found.sort((a, b) => a.path.split(path.posix.sep).length - b.path.split(path.posix.sep).length);
  if (file) {
    if (show) await vscode.window.showTextDocument(file);
    await vscode.commands.executeCommand(command, file);
    return;
  }
  const choice = await vscode.window.showInformationMessage(`This workspace has no ${name}: the step is about the demo.`, "Open the demo");
  if (choice !== undefined) await vscode.commands.executeCommand("tillage.demo.open");
}
