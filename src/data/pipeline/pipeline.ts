import { createHash } from "node:crypto";
import { ownColumns } from "../../core/dataset";
import type { Recipe, RecipeStep } from "../../core/recipe";
import { planStep } from "../../core/steps";
import type { StepCount } from "../../protocol/corpus";
import { TillageError } from "../../protocol/errors";
import { derivedSql } from "../derived";
import { Database, type Session } from "../duckdb/session";
import { ident, inList, literal } from "../duckdb/sql";
import { loadSources, type LoadedRows } from "../sources/load";
import { loadEvalItems, type EvalFile } from "./evals";
import { runOps } from "./run-ops";

/** What stands after a step: which rows are left, in which table their columns are, and what the step did. */
export interface Stage {
  /** Hash of the step and all before it. */
  key: string;
  /** The table with the rows' columns as they are after the step. */
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
}

/** A recipe's rows in a database, and the recipe's steps run over them one by one. Steps that did not change are not run again. */
export class Pipeline {
  private readonly stages: Stage[] = [];
  private serial = 0;
  private queue: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly database: Database,
    readonly loaded: LoadedRows,
    readonly evals: readonly EvalFile[],
    private readonly recipePath: string,
  ) {}

  /** Reads the sources and the evaluations, then locks the database against any further file. */
  static async open(recipe: Recipe, recipePath: string, signal: AbortSignal | undefined, options: PipelineOptions): Promise<Pipeline> {
    const database = await Database.open(options.extensionPath);
    try {
      return await database.session(signal, async (session) => {
        const loaded = await loadSources(session, recipe, recipePath, (done, of, what) => options.stage?.(what, done, of));
        const evals = await loadEvalItems(session, recipe, recipePath);
        await options.prepare?.(session);
        await database.lock([], options.writable ?? []);
        const pipeline = new Pipeline(database, loaded, evals, recipePath);
        await session.run("CREATE TABLE alive_0 AS SELECT _n FROM rows ORDER BY _n");
        await session.run("CREATE VIEW stage_0 AS SELECT * FROM rows");
        pipeline.stages.push({ key: "", base: "rows", alive: "alive_0", view: "stage_0" });
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
      const key = createHash("sha256").update(JSON.stringify([before.key, step.key, step.config, step.only ?? null, recipe.seed, i])).digest("hex");
      const known = this.stages[i + 1];
      if (known?.key === key) continue;
      stage?.(step.title, i, upTo);
      await this.dropFrom(session, i + 1);
      this.stages.push(await this.runOne(session, step, before, key, recipe));
    }
    stage?.("steps", upTo, upTo);
    return this.stages.slice(0, upTo + 1).map((entry, i) => (entry.count ? { ...entry, count: { ...entry.count, step: recipe.steps[i - 1]?.title ?? entry.count.step, index: i - 1 } } : entry));
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
    const filter = only ? ` WHERE _source IN ${inList(only)}` : "";
    await session.run(`CREATE VIEW ${name} AS SELECT *, ${columns.join(", ")} FROM ${from.view}${filter}`);
  }

  private async runOne(session: Session, step: RecipeStep, before: Stage, key: string, recipe: Recipe): Promise<Stage> {
    const id = ++this.serial;
    const [input, receipts, changes, alive, view] = [`input_${id}`, `receipts_${id}`, `changes_${id}`, `alive_${id}`, `stage_${id}`];
    const scratch: string[] = [];
    try {
      await this.createInput(session, input, before, step.only);
      await session.run(`CREATE TABLE ${receipts} (_n BIGINT, effect VARCHAR, reason VARCHAR, value VARCHAR, matched_n BIGINT, matched VARCHAR)`);
      await session.run(`CREATE TABLE ${changes} (_n BIGINT, ${ownColumns.map((column) => `${column} VARCHAR`).join(", ")})`);
      const name = (what: string) => {
        const table = `${what}_${id}`;
        scratch.push(table);
        return table;
      };
      await runOps(session, planStep(step, { input, receipts, changes, scratch: name, measure: (expression) => expression, index: step.index, seed: recipe.seed }), input, { file: this.recipePath, line: step.line });
      await session.run(`CREATE TABLE ${alive} AS SELECT _n FROM ${before.alive} WHERE _n NOT IN (SELECT _n FROM ${receipts} WHERE effect = 'dropped') ORDER BY _n`);
      const changed = (await session.one<{ n: number }>(`SELECT count(*) AS n FROM ${changes}`)).n;
      let base = before.base;
      if (changed > 0) {
        base = `rows_${id}`;
        const columns = ownColumns.map((column) => `CASE WHEN c._n IS NULL THEN s.${column} ELSE c.${column} END AS ${column}`);
        await session.run(`CREATE TABLE ${base} AS SELECT s.* REPLACE (${columns.join(", ")}) FROM ${before.view} s LEFT JOIN ${changes} c ON c._n = s._n ORDER BY s._n`);
      }
      await session.run(`CREATE VIEW ${view} AS SELECT * FROM ${base} WHERE _n IN (SELECT _n FROM ${alive})`);
      const count = await countStep(session, step, before.alive, alive, receipts);
      return { key, base, alive, view, receipts, count };
    } catch (error) {
      await this.discard({ alive, view, base: `rows_${id}`, receipts });
      throw error;
    } finally {
      await this.clean([`DROP VIEW IF EXISTS ${input}`, ...[changes, ...scratch].map((table) => `DROP TABLE IF EXISTS ${table}`)]);
    }
  }

  private async dropFrom(session: Session, index: number): Promise<void> {
    void session;
    for (const stage of this.stages.splice(index).reverse()) await this.discard({ ...stage, base: stage.base === this.stages[index - 1]?.base ? undefined : stage.base });
  }

  private async discard(stage: { alive: string; view: string; receipts?: string; base?: string }): Promise<void> {
    const shared = this.stages.some((other) => other.base === stage.base);
    const tables = [stage.alive, ...(stage.receipts ? [stage.receipts] : []), ...(stage.base && !shared ? [stage.base] : [])];
    await this.clean([`DROP VIEW IF EXISTS ${stage.view}`, ...tables.map((table) => `DROP TABLE IF EXISTS ${table}`)]);
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

async function countStep(session: Session, step: RecipeStep, before: string, alive: string, receipts: string): Promise<StepCount> {
  const counts = await session.one<{ rows_in: number; rows_out: number; dropped: number; changed: number }>(
    `SELECT (SELECT count(*) FROM ${before}) AS rows_in, (SELECT count(*) FROM ${alive}) AS rows_out, count(DISTINCT _n) FILTER (effect = 'dropped') AS dropped, count(DISTINCT _n) FILTER (effect = 'changed') AS changed FROM ${receipts}`,
  );
  const doubled = await session.one<{ n: number }>(`SELECT count(*) - count(DISTINCT _n) AS n FROM ${receipts}`);
  if (counts.rows_in !== counts.rows_out + counts.dropped || doubled.n > 0) {
    throw TillageError.internal("rows_lost", `The step '${step.title}' does not add up: ${counts.rows_in} rows in, ${counts.rows_out} out, ${counts.dropped} receipts.`);
  }
  const reasons = await session.rows<{ reason: string; rows: number }>(`SELECT reason, count(*) AS rows FROM ${receipts} GROUP BY reason ORDER BY rows DESC, reason`);
  return { index: step.index, step: step.title, in: counts.rows_in, out: counts.rows_out, changed: counts.changed, reasons };
}
