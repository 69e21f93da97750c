import path from "node:path";
import type { DatasetDiff, DiffCause, DiffRow, DiffShare, DiffSide } from "../../protocol/dataset-diff";
import { Database, type Session } from "../duckdb/session";
import { literal, parquet } from "../duckdb/sql";
import { shards, textOf } from "./dataset";
import type { BuildProgress } from "../../protocol/corpus";
import { readWhole, recipeFolder, type Manifest } from "./manifest";

const percentiles = [0.05, 0.25, 0.5, 0.75, 0.95];

/** Characters of a text that are given, those before the place where two part, and those in which that place is looked for. */
const [shown, margin, searched] = [400, 100, 20_000];

interface Side {
  name: "before" | "after";
  folder: string;
  manifest: Manifest;
}

/**
 * Compares two built datasets row by row. What is held is an id and a hash of the text of each row, not the texts.
 *
 * `limit`: rows of each change that are given with their texts.
 */
export async function datasetDiff(params: { before: string; after: string; limit: number }, extensionPath?: string, signal?: AbortSignal, progress?: (p: BuildProgress) => void): Promise<DatasetDiff> {
  const stages = ["reading the rows before", "reading the rows after", "comparing the rows", "finding the steps responsible", "reading the rows that differ"] as const;
  const tell = (done: number) => progress?.({ stage: stages[done] ?? "", done, of: stages.length });
  const side = (name: Side["name"], dataset: string): Side => ({ name, folder: path.resolve(dataset), manifest: readWhole(path.resolve(dataset)) });
  const [before, after] = [side("before", params.before), side("after", params.after)];
  const database = await Database.open(extensionPath);
  try {
    return await database.session(signal, async (session) => {
      for (const [i, one] of [before, after].entries()) {
        tell(i);
        await describe(session, one);
      }
      tell(2);
      await session.run(
        "CREATE TABLE changes AS SELECT coalesce(a.id, b.id) AS id, coalesce(a.source, b.source) AS source, CASE WHEN a.id IS NULL THEN 'added' WHEN b.id IS NULL THEN 'removed' WHEN a.h <> b.h THEN 'changed' ELSE 'same' END AS change, " +
          "a.side <> b.side AS moved, b.times > a.times AS more, b.times < a.times AS less FROM before a FULL JOIN after b ON a.id = b.id",
      );
      tell(3);
      // Of a row that is gone the newer dataset's receipts know why, and of one that came the older one's; of one that was changed either may.
      await session.run(
        `CREATE TABLE caused AS SELECT c.id, c.source, c.change, coalesce(r.step, 'sources') AS step, coalesce(r.reason, CASE c.change WHEN 'added' THEN 'not among the rows before' WHEN 'removed' THEN 'not among the rows any more' ELSE 'another text' END) AS reason, r.value, r.matched ` +
          `FROM changes c LEFT JOIN (${receiptsOf(before, "added")} UNION ALL ${receiptsOf(after, "removed")} UNION ALL ${receiptsOf(after, "changed")} UNION ALL ${receiptsOf(before, "changed")}) r ON r.id = c.id AND r.change = c.change WHERE c.change <> 'same' ` +
          "QUALIFY row_number() OVER (PARTITION BY c.id ORDER BY r.place DESC NULLS LAST) = 1",
      );
      const counts = await session.one<Record<"added" | "removed" | "changed" | "same" | "moved" | "more" | "less", number>>(
        `SELECT ${["added", "removed", "changed", "same"].map((change) => `count(*) FILTER (change = '${change}') AS ${change}`).join(", ")}, count(*) FILTER (moved) AS moved, count(*) FILTER (more) AS more, count(*) FILTER (less) AS less FROM changes`,
      );
      const causes = (await session.rows("SELECT change, step, reason, count(*) AS rows FROM caused GROUP BY ALL ORDER BY rows DESC, change, step, reason")) as unknown as DiffCause[];
      tell(4);
      return {
        before: await sideOf(session, before),
        after: await sideOf(session, after),
        ...counts,
        causes,
        shares: await shares(session),
        lengths: { before: await lengths(session, before), after: await lengths(session, after) },
        rows: await examples(session, before, after, params.limit),
      };
    });
  } finally {
    database.close();
  }
}

/** The table `before` or `after` of a dataset's different rows: id, source, hash of the text, tokens once, how often it is seen, and on which side of the split. */
async function describe(session: Session, { name, folder, manifest }: Side): Promise<void> {
  const parts = manifest.split.filter((split) => split.files.length > 0).map((split) => `SELECT ${literal(split.name)} AS side, _row_id, _source, _file, _file_row, _copy, _tokens, ${textOf(manifest)} AS text FROM ${shards(manifest, folder, split.name)}`);
  await session.run(`CREATE VIEW ${name}_rows AS ${parts.join(" UNION ALL ")}`);
  await session.run(`CREATE TABLE ${name}_times AS SELECT _row_id AS id, count(*) AS times FROM ${name}_rows GROUP BY _row_id`);
  await session.run(`CREATE TABLE ${name} AS SELECT r._row_id AS id, r._source AS source, md5(r.text)::UUID AS h, r._tokens AS tokens, t.times, r.side FROM ${name}_rows r JOIN ${name}_times t ON t.id = r._row_id WHERE r._copy = 0`);
}

