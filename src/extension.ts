import "./vscode/zod-setup";
import * as vscode from "vscode";
import { register as registerCorpus } from "./features/corpus";
import { register as registerDataset } from "./features/dataset";
import { register as registerExplorer } from "./features/explorer";
import { register as registerWalkthrough } from "./features/walkthrough";
import { register as registerEvaluation } from "./features/evaluation";
import { register as registerTraining } from "./features/training";
import { register as registerRecipe } from "./features/recipe";
import { register as registerTokens } from "./features/tokens";
import { createServices } from "./vscode/create-services";
import type { Feature } from "./vscode/services";

/** Every feature of the extension; each registers its own commands, views and editors. */
const features: Feature[] = [registerExplorer, registerCorpus, registerWalkthrough, registerTraining, registerEvaluation, registerRecipe, registerDataset, registerTokens];

/** Composition root: builds the parts, registers the features. Nothing heavy happens here. */
export function activate(context: vscode.ExtensionContext): void {
  const services = createServices(context);
  context.subscriptions.push(services);
  for (const register of features) context.subscriptions.push(register(services));
}
