import * as vscode from "vscode";
import { createServices } from "./vscode/create-services";
import type { Feature } from "./vscode/services";

/** Every feature of the extension; each registers its own commands, views and editors. */
const features: Feature[] = [];

/** Composition root: builds the parts, registers the features. Nothing heavy happens here. */
export function activate(context: vscode.ExtensionContext): void {
  const services = createServices(context);
  context.subscriptions.push(services);
  for (const register of features) context.subscriptions.push(register(services));
}
