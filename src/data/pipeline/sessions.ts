import path from "node:path";
import type { MixGroup } from "../../core/mix";
import type { Recipe } from "../../core/recipe";
import { comparedFiles } from "../../core/steps";
import type { MixTable, ReceiptRow, RecipeCounts } from "../../protocol/corpus";
import { TillageError } from "../../protocol/errors";
import { checkedRecipe, sourceTokens } from "../build/build";
import { findTokenizer } from "../build/hash";
import { mixOf, mixTable, weigh } from "../build/mix";
import { createSplit } from "../build/split";
import { isCancelled } from "../duckdb/failure";
import { Database, type Session } from "../duckdb/session";
import { literal } from "../duckdb/sql";
import { expandFiles, readingOf, sourceFiles } from "../sources/load";
import { fileVersion } from "../sources/scan";
import { dataDiagnostics, faultDiagnostic, recipeDiagnostics } from "./diagnostics";
import { Pipeline, type Stage } from "./pipeline";

/** Recipes whose rows are kept in memory for live counts. */
const kept = 2;

interface Open {
  key: string;
  pipeline: Promise<Pipeline>;
  groups: Map<string, MixGroup[]>;
  tokens: Map<string, Map<string, number>>;
}

/** Live counts of recipes: the sources of the last few stay loaded, and only steps that changed run again. */
export class RecipeSessions {
  private readonly open = new Map<string, Open>();
  private tool: Promise<Database> | undefined;

  constructor(private readonly extensionPath?: string) {}

  /** What the loaded rows follow from: sources, evaluations and the versions of their files. */
  private async key(recipe: Recipe, recipePath: string, signal?: AbortSignal): Promise<string> {
    this.tool ??= Database.open(this.extensionPath).catch((error: unknown) => {
      this.tool = undefined;
      throw error;
    });
    const tool = await this.tool;
    return tool.session(signal, async (session) => {
      const parts: unknown[] = [];
      const version = (file: string) => [file, fileVersion(file).size, fileVersion(file).mtimeMs];
      for (const source of recipe.sources) {
        parts.push([readingOf(source), (await sourceFiles(session, source, recipePath)).map(version)]);
      }
      for (const step of recipe.steps) {
        const against = comparedFiles(step);
        if (against.length > 0) parts.push([step.index, (await expandFiles(session, against, path.dirname(recipePath))).map(version), against]);
      }
      return JSON.stringify(parts);
    });
  }

  private async pipeline(recipe: Recipe, recipePath: string, signal?: AbortSignal): Promise<Open> {
    const key = await this.key(recipe, recipePath, signal);
    const known = this.open.get(recipePath);
    if (known?.key === key) {
      this.open.delete(recipePath);
      this.open.set(recipePath, known);
      try {
        await known.pipeline;
        return known;
      } catch (error) {
        // The call that was loading it was cancelled, this one was not: it loads it itself.
        if (!isCancelled(error) || signal?.aborted) throw error;
        return this.pipeline(recipe, recipePath, signal);
      }
    }
    this.close(recipePath);
    const fresh: Open = { key, pipeline: Pipeline.open(recipe, recipePath, signal, { extensionPath: this.extensionPath, measures: true }), groups: new Map(), tokens: new Map() };
    this.open.set(recipePath, fresh);
    try {
      await fresh.pipeline;
    } catch (error) {
      if (this.open.get(recipePath) === fresh) this.open.delete(recipePath);
      throw error;
    }
    for (const oldest of [...this.open.keys()].slice(0, Math.max(0, this.open.size - kept))) this.close(oldest);
    return fresh;
  }

  private close(recipePath: string): void {
    const known = this.open.get(recipePath);
    this.open.delete(recipePath);
    // A call may still be at work on it: it is closed when its turn comes.
    known?.pipeline.then((pipeline) => pipeline.exclusive(async () => pipeline.close())).catch(() => undefined);
  }

