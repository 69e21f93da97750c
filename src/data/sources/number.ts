import path from "node:path";
import { ownColumns, shapeTexts } from "../../core/dataset";
import type { Session } from "../duckdb/session";
import { ident, literal } from "../duckdb/sql";

/** Rows of a row group: small ones are what several threads, and a page's lookup, read at once. */
export const rowGroup = 16_384;

/** The file of a recipe's rows in their folder. */
export const rowsFile = (folder: string): string => path.join(folder, "rows.parquet");

/**
 * Writes the good rows of `parts` (views of `_n`, `_fault`, the base columns and the sources' own) as one Parquet file with stable ids: a 128-bit
 * hash of source and content, with an ordinal where several rows are equal. MD5 serves as a hash here, not as a safeguard. Texts are read twice
 * and never held: what is held is a hash a row.
 */
export async function writeRows(session: Session, parts: readonly string[], extras: readonly string[], folder: string): Promise<void> {
  const union = parts.map((part) => `SELECT * FROM ${part} WHERE _fault IS NULL`).join(" UNION ALL BY NAME ");
  const content = `_source || chr(31) || CASE _shape ${Object.entries(shapeTexts).map(([shape, texts]) => `WHEN ${literal(shape)} THEN ${texts.length === 1 ? texts[0] : `to_json([${texts.join(", ")}])::VARCHAR`}`).join(" ")} END`;
  const columns = [...ownColumns, ...extras].map((name) => `u.${ident(name)}`).join(", ");
  await session.run(`CREATE TABLE hashes AS SELECT _n, md5_number(${content}) AS h FROM (${union})`);
  await session.run("CREATE TABLE again AS SELECT _n, row_number() OVER (PARTITION BY h ORDER BY _n) - 1 AS ordinal FROM hashes WHERE h IN (SELECT h FROM hashes GROUP BY h HAVING count(*) > 1)");
  await session.run("DROP TABLE hashes");
  const id = `CASE WHEN coalesce(a.ordinal, 0) = 0 THEN md5(${content}) ELSE md5(md5(${content}) || ':' || a.ordinal) END`;
  await session.run(
    `COPY (SELECT u._n, ${id} AS _row_id, u._source, u._file, u._file_row, u._shape, ${columns} FROM (${union}) u LEFT JOIN again a USING (_n)) TO ${literal(rowsFile(folder))} (FORMAT parquet, COMPRESSION lz4_raw, ROW_GROUP_SIZE ${rowGroup})`,
  );
  await session.run("DROP TABLE again");
}
