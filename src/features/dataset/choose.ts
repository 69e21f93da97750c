import { readFileSync, statSync } from "node:fs";
import path from "node:path";
import * as vscode from "vscode";
import { z } from "zod";
import { plural } from "../../core/format";
import { findDatasets } from "../../vscode/datasets";

const splitSchema = z.object({ split: z.array(z.object({ rows: z.number() })) });

interface Item extends vscode.QuickPickItem {
  folder: string;
}

function itemOf(folder: string): Item {
  const file = path.join(folder, "manifest.json");
  const built = statSync(file, { throwIfNoEntry: false })?.mtime;
  const detail = built === undefined ? "" : `built ${built.toLocaleString()}`;
  return { label: path.basename(folder), description: rowsOf(file), detail, folder };
}

/** A manifest that cannot be read is no reason not to offer the dataset: who chooses it is told. */
function rowsOf(file: string): string {
  try {
    const { split } = splitSchema.parse(JSON.parse(readFileSync(file, "utf8")));
    return plural(split.reduce((sum, side) => sum + side.rows, 0), "row");
  } catch {
    return "";
  }
}

/** A built dataset of the workspace, chosen by the person; `without` is not offered. */
export async function chooseDataset(title: string, without?: string): Promise<string | undefined> {
  const folders = (await findDatasets()).filter((folder) => folder !== without);
  if (folders.length === 0) {
    void vscode.window.showInformationMessage("There is no other dataset to compare with. Change a recipe and build it: datasets that were built before are kept.");
    return undefined;
  }
  return (await vscode.window.showQuickPick(folders.map(itemOf), { title, placeHolder: "Newest first", matchOnDescription: true, matchOnDetail: true }))?.folder;
}
