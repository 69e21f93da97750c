import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import path from "node:path";
import { ownColumns } from "../../core/dataset";
import type { Recipe, RecipeStep } from "../../core/recipe";
import { planStep } from "../../core/steps";
import type { StepCount } from "../../protocol/corpus";
import { TillageError } from "../../protocol/errors";
import { derivedSql } from "../derived";
import { findTokenizer } from "../build/hash";
import { extensionHash } from "../duckdb/extension";
import { Database, type Session } from "../duckdb/session";
import { ident, inList, literal, parquet } from "../duckdb/sql";
import { findSources, loadSources, readingOf, tokensSql, type LoadedRows } from "../sources/load";
import { scanFile } from "../sources/scan";
import { rowGroup, rowsFile } from "../sources/number";
import { loadEvalItems, type EvalFile } from "./evals";
import { runOps } from "./run-ops";
import { loadedSchema, measureSchema, portable, stepSchema, type StepMeta } from "./stored";
import { StageStore, storeVersion } from "./store";

/** What stands after a step: which rows are left, in which view their columns are, and what the step did. */
export interface Stage {
  /** Hash of the step and all before it. */
  key: string;
  /** The view of all rows' columns as they are after the step, those of rows that left included. */
  base: string;
  /** The table of `_n` of the rows that are left. */
  alive: string;
  /** View of the rows that are left, with all their columns. */
  view: string;
  receipts?: string;
  count?: StepCount;
}

export interface PipelineOptions {
  extensionPath?: string;
  /** Folders that COPY may write to once the database is locked. */
  writable?: readonly string[];
  /** What is being done. */
  stage?: (what: string, done: number, of: number) => void;
  /** Further preparations that read files, before the database is locked. */
  prepare?: (session: Session) => Promise<void>;
  /** Keeps what text functions measure, so that a step with another threshold need not read the texts again: for whoever edits a recipe. */
  measures?: boolean;
}

const hashOf = (value: unknown): string => createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 32);

/**
 * A recipe's rows and its steps over them one by one. What a step did is in the store by the hash of all that it follows from, so a step
 * whose rows and text did not change is not run again: not after an edit further down, not by another process, not after a crash.
 */
