/** Whether a place in a line of YAML is inside the SQL predicate of a `where:` step. */
export function insidePredicate(line: string, character: number): boolean {
  const key = /^(\s*(?:-\s+)?(?:\{\s*)?where\s*:\s*)/.exec(line);
  if (!key?.[1] || character < key[1].length) return false;
  const before = line.slice(key[1].length, character);
  const quote = before[0];
  if (quote !== "\"" && quote !== "'") return true;
  // Past the closing quote the predicate is over; a doubled quote inside it does not close it.
  const inner = before.slice(1);
  const closing = quote === "\"" ? /(?:^|[^\\])"/ : /(?:^|[^'])'(?!')/;
  return !closing.test(inner);
}

/** The word that a completion inside a predicate replaces. */
export function columnWord(line: string, character: number): { start: number; end: number } {
  let start = character;
  while (start > 0 && /[A-Za-z0-9_]/.test(line[start - 1] ?? "")) start -= 1;
  let end = character;
  while (end < line.length && /[A-Za-z0-9_]/.test(line[end] ?? "")) end += 1;
  return { start, end };
}
