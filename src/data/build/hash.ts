import { createHash } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import path from "node:path";
import type { Recipe } from "../../core/recipe";
import { comparedFiles } from "../../core/steps";
import { Database, type Session } from "../duckdb/session";
import { expandFiles, relativePath, sourceFiles } from "../sources/load";
import { scanFile, type FileVersion } from "../sources/scan";

/** Version of the dataset's layout and of what the steps mean; a new one makes new datasets of old recipes. */
export const datasetVersion = 3;

export interface Versions {
  dataset: number;
  duckdb: string;
  extension: string;
}

/** Everything that a dataset follows from, hashed. */
export interface Inputs {
  /** 12 hex digits. */
  hash: string;
  versions: Versions;
  /** The files that were hashed, as they were then. */
  files: (FileVersion & { file: string })[];
  /** Absolute path of the tokenizer that the recipe names, where there is one. */
  tokenizer?: string;
}

/** The tokenizer of a recipe when its file is there already. */
export function findTokenizer(recipe: Recipe, recipePath: string): string | undefined {
  if (recipe.mix.tokenizer === undefined) return undefined;
  const given = path.resolve(path.dirname(recipePath), recipe.mix.tokenizer);
  const file = existsSync(given) && statSync(given).isDirectory() ? path.join(given, "tokenizer.json") : given;
  return existsSync(file) ? file : undefined;
}

async function versionsOf(session: Session): Promise<Versions> {
  const { duckdb, extension } = await session.one<{ duckdb: string; extension: string }>("SELECT version() AS duckdb, till_version() AS extension");
  return { dataset: datasetVersion, duckdb, extension };
}

/** The hash of a recipe's text, the bytes of all files that it reads, and the versions of what reads them. */
export async function hashInputs(text: string, recipe: Recipe, recipePath: string, flags: readonly string[], extensionPath?: string, signal?: AbortSignal): Promise<Inputs> {
  const database = await Database.open(extensionPath);
  try {
    return await database.session(signal, async (session) => {
      const versions = await versionsOf(session);
      const hash = createHash("sha256").update(JSON.stringify([text, flags, versions]));
      const files: Inputs["files"] = [];
      const sha256 = async (file: string) => {
        const scan = await scanFile(file, signal);
        files.push({ file, size: scan.size, mtimeMs: scan.mtimeMs });
        return scan.sha256;
      };
      for (const source of recipe.sources) {
        for (const file of await sourceFiles(session, source, recipePath)) hash.update(`${source.name}\0${relativePath(path.dirname(recipePath), file)}\0${await sha256(file)}\n`);
      }
      for (const step of recipe.steps) {
        for (const file of await expandFiles(session, comparedFiles(step), path.dirname(recipePath))) hash.update(`against\0${relativePath(path.dirname(recipePath), file)}\0${await sha256(file)}\n`);
      }
      const tokenizer = findTokenizer(recipe, recipePath);
      if (tokenizer !== undefined) hash.update(`tokenizer\0${await sha256(tokenizer)}\n`);
      return { hash: hash.digest("hex").slice(0, 12), versions, files, tokenizer };
    });
  } finally {
    database.close();
  }
}