export class Pipeline {
  private readonly stages: Stage[] = [];
  private serial = 0;
  private queue: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly database: Database,
    readonly loaded: LoadedRows,
    readonly evals: readonly EvalFile[],
    private readonly recipePath: string,
    private readonly store: StageStore,
    private readonly measures: boolean,
  ) {}

  /** Reads the sources, or finds them read, and the evaluations; then locks the database against any further file. */
  static async open(recipe: Recipe, recipePath: string, signal: AbortSignal | undefined, options: PipelineOptions): Promise<Pipeline> {
    const store = StageStore.of(recipePath);
    const database = await Database.open(options.extensionPath);
    try {
      return await database.session(signal, async (session) => {
        const tell = (done: number, of: number, what: string) => options.stage?.(what, done, of);
        const folder = path.dirname(recipePath);
        const versions = [(await session.one("SELECT version() AS duckdb")).duckdb, extensionHash(options.extensionPath)];
        const found = await findSources(session, recipe, recipePath, tell);
        const key = hashOf([storeVersion, versions, found.map(({ source, files }) => [readingOf(source), files.map(({ file, sha256 }) => [path.relative(folder, file), sha256])])]);
        const schema = loadedSchema(folder);
        const { folder: stored, meta } = store.find(key, schema) ?? (await store.write(key, async (target) => portable(await loadSources(session, found, recipePath, target, tell), folder), schema));
        const evals = await loadEvalItems(session, recipe, recipePath);
        await options.prepare?.(session);
        await session.run(`CREATE VIEW rows AS SELECT * FROM ${parquet([rowsFile(stored)])}`);
        await database.lock([], [store.folder, ...(options.writable ?? [])]);
        const pipeline = new Pipeline(database, meta, evals, recipePath, store, options.measures ?? false);
        await session.run("CREATE TABLE alive_0 AS SELECT _n FROM rows");
        pipeline.stages.push({ key, base: "rows", alive: "alive_0", view: "rows" });
        return pipeline;
      });
    } catch (error) {
      database.close();
      throw error;
    }
  }

  /** One call at a time: stages build on each other. */
  async exclusive<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.queue.then(work, work);
    this.queue = turn.catch(() => undefined);
    return turn;
  }

  /** Runs the steps (those after `upTo` are left out) and gives the stages: the first is the sources, then one a step. */
  async advance(session: Session, recipe: Recipe, upTo = recipe.steps.length, stage?: (what: string, done: number, of: number) => void): Promise<Stage[]> {
    for (let i = 0; i < upTo; i++) {
      const step = recipe.steps[i];
      const before = this.stages[i];
      if (!step || !before) break;
      const compared = this.evals.filter((entry) => entry.step === step.index).map(({ name, sha256 }) => [name, sha256]);
      const tokens = await this.tokens(recipe, session.signal);
      const key = hashOf([before.key, step.key, step.config, step.only ?? null, recipe.seed, i, compared, ...identity(step, tokens, recipe.seed)]);
      if (this.stages[i + 1]?.key === key) continue;
      await this.dropFrom(i + 1);
      let stored = this.store.find(key, stepSchema);
      if (!stored) {
        stage?.(step.title, i, upTo);
        stored = await this.runOne(session, step, before, key, recipe.seed, tokens);
      }
      this.stages.push(await this.standOn(session, before, key, stored.folder, stored.meta));
    }
    stage?.("steps", upTo, upTo);
    return this.stages.slice(0, upTo + 1).map((entry, i) => (entry.count ? { ...entry, count: { ...entry.count, step: recipe.steps[i - 1]?.title ?? entry.count.step, index: i - 1 } } : entry));
  }

  /** How a recipe's rows are counted in tokens; `hash` is that of the tokenizer. */
  private async tokens(recipe: Recipe, signal: AbortSignal | undefined): Promise<Tokens> {
    const file = findTokenizer(recipe, this.recipePath);
    return { sql: tokensSql(file), exact: file !== undefined, hash: file === undefined ? undefined : (await scanFile(file, signal)).sha256 };
  }

  /** The view that steps and predicates see: the rows' columns, the names the shape's columns have in the file, and the derived columns. */
  private async createInput(session: Session, name: string, from: Stage, only: readonly string[] | undefined): Promise<void> {
    const taken = new Set<string>([...ownColumns, ...this.loaded.extras]);
    const aliases = new Map<string, string[]>();
    for (const source of this.loaded.sources) for (const { column, as } of source.aliases) aliases.set(column, [...(aliases.get(column) ?? []), `WHEN ${literal(source.name)} THEN ${ident(as)}`]);
    const columns = [...aliases].filter(([column]) => !taken.has(column)).map(([column, cases]) => `CASE _source ${cases.join(" ")} END AS ${ident(column)}`);
    for (const column of aliases.keys()) taken.add(column);
    for (const [column, sql] of Object.entries(derivedSql())) if (!taken.has(column)) columns.push(`${sql} AS ${ident(column)}`);
    if (!taken.has("source")) columns.push("_source AS source");
    await session.run(`CREATE VIEW ${name} AS SELECT *, ${columns.join(", ")} FROM ${from.view}${filterOf(only)}`);
  }

  /**
   * The view of a step's input with its measures beside it: stored ones are joined, the others computed. DuckDB would compute an expression in each
   * place that its column is named in, before a filter and again behind it: behind an `unnest` it is a column like others.
   */
  private async createMeasured(session: Session, name: string, input: string, measures: readonly Measure[]): Promise<void> {
    const stored = measures.flatMap(({ column, file }) => (file === undefined ? [] : [{ column, file }]));
    const inline = measures.flatMap(({ column, expression, file }) => (file === undefined ? [`unnest([${expression}]) AS ${column}`] : []));
    const joins = stored.map(({ file, column }) => ` JOIN (SELECT _n AS ${column}_n, v AS ${column} FROM ${parquet([file])}) ON ${column}_n = _n`);
    const hidden = stored.length === 0 ? "" : ` EXCLUDE (${stored.map(({ column }) => `${column}_n`).join(", ")})`;
    await session.run(`CREATE VIEW ${name} AS SELECT ${["*" + hidden, ...inline].join(", ")} FROM ${input}${joins.join("")}`);
  }

  /** The measures of a step's rows: stored ones where they are there or, since a recipe is edited, are to be; the others are computed on the way. */
  private async measure(session: Session, before: Stage, only: readonly string[] | undefined, expressions: readonly string[], tokens: Tokens): Promise<Measure[]> {
    const found: Measure[] = [];
    for (const expression of expressions) {
      const key = hashOf([before.key, only ?? null, expression, expression === tokens.sql ? tokens.hash : undefined]);
      const column = `_m_${key.slice(0, 12)}`;
      const write = (folder: string) => session.run(`COPY (SELECT _n, ${expression} AS v FROM ${before.view}${filterOf(only)}) TO ${literal(measureFile(folder))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${rowGroup})`);
      const stored = this.store.find(key, measureSchema) ?? (this.measures ? await this.store.write(key, async (folder) => (await write(folder), {}), measureSchema) : undefined);
      found.push({ expression, column, file: stored && measureFile(stored.folder) });
    }
    return found;
  }

  /** Runs a step and stores its receipts, what it changed, and its counts. */
  private async runOne(session: Session, step: RecipeStep, before: Stage, key: string, seed: number, tokens: Tokens): Promise<{ folder: string; meta: StepMeta }> {
    const id = ++this.serial;
    const [input, measured, receipts, changes] = [`input_${id}`, `measured_${id}`, `found_${id}`, `changed_${id}`];
    // What a step makes on its way lies in a schema, which goes as a whole, also where the step is interrupted.
    const schema = `scratch_${id}`;
    const name = (what: string) => `${schema}.${what}`;
    try {
      await session.run(`CREATE SCHEMA ${schema}`);
      const context = { input, measured, receipts, changes, scratch: name, index: step.index, seed, tokens };
      const wanted = new Set<string>();
      planStep(step, { ...context, measure: (expression) => (wanted.add(expression), expression) });
      const measures = await this.measure(session, before, step.only, [...wanted], tokens);
      await this.createInput(session, input, before, step.only);
      await this.createMeasured(session, measured, input, measures);
      await session.run(`CREATE TABLE ${receipts} (_n BIGINT, effect VARCHAR, reason VARCHAR, value VARCHAR, matched_n BIGINT, matched VARCHAR)`);
      await session.run(`CREATE TABLE ${changes} (_n BIGINT, ${ownColumns.map((column) => `${column} VARCHAR`).join(", ")})`);
      const plan = planStep(step, { ...context, measure: (expression) => measures.find((entry) => entry.expression === expression)?.column ?? expression });
      await runOps(session, plan, input, { file: this.recipePath, line: step.line });
      return await this.store.write(key, async (folder) => {
        const count = await countStep(session, step, before.alive, receipts);
        await session.run(`COPY (SELECT * FROM ${receipts} ORDER BY _n) TO ${literal(receiptsFile(folder))} (FORMAT parquet, COMPRESSION zstd)`);
        const { changed } = await session.one<{ changed: number }>(`SELECT count(*) AS changed FROM ${changes}`);
        if (changed > 0) await session.run(`COPY (SELECT * FROM ${changes} ORDER BY _n) TO ${literal(changesFile(folder))} (FORMAT parquet, COMPRESSION zstd)`);
        return { count };
      }, stepSchema);
    } finally {
      await this.clean([`DROP VIEW IF EXISTS ${measured}`, `DROP VIEW IF EXISTS ${input}`, `DROP SCHEMA IF EXISTS ${schema} CASCADE`, ...[receipts, changes].map((table) => `DROP TABLE IF EXISTS ${table}`)]);
    }
  }

  /** The stage that a stored step makes of the one before it. */
  private async standOn(session: Session, before: Stage, key: string, folder: string, { count }: StepMeta): Promise<Stage> {
    const id = ++this.serial;
    const [receipts, alive, view] = [`receipts_${id}`, `alive_${id}`, `stage_${id}`];
    const base = existsSync(changesFile(folder)) ? `rows_${id}` : before.base;
    const stage: Stage = { key, base, alive, view, receipts, count };
    try {
      await session.run(`CREATE VIEW ${receipts} AS SELECT * FROM ${parquet([receiptsFile(folder)])}`);
      await session.run(`CREATE TABLE ${alive} AS SELECT _n FROM ${before.alive} WHERE _n NOT IN (SELECT _n FROM ${receipts} WHERE effect = 'dropped')`);
      if (base !== before.base) {
        const columns = ownColumns.map((column) => `CASE WHEN c._n IS NULL THEN s.${column} ELSE c.${column} END AS ${column}`);
        await session.run(`CREATE VIEW ${base} AS SELECT s.* REPLACE (${columns.join(", ")}) FROM ${before.base} s LEFT JOIN ${parquet([changesFile(folder)])} c ON c._n = s._n`);
      }
      await session.run(`CREATE VIEW ${view} AS SELECT * FROM ${base} WHERE _n IN (SELECT _n FROM ${alive})`);
      return stage;
    } catch (error) {
      await this.discard(stage);
      throw error;
    }
  }

  private async dropFrom(index: number): Promise<void> {
    for (const stage of this.stages.splice(index).reverse()) await this.discard(stage);
  }

  private async discard({ view, base, receipts, alive }: Stage): Promise<void> {
    const views = [view, ...(this.stages.some((other) => other.base === base) ? [] : [base]), ...(receipts === undefined ? [] : [receipts])];
    await this.clean([...views.map((name) => `DROP VIEW IF EXISTS ${name}`), `DROP TABLE IF EXISTS ${alive}`]);
  }

  /** Cleaning up happens on a connection of its own: the call's may be interrupted. */
  private async clean(statements: readonly string[]): Promise<void> {
    await this.database.session(undefined, async (session) => {
      for (const statement of statements) await session.run(statement);
    });
  }

  close(): void {
    this.database.close();
  }
}

