import { readFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import type { StepCount } from "../../protocol/corpus";
import { TillageError } from "../../protocol/errors";

/** What the panels read of a dataset's `manifest.json`. */
const manifestSchema = z.object({
  sources: z.array(z.object({ name: z.string(), rows: z.number() })),
  steps: z.array(z.object({
    index: z.number(), step: z.string(), in: z.number(), out: z.number(), changed: z.number(),
    reasons: z.array(z.object({ reason: z.string(), rows: z.number() })),
  })),
});

export interface DatasetFacts {
  sources: { name: string; rows: number }[];
  steps: StepCount[];
}

/** Reads a built dataset's manifest; a folder without one, or with a broken one, is a user's or environment's error that names it. */
export async function readManifest(dataset: string): Promise<DatasetFacts> {
  const file = path.join(dataset, "manifest.json");
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    const problem = { blame: "user" as const, code: "no_manifest", message: `${path.basename(dataset)} is not a dataset: its manifest.json cannot be read.`, remedy: "Build its recipe again.", file };
    throw new TillageError(problem, { cause: error });
  }
  try {
    return manifestSchema.parse(JSON.parse(text));
  } catch (error) {
    const problem = { blame: "environment" as const, code: "broken_manifest", message: `The manifest of ${path.basename(dataset)} is damaged.`, remedy: "Delete the dataset's folder and build its recipe again.", file };
    throw new TillageError(problem, { cause: error });
  }
}
