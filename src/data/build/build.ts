import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, utimesSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseRecipe, recipeError, type Recipe } from "../../core/recipe";
import { comparedFiles } from "../../core/steps";
import type { BuildProgress, BuildResult } from "../../protocol/corpus";
import { TillageError } from "../../protocol/errors";
import { fsyncPath, writeAtomic } from "../../disk/atomic";
import { loadEvalFiles } from "../pipeline/evals";
import { Pipeline, type Stage } from "../pipeline/pipeline";
import { relativePath, tokensSql } from "../sources/load";
import { fileVersion } from "../sources/scan";
import { fromSystem } from "../duckdb/failure";
import type { Session } from "../duckdb/session";
import { tillageFolder, workspaceRoot } from "../../disk/layout";
import { datasetGuards } from "./dataset";
import { runGuards } from "./guards";
import { hashInputs, type Inputs } from "./hash";
import { buildResult, readManifest, type Manifest } from "./manifest";
import { mixOf, mixTable, sample, weigh } from "./mix";
import { createSplit } from "./split";
import { writeReceipts, writeSplit } from "./write";

export interface BuildOptions {
  /** Absolute path of the recipe; `text` is its content. */
  path: string;
  text: string;
  skipSteps?: boolean;
  evals?: readonly string[];
  root?: string;
  extensionPath?: string;
  signal?: AbortSignal;
  progress?: (progress: BuildProgress) => void;
}

/** The recipe of a text; its first error is thrown. */
export function checkedRecipe(text: string, file: string): Recipe {
  const { recipe, problems } = parseRecipe(text, file);
  if (!recipe) throw recipeError(problems, file);
  return recipe;
}

/** The recipe's name: its file's, without `.recipe.yaml`. */
export function recipeName(file: string): string {
  return path.basename(file).replace(/\.ya?ml$/i, "").replace(/\.recipe$/i, "");
}

/** Without the steps and the mix, for building the raw data. */
function raw(recipe: Recipe): Recipe {
  return { ...recipe, steps: [], mix: { ...recipe.mix, budget: undefined, shares: {}, synthetic: undefined }, curriculum: { order: "shuffle" } };
}

/** The n of the n-grams that evaluations are looked for with: the recipe's own, or 13. */
function guardNgram(recipe: Recipe): number {
  const step = recipe.steps.find((candidate) => candidate.key === "decontaminate");
  return step?.key === "decontaminate" ? step.config.ngram : 13;
}

/** This machine, in the names of unfinished folders: a process of another machine on the same disk cannot be seen from here. */
function hostMark(): string {
  return createHash("sha256").update(os.hostname()).digest("hex").slice(0, 8);
}

/** Removes the unfinished folders of builds whose process on this machine is gone. */
function sweep(folder: string): void {
  for (const name of readdirSync(folder)) {
    const pid = new RegExp(`^\\.building-.*-${hostMark()}-(\\d+)-\\d+$`).exec(name)?.[1];
    if (pid === undefined || Number(pid) === process.pid) continue;
    try {
      process.kill(Number(pid), 0);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ESRCH") rmSync(path.join(folder, name), { recursive: true, force: true });
    }
  }
}

let serial = 0;

/** The manifest of a dataset that is there with all of its files. What is left of one that lost a file makes way for a new build. */
function wholeDataset(target: string): Manifest | undefined {
  if (!existsSync(path.join(target, "manifest.json"))) return undefined;
  const manifest = readManifest(target);
  const files = [...manifest.split.flatMap((side) => side.files), "receipts.parquet"];
  if (files.every((file) => existsSync(path.join(target, file)))) return manifest;
  rmSync(target, { recursive: true, force: true });
  return undefined;
}

