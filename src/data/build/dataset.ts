import { existsSync, statSync } from "node:fs";
import path from "node:path";
import type { Cell, GuardResult, ReceiptRow } from "../../protocol/corpus";
import { TillageError } from "../../protocol/errors";
import { Database, type Session } from "../duckdb/session";
import { inList, literal, parquet } from "../duckdb/sql";
import { loadEvalFiles } from "../pipeline/evals";
import { runGuards } from "./guards";
import { wholeText } from "../../core/dataset";
import { evalItems } from "../../core/steps";
import { readManifest, recipeFolder, type Manifest } from "./manifest";

export interface DatasetRow {
  rowId: string;
  source: string;
  values: Record<string, Cell>;
  text: string;
}

async function withDataset<T>(dataset: string, extensionPath: string | undefined, signal: AbortSignal | undefined, work: (session: Session, manifest: Manifest, folder: string) => Promise<T>): Promise<T> {
  const folder = path.resolve(dataset);
  const manifest = readManifest(folder);
  const database = await Database.open(extensionPath);
  try {
    return await database.session(signal, (session) => work(session, manifest, folder));
  } finally {
    database.close();
  }
}

/** All shards of a dataset as one table. */
export function shards(manifest: Manifest, folder: string, side?: string): string {
  const files = manifest.split.filter((split) => side === undefined || split.name === side).flatMap((split) => split.files.map((file) => path.join(folder, file)));
  return parquet(files, "union_by_name = true");
}

/** The whole text of a dataset's row as SQL. */
export function textOf(manifest: Manifest): string {
  return manifest.shape === "mixed" ? "text" : wholeText(manifest.shape);
}

/** The receipts of a dataset, in the order of its steps. */
export async function datasetReceipts(params: { dataset: string; rowId?: string; step?: string; limit: number }, extensionPath?: string, signal?: AbortSignal): Promise<ReceiptRow[]> {
  return withDataset(params.dataset, extensionPath, signal, async (session, manifest, folder) => {
    const receipts = parquet([path.join(folder, "receipts.parquet")]);
    const conditions = [...(params.rowId === undefined ? [] : [`row_id = ${literal(params.rowId)}`]), ...(params.step === undefined ? [] : [`step = ${literal(params.step)}`])];
    const texts = `(SELECT _row_id AS id, left(${textOf(manifest)}, 400) AS text FROM ${shards(manifest, folder)} WHERE _copy = 0 UNION ALL SELECT row_id, text FROM ${receipts} WHERE effect = 'dropped')`;
    const rows = await session.rows<Record<Exclude<keyof ReceiptRow, "fileRow">, string | null> & { fileRow: number }>(
      `SELECT r.row_id AS "rowId", r.source, r.file, r.file_row AS "fileRow", r.step, r.effect, r.reason, r.value, r.matched_row_id AS "matchedRowId", r.text, min(t.text) AS "matchedText" ` +
        `FROM (SELECT * FROM ${receipts}${conditions.length > 0 ? ` WHERE ${conditions.join(" AND ")}` : ""} ORDER BY step_index, file, file_row LIMIT ${Math.max(0, Math.floor(params.limit))}) r LEFT JOIN ${texts} t ON t.id = r.matched_row_id GROUP BY ALL ORDER BY min(r.step_index), r.file, r.file_row`,
    );
    const base = recipeFolder(folder, manifest);
    return rows.map((row) => ({ ...row, file: path.resolve(base, row.file ?? "") }) as ReceiptRow);
  });
}

/** Rows of a dataset by id, in the order asked; ids that it does not have are left out. */
export async function datasetRows(params: { dataset: string; rowIds: string[] }, extensionPath?: string, signal?: AbortSignal): Promise<DatasetRow[]> {
  if (params.rowIds.length === 0) return [];
  return withDataset(params.dataset, extensionPath, signal, async (session, manifest, folder) => {
    const rows = await session.rows(`SELECT DISTINCT ON (_row_id) *, ${textOf(manifest)} AS _text FROM ${shards(manifest, folder)} WHERE _row_id IN ${inList(params.rowIds)} ORDER BY _row_id, _copy`);
    const found = new Map(rows.map((row) => [String(row._row_id), row]));
    return params.rowIds.flatMap((rowId): DatasetRow[] => {
      const row = found.get(rowId);
      if (!row) return [];
      const { _row_id, _source, _copy, _text, ...values } = row;
      void _row_id;
      void _copy;
      return [{ rowId, source: String(_source), values, text: typeof _text === "string" ? _text : "" }];
    });
  });
}

/** Runs the guards over a built dataset: against the evaluations that its recipe named, as they are now, and those given. */
export async function datasetGuards(params: { dataset: string; evals?: string[]; context?: number; tokenizer?: string }, extensionPath?: string, signal?: AbortSignal): Promise<GuardResult[]> {
  return withDataset(params.dataset, extensionPath, signal, async (session, manifest, folder) => {
    await session.run(`CREATE TABLE ${evalItems} (step BIGINT, item VARCHAR, text VARCHAR)`);
    const root = path.resolve(folder, "..", "..", "..");
    const own = manifest.evals.map((entry) => path.resolve(root, entry.path)).filter((file) => existsSync(file));
    const files = [...new Set([...own, ...(params.evals ?? []).map((file) => path.resolve(file))])];
    await loadEvalFiles(session, -1, files, recipeFolder(folder, manifest));
    const train = manifest.split.find((split) => split.name === "train");
    return runGuards(session, { folder, trainFiles: train?.files ?? [], ngram: manifest.ngram, synthetic: manifest.synthetic, context: params.context, tokenizer: tokenizerFile(params.tokenizer) });
  });
}

function tokenizerFile(given: string | undefined): string | undefined {
  if (given === undefined) return undefined;
  if (!existsSync(given)) throw TillageError.user("file_missing", `There is no tokenizer at ${given}.`, "Check the path.", { file: given });
  return statSync(given).isDirectory() ? path.join(given, "tokenizer.json") : given;
}
