/** A replacement of one stretch of a text. */
export interface Replacement {
  /** 0-based offsets into the old text. */
  start: number;
  end: number;
  newText: string;
}

/** The smallest single replacement that turns one text into the other; undefined when they are equal. */
export function smallestReplacement(before: string, after: string): Replacement | undefined {
  if (before === after) return undefined;
  const limit = Math.min(before.length, after.length);
  let start = 0;
  while (start < limit && before[start] === after[start]) start += 1;
  let tail = 0;
  while (tail < limit - start && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail += 1;
  return { start, end: before.length - tail, newText: after.slice(start, after.length - tail) };
}
