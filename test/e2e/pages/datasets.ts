import { readdirSync } from "node:fs";
import path from "node:path";

/** A training file of a built dataset, by the beginning of the dataset's name. */
export function datasetFile(workspace: string, name: string): string {
  const datasets = path.join(workspace, ".tillage/datasets");
  const folder = readdirSync(datasets).find((entry) => entry.startsWith(name));
  if (!folder) throw new Error(`${datasets} holds no dataset ${name}.`);
  const file = readdirSync(path.join(datasets, folder)).find((entry) => /^train-\d+\.parquet$/.test(entry));
  if (!file) throw new Error(`${folder} holds no training file.`);
  return path.join(datasets, folder, file);
}