/** Receipts of a side that may be why rows are missing there (`added`, `removed`) or have another text (`changed`). */
function receiptsOf({ name, folder }: Side, change: "added" | "removed" | "changed"): string {
  const effect = change === "changed" ? "changed" : "dropped";
  return `SELECT row_id AS id, '${change}' AS change, step, reason, value, matched_row_id AS matched, step_index + ${name === "after" ? 0.5 : 0} AS place FROM ${parquet([path.join(folder, "receipts.parquet")])} WHERE effect = '${effect}'`;
}

async function sideOf(session: Session, { name, folder, manifest }: Side): Promise<DiffSide> {
  const { rows, tokens } = await session.one<{ rows: number; tokens: number }>(`SELECT count(*) AS rows, coalesce(sum(tokens * times), 0) AS tokens FROM ${name}`);
  return { dataset: folder, recipe: manifest.recipe.name, hash: manifest.hash, rows, tokens };
}

async function shares(session: Session): Promise<DiffShare[]> {
  const of = (name: string) => `(SELECT source, count(*) AS rows, sum(tokens * times) AS tokens FROM ${name} GROUP BY source)`;
  const rows = await session.rows<{ source: string; rowsBefore: number; rowsAfter: number; tokensBefore: number; tokensAfter: number }>(
    `SELECT coalesce(a.source, b.source) AS source, coalesce(a.rows, 0) AS "rowsBefore", coalesce(b.rows, 0) AS "rowsAfter", coalesce(a.tokens, 0)::BIGINT AS "tokensBefore", coalesce(b.tokens, 0)::BIGINT AS "tokensAfter" FROM ${of("before")} a FULL JOIN ${of("after")} b ON a.source = b.source ORDER BY source`,
  );
  const total = (key: "tokensBefore" | "tokensAfter") => Math.max(1, rows.reduce((sum, row) => sum + row[key], 0));
  const [before, after] = [total("tokensBefore"), total("tokensAfter")];
  return rows.map((row) => ({ ...row, shareBefore: row.tokensBefore / before, shareAfter: row.tokensAfter / after }));
}

async function lengths(session: Session, { name }: Side): Promise<number[]> {
  const [row] = await session.lists(`SELECT ${percentiles.map((at) => `coalesce(quantile_disc(tokens, ${at}), 0)`).join(", ")} FROM ${name}`);
  return (row ?? []).map(Number);
}

/** Rows of each change: first one of every cause, then a second one of every cause, and so on, so that no cause hides the others. */
async function examples(session: Session, before: Side, after: Side, limit: number): Promise<DiffRow[]> {
  const turns = "(SELECT *, row_number() OVER (PARTITION BY change, step, reason ORDER BY id) AS turn FROM caused)";
  const some = `(SELECT *, row_number() OVER (PARTITION BY change ORDER BY turn, step, reason) AS place FROM ${turns})`;
  const text = ({ name }: Side) => `(SELECT _row_id, _file, _file_row, left(text, ${searched}) AS text FROM ${name}_rows WHERE _copy = 0)`;
  const rows = (await session.rows(
    `SELECT c.id AS "rowId", c.source, c.change, c.step, c.reason, c.value, c.matched AS "matchedRowId", coalesce(b._file, a._file) AS file, coalesce(b._file_row, a._file_row) AS "fileRow", a.text AS before, b.text AS after FROM ${some} c LEFT JOIN ${text(before)} a ON a._row_id = c.id LEFT JOIN ${text(after)} b ON b._row_id = c.id WHERE c.place <= ${Math.max(0, Math.floor(limit))} ORDER BY c.change, c.place`,
  )) as unknown as DiffRow[];
  const folderOf = (row: DiffRow) => recipeFolder((row.after === null ? before : after).folder, (row.after === null ? before : after).manifest);
  return rows.map((row) => ({ ...row, file: path.resolve(folderOf(row), row.file), ...excerpts(row.before, row.after) }));
}

/** Both texts from shortly before the place where they part. */
function excerpts(before: string | null, after: string | null): { before: string | null; after: string | null } {
  let parting = 0;
  if (before !== null && after !== null) while (parting < before.length && before[parting] === after[parting]) parting++;
  const from = parting < shown - margin ? 0 : parting - margin;
  const cut = (text: string | null) => (text === null ? null : `${from > 0 ? "…" : ""}${text.slice(from, from + shown)}`);
  return { before: cut(before), after: cut(after) };
}
