import path from "node:path";
import { parseEvalPrompts } from "../../core/dataset";
import type { Recipe } from "../../core/recipe";
import { comparedFiles, evalItems } from "../../core/steps";
import { readText } from "../../disk/read-text";
import { TillageError } from "../../protocol/errors";
import type { Session } from "../duckdb/session";
import { ident, literal } from "../duckdb/sql";
import { expandFiles, relativePath } from "../sources/load";
import { normalSql } from "../sources/normalize";
import { readFile } from "../sources/read";
import { scanFile } from "../sources/scan";
import { resolveShape } from "../sources/shape";

export interface EvalFile {
  /** The step whose rows are compared with it; -1 for the guards'. */
  step: number;
  /** As receipts write it: relative to the recipe's folder. */
  name: string;
  file: string;
  sha256: string;
}

export interface AgainstPlace {
  file: string;
  line: number;
}

/** Adds the texts of evaluation files to `eval_items` under a step's number: prompts of `*.eval.yaml`, and of data files the prompt where rows have one, else the text. */
export async function loadEvalFiles(session: Session, step: number, patterns: readonly string[], folder: string, place?: AgainstPlace): Promise<EvalFile[]> {
  const loaded: EvalFile[] = [];
  for (const pattern of patterns) {
    const files = await expandFiles(session, [pattern], folder);
    if (files.length === 0) throw TillageError.user("no_files", `Nothing matches ${pattern}, which rows are to be compared with.`, "Paths are relative to the recipe's folder.", place);
    for (const file of files) {
      const name = relativePath(folder, file);
      if (/\.ya?ml$/i.test(file)) {
        for (const prompt of parseEvalPrompts(readText(file, "eval file"), file)) await session.run(`INSERT INTO ${evalItems} VALUES (?, ?, ?)`, [step, `${name}#${prompt.id}`, prompt.prompt]);
      } else {
        const table = `eval_${step}_${loaded.length}`;
        const raw = await readFile(session, file, table);
        const { columns: shape } = await resolveShape(session, file, raw, undefined, {});
        const sql = normalSql(raw, shape);
        await session.run(`INSERT INTO ${evalItems} SELECT ${step}, ${literal(`${name}#`)} || (_tillage_row + 1), ${sql.own.prompt ?? sql.text} FROM ${ident(raw.table)} WHERE ${sql.fault} IS NULL`);
        await session.run(`DROP ${file.toLowerCase().endsWith(".parquet") ? "VIEW" : "TABLE"} ${ident(raw.table)}`);
      }
      loaded.push({ step, name, file, sha256: (await scanFile(file, session.signal)).sha256 });
    }
  }
  return loaded;
}

/** Creates `eval_items` and fills it for every decontaminate step. */
export async function loadEvalItems(session: Session, recipe: Recipe, recipePath: string): Promise<EvalFile[]> {
  await session.run(`CREATE TABLE ${evalItems} (step BIGINT, item VARCHAR, text VARCHAR)`);
  const all: EvalFile[] = [];
  for (const step of recipe.steps) {
    all.push(...(await loadEvalFiles(session, step.index, comparedFiles(step), path.dirname(recipePath), { file: recipePath, line: step.line })));
  }
  return all;
}
