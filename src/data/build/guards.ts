import path from "node:path";
import { constantCompletionGuard, constantShare, duplicateGuard, emptyCompletionGuard, evaluationTextGuard, guardRows, sameAnswersGuard, tooLongGuard, type BuildShape, type GuardFindings } from "../../core/dataset";
import type { GuardResult } from "../../protocol/corpus";
import type { Session } from "../duckdb/session";
import { literal, parquet } from "../duckdb/sql";
import { tokensSql } from "../sources/load";
import { wholeText } from "../sources/normalize";
import { evalItems, evalMatches } from "../steps/decontaminate";

export interface GuardOptions {
  /** Folder of the dataset's files. */
  folder: string;
  trainFiles: readonly string[];
  /** Words of an n-gram when comparing with evaluations. */
  ngram: number;
  context?: number;
  /** Path of a tokenizer.json. */
  tokenizer?: string;
}

async function findings(session: Session, from: string, detail: string, order: string): Promise<GuardFindings> {
  const rows = await session.rows<{ rowId: string; detail: string }>(`SELECT _row_id AS "rowId", ${detail} AS detail FROM ${from} ORDER BY ${order} LIMIT ${guardRows}`);
  const { n } = await session.one<{ n: number }>(`SELECT count(*) AS n FROM ${from}`);
  return { rows, count: n };
}

/** The shape of a dataset by the columns that its shards have; mixed ones have `text`. */
function builtShape(columns: ReadonlySet<string>): BuildShape {
  if (columns.has("text")) return "text";
  if (columns.has("chosen")) return columns.has("prompt") ? "preference" : "preference/chat";
  return columns.has("completion") ? "prompt/completion" : "chat";
}

/** Runs the guards over a dataset's training rows. `eval_items` holds the evaluations' texts. */
export async function runGuards(session: Session, options: GuardOptions): Promise<GuardResult[]> {
  const files = options.trainFiles.map((file) => path.join(options.folder, file));
  const receipts = path.join(options.folder, "receipts.parquet");
  await session.run(`CREATE TABLE guarded AS SELECT row_number() OVER () AS _n, * FROM ${parquet(files, "union_by_name = true")} WHERE _copy = 0`);
  const columns = new Set((await session.rows<{ column_name: string }>("DESCRIBE guarded")).map((row) => row.column_name));
  const shape = builtShape(columns);
  const text = wholeText(shape);
  await session.run(`CREATE VIEW guarded_text AS SELECT _n, _row_id, ${text} AS text FROM guarded`);
  const { total } = await session.one<{ total: number }>("SELECT count(*) AS total FROM guarded");

  const results: GuardResult[] = [];
  const { items } = await session.one<{ items: number }>(`SELECT count(DISTINCT item) AS items FROM ${evalItems}`);
  await evalMatches(session, "guarded_text", `SELECT DISTINCT item, text FROM ${evalItems}`, options.ngram, "guard_matches");
  const leaks = await findings(session, "(SELECT _row_id, item FROM guard_matches JOIN guarded USING (_n))", "item", "_row_id");
  const removed = await findings(session, `(SELECT row_id AS _row_id, matched_row_id FROM ${parquet([receipts])} WHERE step = 'decontaminate' AND effect = 'dropped')`, "matched_row_id", "_row_id");
  results.push(evaluationTextGuard(leaks, removed, items));

  if (options.context !== undefined) {
    const sized = `(SELECT _row_id, ${tokensSql(options.tokenizer)} AS tokens FROM guarded_text) WHERE tokens > ${options.context}`;
    const { cut } = await session.one<{ cut: number }>(`SELECT coalesce(sum(tokens - ${options.context}), 0) AS cut FROM ${sized}`);
    results.push(tooLongGuard(await findings(session, sized, "tokens || ' tokens'", "tokens DESC, _row_id"), cut, options.context, options.tokenizer !== undefined));
  }

  const answers: Record<BuildShape, string> = { text, "prompt/completion": "completion", chat: text, preference: "chosen", "preference/chat": text, "preference/label": "completion", verifiable: "completion" };
  const answer = shape === "text" && columns.has("completion") ? "coalesce(completion, text)" : answers[shape];
  results.push(emptyCompletionGuard(await findings(session, `guarded WHERE NOT regexp_matches(coalesce(${answer}, ''), '\\S')`, "'empty'", "_row_id")));
  if (columns.has("completion")) {
    const top = await session.rows<{ completion: string; n: number }>("SELECT completion, count(*) AS n FROM guarded WHERE regexp_matches(completion, '\\S') GROUP BY completion ORDER BY n DESC, completion LIMIT 1");
    const constant = top[0] && total >= 10 && top[0].n > total * constantShare ? top[0].completion : undefined;
    const same = constant === undefined ? { rows: [], count: 0 } : await findings(session, `guarded WHERE completion = ${literal(constant)}`, "'same completion'", "_row_id");
    results.push(constantCompletionGuard(constant, same, total));
  }
  if (columns.has("rejected")) {
    const alike = "guarded WHERE till_normalize(chosen) = till_normalize(rejected)";
    results.push(sameAnswersGuard(await findings(session, alike, "'chosen and rejected are the same'", "_row_id"), total));
  }
  const doubles = "(SELECT _row_id, first(_row_id) OVER w AS original FROM guarded_text WINDOW w AS (PARTITION BY md5(till_normalize(text)) ORDER BY _n) QUALIFY original <> _row_id)";
  results.push(duplicateGuard(await findings(session, doubles, "'same text as ' || original", "_row_id"), total));
  await session.run("DROP VIEW guarded_text; DROP TABLE guarded; DROP TABLE guard_matches");
  return results;
}
