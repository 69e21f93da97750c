import path from "node:path";
import { z } from "zod";
import { buildShapes, type BuildShape } from "../../core/dataset";
import type { LoadedRows } from "../sources/load";

const countSchema = z.object({
  index: z.number(),
  step: z.string(),
  in: z.number(),
  out: z.number(),
  changed: z.number(),
  weighted: z.number().optional(),
  reasons: z.array(z.object({ reason: z.string(), rows: z.number() })),
});

const shapes = z.enum(["text", "prompt/completion", "chat", "preference", "verifiable", "table"]);
const guessSchema = z.object({ shape: shapes, columns: z.record(z.string(), z.string()) });
/** How a source's rows were read. */
export const readingSchema = guessSchema.extend({ confidence: z.enum(["sure", "unsure"]), reason: z.string(), alternatives: z.array(guessSchema), by: z.enum(["recipe", "columns"]) });

/** What is known of a step that was run. */
export const stepSchema = z.object({ count: countSchema });
export type StepMeta = z.infer<typeof stepSchema>;

/** A measure is its file alone. */
export const measureSchema = z.object({});

/** As it is stored: with files relative to the recipe's folder, so that a workspace may be moved. */
export function portable(loaded: LoadedRows, folder: string): LoadedRows {
  const relative = <T extends { file: string }>(entry: T): T => ({ ...entry, file: path.relative(folder, entry.file) });
  return { ...loaded, sources: loaded.sources.map((source) => ({ ...source, bad: source.bad.map(relative), files: source.files.map(relative) })) };
}

/** What is known of the sources that were read, with files absolute again. */
export function loadedSchema(folder: string): z.ZodType<LoadedRows> {
  const file = z.string().transform((name) => path.resolve(folder, name));
  return z.object({
    sources: z.array(
      z.object({
        name: z.string(),
        shape: z.enum(buildShapes as [BuildShape, ...BuildShape[]]),
        rows: z.number(),
        bad: z.array(z.object({ file, line: z.number(), reason: z.string() })),
        badRows: z.number(),
        files: z.array(z.object({ file, sha256: z.string() })),
        aliases: z.array(z.object({ column: z.string(), as: z.string() })),
        reading: readingSchema,
      }),
    ),
    extras: z.array(z.string()),
  });
}
