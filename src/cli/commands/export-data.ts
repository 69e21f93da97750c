import path from "node:path";
import { resolveDataset } from "../../app/datasets";
import { plural } from "../../core/format";
import { datasetFormats, type DatasetExport, type DatasetFormat } from "../../protocol/corpus";
import { TillageError } from "../../protocol/errors";
import type { Context } from "../context";

export interface ExportDataOptions {
  to: string;
  out: string;
  plain?: boolean;
}

/** `tillage export-data DATASET --to hub|parquet|jsonl --out DIR` */
export async function exportData(context: Context, ref: string, options: ExportDataOptions): Promise<DatasetExport> {
  const to = datasetFormats.find((format) => format === options.to);
  if (to === undefined) throw TillageError.user("unknown_format", `There is no format '${options.to}' for datasets.`, `Use ${datasetFormats.join(", ")}.`);
  const result = await context.corpus.exportDataset({ dataset: resolveDataset(context.root, ref, process.cwd()), to: to satisfies DatasetFormat, out: path.resolve(options.out), plain: options.plain ?? false }, context.signal);
  context.out.say(`  ${plural(result.rows, "row")} in ${plural(result.files.length, "file")}: ${path.relative(process.cwd(), result.out) || "."}`);
  return result;
}
