import { describeRule, qualityRules } from "../../core/recipe";
import type { Cell, RowDetail } from "../../protocol/corpus";
import { TillageError } from "../../protocol/errors";
import type { Session } from "../duckdb/session";
import { ident } from "../duckdb/sql";
import type { CorpusFile } from "./corpus-file";

type Place = Pick<RowDetail, "position" | "previous" | "next">;

/** One row whole, with the signals of its text and the Gopher rules that it fails. */
export async function rowDetail(session: Session, file: CorpusFile, row: number): Promise<RowDetail> {
  const place = await placeOfRow(session, file, row);
  const columns = file.imported.columns.map((column) => `${ident(column.name)}${/VARCHAR|BOOLEAN|INT|DOUBLE|FLOAT/.test(column.type) && !/\[/.test(column.type) ? "" : "::VARCHAR"} AS ${ident(column.name)}`);
  const rules = qualityRules("gopher");
  const failed = rules.map((rule) => `CASE WHEN q.${rule.field} ${rule.op} ${rule.default} THEN true ELSE false END AS ${ident(`_rule_${rule.name}`)}`);
  const found = await session.one(`SELECT ${[...columns, ...failed, "to_json(q)::VARCHAR AS _signals", "to_json(till_pii(_whole))::VARCHAR AS _pii", "till_language(_whole).confidence AS _confidence"].join(", ")} FROM (SELECT *, till_quality(_whole) AS q FROM (SELECT *, ${file.text} AS _whole FROM (${file.rows.at([place.position])})))`);
  const signals = JSON.parse(String(found["_signals"])) as Record<string, number>;
  const pii = JSON.parse(String(found["_pii"])) as { kind: string; value: string }[];
  const values = Object.fromEntries(file.imported.columns.map((column): [string, Cell] => [column.name, found[column.name] ?? null]));
  return {
    row,
    ...place,
    values,
    signals: { ...signals, language_confidence: Number(found["_confidence"] ?? 0) },
    failed: rules.filter((rule) => found[`_rule_${rule.name}`] === true).map((rule) => ({ rule: rule.name, reason: `${describeRule(rule)}: ${signals[rule.field]}` })),
    pii: pii.map(({ kind, value }) => ({ kind, value })),
  };
}

/** A row's place among the good ones. Of Parquet, and of several files, a row's number is its place. */
async function placeOfRow(session: Session, file: CorpusFile, row: number): Promise<Place> {
  const { count, parts } = file.rows;
  if (parts.length > 1 || parts[0]?.parquet === true) {
    if (row >= count) throw noRow(file, row);
    return { position: row, previous: row > 0 ? row - 1 : null, next: row + 1 < count ? row + 1 : null };
  }
  const { there, ...place } = await session.one<Place & { there: boolean }>(
    `SELECT count(*) FILTER (_tillage_row = ${row}) > 0 AS there, count(*) FILTER (_tillage_row < ${row}) AS position, max(_tillage_row) FILTER (_tillage_row < ${row}) AS previous, min(_tillage_row) FILTER (_tillage_row > ${row}) AS next FROM (${file.rows.range(0, count)})`,
  );
  if (!there) throw noRow(file, row);
  return place;
}

function noRow(file: CorpusFile, row: number): TillageError {
  const bad = file.imported.bad.find((one) => one.line === row + 1);
  const message = bad ? `Line ${bad.line} of ${file.path} is no row: ${bad.reason}.` : `There is no row ${row} in ${file.path}.`;
  return TillageError.user("no_row", message, bad ? "Mend the line, or choose another one." : "Open the file again.", { file: file.path, ...(bad ? { line: bad.line } : {}) });
}
