import type { Stats } from "../../protocol/corpus";
import { derivedColumns, derivedSql } from "../derived";
import type { Session } from "../duckdb/session";
import { ident } from "../duckdb/sql";
import type { CorpusFile } from "./corpus-file";
import type { Side } from "./side";

/** What `tillage stats` prints: over all rows, whose small columns are there. */
export async function fileStats(session: Session, file: CorpusFile, side: Side): Promise<Stats> {
  const { imported } = file;
  const all = `(${file.rows.range(0, file.rows.count)})`;
  const columns: Stats["columns"] = [];
  for (const { name, type } of imported.columns) {
    const text = type === "VARCHAR" || type === "JSON";
    const length = (call: string) => (text ? `${call}(length(${ident(name)}::VARCHAR))` : "NULL");
    const row = await session.one<{ nulls: number; distinct: number; low: number | null; mean: number | null; high: number | null }>(
      `SELECT count(*) - count(${ident(name)}) AS nulls, count(DISTINCT ${ident(name)}::VARCHAR) AS "distinct", ${length("min")} AS low, ${length("avg")} AS mean, ${length("max")} AS high FROM ${all}`,
    );
    columns.push({ name, type, nulls: row.nulls, distinct: row.distinct, minLength: row.low, meanLength: row.mean, maxLength: row.high });
  }
  // What the file has under a derived column's name itself is not what is asked for here: then it is computed.
  const has = (name: string) => file.columns.some((column) => column.derived && column.name === name);
  const computed = Object.entries(derivedSql(file.text)).filter(([name]) => !has(name)).map(([name, sql]) => `, ${sql} AS ${name}`);
  const beside = derivedColumns.filter(({ name }) => has(name)).map(({ name }) => name);
  const kept = `(SELECT ${["_tillage_pos AS _side", ...beside].join(", ")} FROM (${side.range(0, file.rows.count)}))`;
  const from = `(SELECT ${beside.map((name) => `c.${name}`).join(", ")}${computed.join("")} FROM (SELECT * EXCLUDE (_tillage_row) FROM ${all}) f JOIN ${kept} c ON c._side = f._tillage_pos)`;
  const tally = (column: string, as: string) => session.rows<{ rows: number } & Record<string, string | number>>(`SELECT ${column} AS ${as}, count(*) AS rows FROM ${from} GROUP BY 1 ORDER BY 2 DESC, 1`);
  const { doubles } = await session.one<{ doubles: number }>(`SELECT count(*) - count(DISTINCT md5(till_normalize(${file.text}))) AS doubles FROM ${all}`);
  return {
    path: file.path,
    shape: imported.detected.shape,
    rows: imported.rows,
    bad: imported.bad,
    badRows: imported.badRows,
    columns,
    words: (await session.one<{ words: number }>(`SELECT coalesce(sum(words), 0) AS words FROM ${from}`)).words,
    languages: (await tally("language", "lang")).map((row) => ({ lang: String(row.lang), rows: row.rows })),
    exactDuplicates: doubles,
    pii: await session.rows<{ kind: string; rows: number }>(`SELECT kind, count(*) AS rows FROM (SELECT unnest(list_distinct(list_transform(till_pii(${file.text}), lambda f: f.kind))) AS kind FROM ${all}) GROUP BY 1 ORDER BY 2 DESC, 1`),
    quality: (await tally("quality", "reason")).map((row) => ({ reason: String(row.reason), rows: row.rows })),
  };
}
