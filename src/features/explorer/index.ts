import * as vscode from "vscode";
import type { Feature } from "../../vscode/services";
import { AddByDrop } from "./drop";
import { ExplorerTree } from "./tree";

/** The sidebar: what the workspace holds, and what can be done with it. */
export const register: Feature = ({ log }) => {
  const tree = new ExplorerTree(log);
  const view = vscode.window.createTreeView("tillage.explorer", { treeDataProvider: tree, showCollapseAll: true, dragAndDropController: new AddByDrop() });
  tree.attach(view);
  return vscode.Disposable.from(view, tree, vscode.commands.registerCommand("tillage.explorer.refresh", () => tree.refresh()));
};
