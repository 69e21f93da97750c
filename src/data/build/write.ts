import path from "node:path";
import { ownColumns, shapeTexts } from "../../core/dataset";
import type { Recipe } from "../../core/recipe";
import { fsyncPath } from "../../disk/atomic";
import type { Session } from "../duckdb/session";
import { ident, literal } from "../duckdb/sql";
import type { LoadedRows } from "../sources/load";
import type { Stage } from "../pipeline/pipeline";

/** Rows of a shard at most. */
const shardRows = 1_000_000;

export interface WrittenSplit {
  name: string;
  rows: number;
  tokens: number;
  files: string[];
}

/** The columns of a dataset's shards: those of the shape; `text` and the others where the sources' shapes differ. */
export function shapeColumnsOf(loaded: LoadedRows): string[] {
  const shapes = new Set(loaded.sources.map((source) => source.shape));
  const own = ownColumns.filter((column) => [...shapes].some((shape) => shapeTexts[shape].includes(column)));
  return shapes.size > 1 && !own.includes("text") ? ["text", ...own] : own;
}

/** Writes the shards of one side, none where it has no rows; `order` is a query of `_n, copy, position`. */
export async function writeSplit(session: Session, view: string, loaded: LoadedRows, order: string, name: string, folder: string): Promise<WrittenSplit> {
  const columns = ["_row_id", "_source", "_file", "_file_row"].map((column) => `r.${column}`);
  const own = [...shapeColumnsOf(loaded), ...loaded.extras].map((column) => `r.${ident(column)}`);
  const counts = await session.one<{ rows: number; tokens: number }>(`SELECT count(*) AS rows, coalesce(sum(w.tokens), 0) AS tokens FROM (${order}) o JOIN weighed w USING (_n)`);
  const files: string[] = [];
  for (let shard = 0; shard * shardRows < counts.rows; shard++) {
    const file = `${name}-${String(shard).padStart(5, "0")}.parquet`;
    const range = `o.position >= ${shard * shardRows} AND o.position < ${(shard + 1) * shardRows}`;
    await session.run(
      `COPY (SELECT ${[...columns, "o.copy AS _copy", "w.tokens AS _tokens", ...own].join(", ")} FROM (${order}) o JOIN ${view} r ON r._n = o._n JOIN weighed w ON w._n = o._n WHERE ${range} ORDER BY o.position) TO ${literal(path.join(folder, file))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480)`,
    );
    fsyncPath(path.join(folder, file));
    files.push(file);
  }
  return { name, rows: counts.rows, tokens: counts.tokens, files };
}

/** Writes why each row left or was changed: the steps' receipts in their order, then the rows that the mix did not take. */
export async function writeReceipts(session: Session, stages: readonly Stage[], recipe: Recipe, last: Stage, file: string): Promise<void> {
  const parts = stages.flatMap((stage, i) => {
    if (!stage.receipts || !stage.count) return [];
    const before = stages[i - 1] ?? stage;
    return [
      `SELECT ${i - 1} AS step_index, ${literal(stage.count.step)} AS step, x._n, x.effect, x.reason, x.value, coalesce(x.matched, m._row_id) AS matched_row_id, r.text FROM ${stage.receipts} x JOIN ${before.base} r ON r._n = x._n LEFT JOIN rows m ON m._n = x.matched_n`,
    ];
  });
  parts.push(`SELECT ${recipe.steps.length} AS step_index, 'mix' AS step, r._n, 'dropped' AS effect, 'not sampled' AS reason, w.grp AS value, NULL::VARCHAR AS matched_row_id, r.text FROM ${last.view} r JOIN split s USING (_n) JOIN weighed w USING (_n) WHERE s.side = 'train' AND r._n NOT IN (SELECT _n FROM sampled)`);
  await session.run(
    `COPY (SELECT r._row_id AS row_id, r._source AS source, r._file AS file, r._file_row AS file_row, p.step_index::INTEGER AS step_index, p.step, p.effect, p.reason, p.value, p.matched_row_id, left(p.text, 400) AS text FROM (${parts.join(" UNION ALL ")}) p JOIN rows r ON r._n = p._n ORDER BY p.step_index, r._n) TO ${literal(file)} (FORMAT parquet, COMPRESSION zstd)`,
  );
  fsyncPath(file);
}
