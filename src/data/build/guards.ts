import path from "node:path";
import { constantCompletionGuard, constantShare, duplicateGuard, emptyCompletionGuard, evaluationTextGuard, guardRows, sameAnswersGuard, syntheticGuard, tooLongGuard, wholeText, type BuildShape, type GuardFindings } from "../../core/dataset";
import { isSynthetic, type SyntheticRule } from "../../core/mix";
import { evalItems, evalMatches } from "../../core/steps";
import type { GuardResult } from "../../protocol/corpus";
import type { Session } from "../duckdb/session";
import { ident, literal, parquet } from "../duckdb/sql";
import { runOps } from "../pipeline/run-ops";
import { tokensSql } from "../sources/load";

export interface GuardOptions {
  /** Folder of the dataset's files. */
  folder: string;
  trainFiles: readonly string[];
  /** Words of an n-gram when comparing with evaluations. */
  ngram: number;
  context?: number;
  /** Path of a tokenizer.json. */
  tokenizer?: string;
  /** Which rows are synthetic, and the largest share of the training tokens that they may have. */
  synthetic?: SyntheticRule & { maxShare: number };
}

/** The rows of a query, the first of them and their number; the query is run once. */
async function findings(session: Session, from: string, detail: string, order: string): Promise<GuardFindings> {
  await session.run(`CREATE TABLE guard_found AS SELECT _row_id AS "rowId", ${detail} AS detail, row_number() OVER (ORDER BY ${order}) AS place FROM ${from}`);
  const rows = await session.rows<{ rowId: string; detail: string }>(`SELECT "rowId", detail FROM guard_found WHERE place <= ${guardRows} ORDER BY place`);
  const { n } = await session.one<{ n: number }>("SELECT count(*) AS n FROM guard_found");
  await session.run("DROP TABLE guard_found");
  return { rows, count: n };
}

/** The training rows once each, numbered by shard and place in it, as a query over the shards: nothing is copied. */
function numbered(files: readonly string[]): string {
  return files.map((file, i) => `SELECT ${i * 2 ** 32} + file_row_number AS _n, * EXCLUDE (file_row_number) FROM ${parquet([file], "file_row_number = true")} WHERE _copy = 0`).join(" UNION ALL BY NAME ");
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
  await session.run(`CREATE VIEW guarded AS ${numbered(files)}`);
  const columns = new Set((await session.rows<{ column_name: string }>("DESCRIBE guarded")).map((row) => row.column_name));
  const shape = builtShape(columns);
  const text = wholeText(shape);
  await session.run(`CREATE VIEW guarded_text AS SELECT _n, _row_id, ${text} AS text FROM guarded`);
  const { total } = await session.one<{ total: number }>("SELECT count(*) AS total FROM guarded");

  const results: GuardResult[] = [];
  const { items } = await session.one<{ items: number }>(`SELECT count(DISTINCT item) AS items FROM ${evalItems}`);
  await runOps(session, evalMatches("guarded_text", `SELECT DISTINCT item, text FROM ${evalItems}`, options.ngram, "guard_matches"));
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
  // A hash a row is held; ids are looked up for the rows that have the same.
  await session.run("CREATE TABLE guard_hashes AS SELECT _n, md5(till_normalize(text))::UUID AS h FROM guarded_text");
  await session.run("CREATE TABLE guard_doubles AS SELECT _n, first(_n) OVER (PARTITION BY h ORDER BY _n) AS kept FROM guard_hashes WHERE h IN (SELECT h FROM guard_hashes GROUP BY h HAVING count(*) > 1)");
  const doubles = "(SELECT x._row_id, y._row_id AS original FROM guard_doubles d JOIN guarded x ON x._n = d._n JOIN guarded y ON y._n = d.kept WHERE d._n <> d.kept)";
  results.push(duplicateGuard(await findings(session, doubles, "'same text as ' || original", "_row_id"), total));
  if (options.synthetic) {
    const { column, maxShare } = options.synthetic;
    const named = column === "source" && !columns.has("source") ? "_source" : ident(column);
    const made = isSynthetic(options.synthetic, named);
    // With repeats, as they are learned from.
    const { share } = await session.one<{ share: number }>(`SELECT coalesce(sum(_tokens) FILTER (${made}) / nullif(sum(_tokens), 0), 0)::DOUBLE AS share FROM ${parquet(files, "union_by_name = true")}`);
    results.push(syntheticGuard(await findings(session, `guarded WHERE ${made}`, `${named}::VARCHAR`, "_row_id"), share, maxShare, column));
  }
  await session.run("DROP VIEW guarded_text; DROP VIEW guarded; DROP TABLE guard_matches; DROP TABLE guard_hashes; DROP TABLE guard_doubles");
  return results;
}