  private async run<T>(recipe: Recipe, recipePath: string, signal: AbortSignal | undefined, work: (session: Session, pipeline: Pipeline, open: Open) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const open = await this.pipeline(recipe, recipePath, signal);
      const pipeline = await open.pipeline;
      try {
        return await pipeline.exclusive(() => pipeline.database.session(signal, (session) => work(session, pipeline, open)));
      } catch (error) {
        // A call with other sources took this one's place while it waited for its turn: it loads its own again.
        if (attempt === 3 || !(error instanceof TillageError) || error.problem.code !== "closed") throw error;
      }
    }
  }

  /** Counts of each step, and what is wrong with the recipe or its data. What is the user's to mend is a diagnostic, not an error. */
  async counts(recipePath: string, text: string, signal?: AbortSignal): Promise<RecipeCounts> {
    const { recipe, diagnostics } = recipeDiagnostics(text, recipePath);
    if (!recipe) return { sources: [], steps: [], diagnostics };
    const result: RecipeCounts = { sources: [], steps: [], diagnostics };
    try {
      await this.run(recipe, recipePath, signal, async (session, pipeline, open) => {
        const tokenizer = findTokenizer(recipe, recipePath);
        const tokens = open.tokens.get(tokenizer ?? "") ?? (await sourceTokens(session, tokenizer));
        open.tokens.set(tokenizer ?? "", tokens);
        result.sources = pipeline.loaded.sources.map(({ name, rows, badRows, bad, reading }) => ({ name, rows, badRows, bad, tokens: tokens.get(name) ?? 0, reading }));
        for (let upTo = 1; upTo <= recipe.steps.length; upTo++) {
          const stages = await pipeline.advance(session, recipe, upTo);
          result.steps = stages.flatMap((stage) => (stage.count ? [stage.count] : []));
        }
        const stages = await pipeline.advance(session, recipe);
        const last = stages[stages.length - 1];
        if (last) diagnostics.push(...(await dataDiagnostics(session, text, recipe, recipePath, result, last)));
      });
    } catch (error) {
      if (isCancelled(error) || !(error instanceof TillageError) || error.problem.blame !== "user") throw error;
      diagnostics.push(faultDiagnostic(error, text, recipe, recipePath));
    }
    return result;
  }

  /** The mix of the training rows. */
  async mix(recipePath: string, text: string, signal?: AbortSignal): Promise<MixTable> {
    const recipe = checkedRecipe(text, recipePath);
    const tokenizer = findTokenizer(recipe, recipePath);
    return this.run(recipe, recipePath, signal, async (session, pipeline, open) => {
      const stages = await pipeline.advance(session, recipe);
      const last = stages[stages.length - 1] as Stage;
      const key = JSON.stringify([last.key, recipe.split, recipe.seed, recipe.mix.by, recipe.mix.synthetic?.column ?? null, recipe.mix.synthetic?.values ?? null, tokenizer ?? null]);
      let groups = open.groups.get(key);
      if (!groups) {
        const scratch = "DROP TABLE IF EXISTS split; DROP TABLE IF EXISTS weighed; DROP SCHEMA IF EXISTS splitting CASCADE";
        await session.run(scratch);
        await createSplit(session, last.view, recipe, recipePath);
        groups = await weigh(session, stages, last.view, recipe, recipePath, tokenizer);
        open.groups.set(key, groups);
        await session.run(scratch);
      }
      return mixTable(recipe, mixOf(recipe, groups), tokenizer !== undefined);
    });
  }

  /** The rows that a step dropped, changed or flagged, with their text before it. */
  async dropped(recipePath: string, text: string, step: number, limit: number, signal?: AbortSignal): Promise<ReceiptRow[]> {
    const recipe = checkedRecipe(text, recipePath);
    if (step >= recipe.steps.length) throw TillageError.user("no_step", `The recipe has no step ${step + 1}.`, "Look at the recipe's steps again: it was changed.", { file: recipePath });
    return this.run(recipe, recipePath, signal, async (session, pipeline) => {
      const stages = await pipeline.advance(session, recipe, step + 1);
      const [before, after] = [stages[step], stages[step + 1]];
      if (!before || !after?.receipts) throw TillageError.internal("no_stage", "A step that ran left no receipts.");
      const rows = await session.rows<Record<Exclude<keyof ReceiptRow, "fileRow">, string | null> & { fileRow: number }>(
        `SELECT r._row_id AS "rowId", r._source AS source, r._file AS file, r._file_row AS "fileRow", ${literal(after.count?.step ?? "")} AS step, x.effect, x.reason, x.value, coalesce(x.matched, m._row_id) AS "matchedRowId", left(r.text, 400) AS text, left(m.text, 400) AS "matchedText" FROM (SELECT * FROM ${after.receipts} ORDER BY _n LIMIT ?) x JOIN ${before.base} r ON r._n = x._n LEFT JOIN rows m ON m._n = x.matched_n ORDER BY x._n`,
        [limit],
      );
      return rows.map((row) => ({ ...row, file: path.resolve(path.dirname(recipePath), row.file ?? "") }) as ReceiptRow);
    });
  }

  dispose(): void {
    for (const recipePath of [...this.open.keys()]) this.close(recipePath);
    void this.tool?.then((tool) => tool.close()).catch(() => undefined);
    this.tool = undefined;
  }
}
