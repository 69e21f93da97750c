import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { curriculumOrders, type BuildResult } from "../../protocol/corpus";
import { TillageError } from "../../protocol/errors";
import { readingSchema } from "../pipeline/stored";

const partSchema = z.object({ tokens: z.number(), weighted: z.number(), heaviest: z.number() });
const syntheticSchema = z.object({ column: z.string(), values: z.array(z.string()).optional() });
const badSchema = z.object({ file: z.string(), line: z.number(), reason: z.string() });
const manifestSchema = z.object({
  version: z.literal(1),
  hash: z.string(),
  /** Paths are relative to the folder that holds `.tillage`. */
  recipe: z.object({ name: z.string(), path: z.string(), text: z.string() }),
  versions: z.object({ dataset: z.number(), duckdb: z.string(), extension: z.string() }),
  seed: z.number(),
  skipSteps: z.boolean(),
  shape: z.enum(["text", "prompt/completion", "chat", "preference", "preference/chat", "preference/label", "verifiable", "mixed"]),
  files: z.array(z.object({ source: z.string(), path: z.string(), sha256: z.string() })),
  /** Evaluations that the rows were compared with. */
  evals: z.array(z.object({ path: z.string(), sha256: z.string() })),
  ngram: z.number(),
  sources: z.array(z.object({ name: z.string(), rows: z.number(), badRows: z.number(), bad: z.array(badSchema), tokens: z.number(), /** Absent in manifests of earlier versions. */ reading: readingSchema.optional() })),
  steps: z.array(z.object({ index: z.number(), step: z.string(), in: z.number(), out: z.number(), changed: z.number(), weighted: z.number().optional(), reasons: z.array(z.object({ reason: z.string(), rows: z.number() })) })),
  mix: z.object({
    by: z.string(),
    rows: z.array(z.object({ group: z.string(), rows: z.number(), tokens: z.number(), shareNow: z.number(), shareWanted: z.number(), epochs: z.number(), most: z.number().optional(), parts: z.object({ plain: partSchema, synthetic: partSchema }).optional() })),
    budgetTokens: z.number(),
    wantedTokens: z.number().optional(),
    limitedBy: z.string().optional(),
    exact: z.boolean(),
    maxEpochs: z.number(),
    synthetic: syntheticSchema.extend({ limit: z.number(), now: z.number(), mixed: z.number(), limited: z.boolean(), cut: z.array(z.string()), unmet: z.boolean() }).optional(),
  }),
  /** The order of the training rows; shuffled where it is absent. */
  curriculum: z.object({ order: z.enum(curriculumOrders), by: z.string().optional(), descending: z.boolean().optional() }).optional(),
  /** The limit of the synthetic share that the guard holds the dataset against, also where the mix was left out. */
  synthetic: syntheticSchema.extend({ maxShare: z.number() }).optional(),
  split: z.array(z.object({ name: z.string(), rows: z.number(), tokens: z.number(), files: z.array(z.string()) })),
  guards: z.array(z.object({ guard: z.string(), ok: z.boolean(), message: z.string(), rows: z.array(z.object({ rowId: z.string(), detail: z.string() })) })),
});

/** `manifest.json` of a dataset: what it was made from, and how. */
export type Manifest = z.infer<typeof manifestSchema>;

/** Reads a dataset's manifest. */
export function readManifest(dataset: string): Manifest {
  const file = path.join(dataset, "manifest.json");
  const remedy = "Build the recipe again.";
  if (!existsSync(file)) throw TillageError.user("no_dataset", `${dataset} is no built dataset: it has no manifest.json.`, remedy, { file });
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw TillageError.user("broken_manifest", `The dataset's manifest is not valid JSON: ${error instanceof Error ? error.message : String(error)}`, remedy, { file });
  }
  const checked = manifestSchema.safeParse(value);
  if (checked.success) return checked.data;
  throw TillageError.user("broken_manifest", `The dataset's manifest is not as expected at '${checked.error.issues[0]?.path.join(".") ?? ""}'.`, remedy, { file });
}

/** A dataset's manifest, where all of the dataset's files are still there. */
export function readWhole(dataset: string): Manifest {
  const manifest = readManifest(dataset);
  const lost = [...manifest.split.flatMap((side) => side.files), "receipts.parquet"].find((name) => !existsSync(path.join(dataset, name)));
  if (lost === undefined) return manifest;
  throw TillageError.user("broken_dataset", `The dataset ${path.basename(dataset)} has lost its file ${lost}.`, "Build its recipe again, which makes it anew.", { file: path.join(dataset, "manifest.json") });
}

/** The folder of the recipe that a dataset was built from; receipts' files are relative to it. */
export function recipeFolder(dataset: string, manifest: Manifest): string {
  return path.dirname(path.resolve(dataset, "..", "..", "..", manifest.recipe.path));
}

/** What `build` answers, from the manifest. */
export function buildResult(dataset: string, manifest: Manifest, built: boolean, seconds: number): BuildResult {
  const { recipe, hash, sources, steps, mix, split, guards, shape, curriculum } = manifest;
  const files = split.map((side) => ({ ...side, files: side.files.map((file) => path.join(dataset, file)) }));
  return { recipe: recipe.name, dataset, hash, shape, built, sources, steps, mix, split: files, ...(curriculum ? { curriculum } : {}), guards, seconds };
}