/** What a text function says of the rows of a step. */
interface Measure {
  expression: string;
  /** Its column in `measured`. */
  column: string;
  /** Where it is stored. */
  file: string | undefined;
}

interface Tokens {
  sql: string;
  exact: boolean;
  hash: string | undefined;
}

/** What a step's result follows from beside its rows and its settings: the SQL that it is, and the tokenizer where that counts its tokens. */
function identity(step: RecipeStep, tokens: Tokens, seed: number): unknown[] {
  const plan = JSON.stringify(planStep(step, { input: "input", measured: "measured", receipts: "receipts", changes: "changes", scratch: (name) => name, measure: (expression) => expression, tokens, index: step.index, seed }));
  return [plan, plan.includes(JSON.stringify(tokens.sql).slice(1, -1)) ? tokens.hash : undefined];
}

const filterOf = (only: readonly string[] | undefined): string => (only ? ` WHERE _source IN ${inList(only)}` : "");
const measureFile = (folder: string): string => path.join(folder, "measure.parquet");
const receiptsFile = (folder: string): string => path.join(folder, "receipts.parquet");
const changesFile = (folder: string): string => path.join(folder, "changes.parquet");

async function countStep(session: Session, step: RecipeStep, before: string, receipts: string): Promise<StepCount> {
  const counts = await session.one<{ rows_in: number; dropped: number; strangers: number; changed: number; weighted: number; weightless: number; doubled: number }>(
    `SELECT (SELECT count(*) FROM ${before}) AS rows_in, count(DISTINCT _n) FILTER (effect = 'dropped') AS dropped, count(*) FILTER (_n NOT IN (SELECT _n FROM ${before})) AS strangers, count(DISTINCT _n) FILTER (effect = 'changed') AS changed, count(*) FILTER (effect = 'weighted') AS weighted, count(*) FILTER (effect = 'weighted' AND NOT coalesce(isfinite(TRY_CAST(value AS DOUBLE)) AND TRY_CAST(value AS DOUBLE) > 0, false)) AS weightless, count(*) - count(DISTINCT _n) AS doubled FROM ${receipts}`,
  );
  if (counts.strangers > 0 || counts.doubled > 0) {
    throw TillageError.internal("rows_lost", `The step '${step.title}' does not add up: of its receipts ${counts.strangers} are of rows that it did not see, ${counts.doubled} are of rows that have one already.`);
  }
  if (counts.weightless > 0) throw TillageError.internal("bad_weight", `The step '${step.title}' gives ${counts.weightless} rows a weight that is no number above 0.`);
  const reasons = await session.rows<{ reason: string; rows: number }>(`SELECT reason, count(*) AS rows FROM ${receipts} GROUP BY reason ORDER BY rows DESC, reason`);
  return { index: step.index, step: step.title, in: counts.rows_in, out: counts.rows_in - counts.dropped, changed: counts.changed, ...(counts.weighted > 0 ? { weighted: counts.weighted } : {}), reasons };
}
