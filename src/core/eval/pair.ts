/** Which two models are compared when nobody said: what a training made, and what it started from. Pure. */

/** What is needed of a model, whether it is there to be asked or was asked already. */
export interface Comparable {
  /** A folder, `run:NAME` or `run:NAME@STEP`. */
  ref: string;
  /** Folder of the weights. */
  base: string;
  adapter?: string | null;
}

/** Step of a checkpoint's reference; undefined for a result. */
export function stepOf(ref: string): number | undefined {
  const match = /^run:[^@]+@(\d+)$/u.exec(ref);
  return match ? Number(match[1]) : undefined;
}

/**
 * The pair to compare.
 * After: the first adapter of the list, else the first result that is no checkpoint, else the first of all.
 * Before: the same base without the adapter; else the first checkpoint of the same run; else another model of the list.
 * @param models newest first
 */
export function defaultPair<T extends Comparable>(models: readonly T[]): { before: T; after: T } | undefined {
  const results = models.filter((model) => stepOf(model.ref) === undefined);
  const after = results.find((model) => model.adapter) ?? results[0] ?? models[0];
  if (!after) return undefined;
  const before = startOf(after, models) ?? models.find((model) => model.ref !== after.ref);
  return before && { before, after };
}

/** What a model's training started from, among those that are there. */
export function startOf<T extends Comparable>(model: T, models: readonly T[]): T | undefined {
  const others = models.filter((other) => other.ref !== model.ref);
  if (model.adapter) return others.find((other) => !other.adapter && other.base === model.base);
  const run = /^run:[^@]+/u.exec(model.ref)?.[0];
  if (run === undefined) return undefined;
  return others
    .filter((other) => other.ref.startsWith(`${run}@`))
    .sort((a, b) => (stepOf(a.ref) ?? 0) - (stepOf(b.ref) ?? 0))[0];
}