/** A dataset that was asked for again is its recipe's newest again; on a read-only disk the order stays as it was. */
function markBuilt(target: string): void {
  try {
    utimesSync(path.join(target, "manifest.json"), new Date(), new Date());
  } catch (error) {
    if (!["EROFS", "EACCES", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}

/** A source that was written to while it was read would make a dataset that its hash does not stand for. */
function assertSourcesUnchanged(inputs: Inputs): void {
  for (const { file, size, mtimeMs } of inputs.files) {
    const now = fileVersion(file);
    if (now.size !== size || now.mtimeMs !== mtimeMs) throw TillageError.user("file_changed", `${file} was changed while the dataset was built from it.`, "Build again once nothing writes to it; no dataset was kept.", { file });
  }
}

/** Gives the finished folder its name; where another build of the same was faster, that one stays. */
function moveInto(temporary: string, target: string): void {
  try {
    renameSync(temporary, target);
  } catch (error) {
    if (!existsSync(path.join(target, "manifest.json"))) throw error;
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** Builds a recipe's dataset, or finds it built. The folder appears whole, by one rename, or not at all. */
export async function build(options: BuildOptions): Promise<BuildResult> {
  try {
    return await findOrBuild(options);
  } catch (error) {
    throw fromSystem(error);
  }
}

async function findOrBuild(options: BuildOptions): Promise<BuildResult> {
  const started = performance.now();
  const recipe = checkedRecipe(options.text, options.path);
  const name = recipeName(options.path);
  const flags = options.skipSteps ? ["raw"] : [];
  const inputs = await hashInputs(options.text, recipe, options.path, flags, options.extensionPath, options.signal);
  const datasets = tillageFolder(options.root ?? workspaceRoot(options.path), "datasets");
  sweep(datasets);
  const target = path.join(datasets, `${name}@${inputs.hash}`);
  const seconds = () => (performance.now() - started) / 1000;
  const known = wholeDataset(target);
  if (known) {
    markBuilt(target);
    return guarded(buildResult(target, known, false, seconds()), options);
  }

  const temporary = path.join(datasets, `.building-${name}@${inputs.hash}-${hostMark()}-${process.pid}-${++serial}`);
  mkdirSync(temporary);
  try {
    const manifest = await write(recipe, inputs, temporary, options, path.dirname(path.dirname(datasets)));
    assertSourcesUnchanged(inputs);
    writeAtomic(path.join(temporary, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
    if (process.platform !== "win32") fsyncPath(temporary);
    moveInto(temporary, target);
    if (process.platform !== "win32") fsyncPath(datasets);
    return await guarded(buildResult(target, manifest, true, seconds()), options);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw error;
  }
}

/** The result with the guards run again where the caller adds evaluations: they change what is warned of, not the dataset. */
async function guarded(result: BuildResult, options: BuildOptions): Promise<BuildResult> {
  if (!options.evals?.length) return result;
  const evals = options.evals.map((file) => path.resolve(path.dirname(options.path), file));
  return { ...result, guards: await datasetGuards({ dataset: result.dataset, evals }, options.extensionPath, options.signal) };
}

async function write(full: Recipe, inputs: Inputs, folder: string, options: BuildOptions, root: string): Promise<Manifest> {
  const recipe = options.skipSteps ? raw(full) : full;
  const recipeDir = path.dirname(options.path);
  const total = recipe.steps.length + 4;
  let base = 0;
  const report = (stage: string, done: number, of: number) => options.progress?.({ stage, done: Math.min(base + (of > 0 ? done / of : 0), total), of: total });
  const guardEvals: { file: string; sha256: string }[] = [];
  const pipeline = await Pipeline.open(recipe, options.path, options.signal, {
    extensionPath: options.extensionPath,
    writable: [folder],
    stage: report,
    prepare: async (session) => {
      // The guard compares with the recipe's own evaluations even where its steps are left out.
      const own = options.skipSteps ? full.steps.flatMap(comparedFiles) : [];
      guardEvals.push(...(await loadEvalFiles(session, -1, [...new Set(own)], recipeDir)));
    },
  });
  try {
    return await pipeline.database.session(options.signal, async (session) => {
      base = 1;
      const stages = await pipeline.advance(session, recipe, recipe.steps.length, (stage, done) => report(stage, done, 1));
      const last = stages[stages.length - 1];
      if (!last) throw TillageError.internal("no_stage", "A build had no stage.");
      await refuseEmpty(session, last, options.path);
      base = recipe.steps.length + 1;
      report("split and mix", 0, 1);
      await createSplit(session, last.view, recipe, options.path);
      const mix = mixOf(recipe, await weigh(session, stages, last.view, recipe, options.path, inputs.tokenizer));
      await sample(session, last.view, recipe, options.path, mix);
      if ((await session.one<{ n: number }>("SELECT count(*) AS n FROM sampled")).n === 0) {
        throw TillageError.user("no_rows_left", "No row is left for training after the split and the mix.", "Give the mix a larger budget, or the split a larger share for training.", { file: options.path });
      }
      base++;
      report("writing", 0, 1);
      const train = await writeSplit(session, last.view, pipeline.loaded, "SELECT _n, copy, position FROM sampled", "train", folder);
      const valid = await writeSplit(session, last.view, pipeline.loaded, "SELECT _n, 0 AS copy, row_number() OVER (ORDER BY _n) - 1 AS position FROM split WHERE side = 'valid'", "valid", folder);
      await writeReceipts(session, stages, recipe, last, path.join(folder, "receipts.parquet"));
      await assertAddsUp(session);
      base++;
      report("guards", 0, 1);
      const ngram = guardNgram(full);
      const guards = await runGuards(session, { folder, trainFiles: train.files, ngram, synthetic: full.mix.synthetic });
      const tokens = await sourceTokens(session, inputs.tokenizer);
      report("done", 1, 1);
      const shapes = new Set(pipeline.loaded.sources.map((source) => source.shape));
      const [only] = shapes;
      const evals = [...new Map([...pipeline.evals, ...guardEvals].map((entry) => [entry.file, entry])).values()];
      return {
        version: 1,
        hash: inputs.hash,
        recipe: { name: recipeName(options.path), path: relativePath(root, options.path), text: options.text },
        versions: inputs.versions,
        seed: recipe.seed,
        skipSteps: options.skipSteps ?? false,
        shape: shapes.size === 1 && only !== undefined ? only : "mixed",
        files: pipeline.loaded.sources.flatMap((source) => source.files.map((file) => ({ source: source.name, path: relativePath(root, file.file), sha256: file.sha256 }))),
        evals: evals.map((entry) => ({ path: relativePath(root, entry.file), sha256: entry.sha256 })),
        ngram,
        sources: pipeline.loaded.sources.map((source) => ({ name: source.name, rows: source.rows, badRows: source.badRows, bad: source.bad.map((bad) => ({ ...bad, file: relativePath(recipeDir, bad.file) })), tokens: tokens.get(source.name) ?? 0, reading: source.reading })),
        steps: stages.flatMap((stage) => (stage.count ? [stage.count] : [])),
        mix: mixTable(recipe, mix, inputs.tokenizer !== undefined),
        split: [train, valid],
        curriculum: recipe.curriculum,
        ...(full.mix.synthetic ? { synthetic: full.mix.synthetic } : {}),
        guards,
      } satisfies Manifest;
    });
  } finally {
    pipeline.close();
  }
}

/** Tokens of each source's rows as they were read. Needs `rows`. */
export async function sourceTokens(session: Session, tokenizer: string | undefined): Promise<Map<string, number>> {
  const rows = await session.rows<{ name: string; tokens: number }>(`SELECT _source AS name, coalesce(sum(${tokensSql(tokenizer)}), 0) AS tokens FROM rows GROUP BY _source`);
  return new Map(rows.map((row) => [row.name, row.tokens]));
}

async function refuseEmpty(session: Session, last: Stage, recipe: string): Promise<void> {
  const { n } = await session.one<{ n: number }>(`SELECT count(*) AS n FROM ${last.alive}`);
  if (n > 0) return;
  throw TillageError.user("no_rows_left", `No row is left after the step '${last.count?.step ?? "sources"}'.`, "Look at the steps' receipts (the counts above each step) and loosen the one that drops too much.", { file: recipe });
}

/** Every row that was read is in the training rows, in the validation rows, or has a receipt that says why not. */
async function assertAddsUp(session: Session): Promise<void> {
  const sums = await session.one<{ train: number; valid: number; unsampled: number; alive: number }>(
    "SELECT (SELECT count(DISTINCT _n) FROM sampled) AS train, (SELECT count(*) FROM split WHERE side = 'valid') AS valid, (SELECT count(*) FROM split WHERE side = 'train' AND _n NOT IN (SELECT _n FROM sampled)) AS unsampled, (SELECT count(*) FROM weighed) AS alive",
  );
  if (sums.train + sums.valid + sums.unsampled !== sums.alive) throw TillageError.internal("rows_lost", `The dataset does not add up: ${sums.alive} rows after the steps, ${sums.train} in train, ${sums.valid} in valid, ${sums.unsampled} not sampled.`);
}

