/** What stands at a place of a recipe that only the workspace can complete: its files, or the recipe's own sources. */
export type ValueKind = "data" | "evals" | "tokenizer" | "source" | "column" | "share";

export interface ValuePlace {
  kind: ValueKind;
  /** 0-based columns of the word that a completion replaces. */
  start: number;
  end: number;
}

const KEYS: Readonly<Record<string, ValueKind>> = { files: "data", against: "evals", tokenizer: "tokenizer", only: "source", by: "column" };

/** The place under the caret in one line; undefined where the grammar itself knows what comes. */
export function valuePlace(line: string, character: number): ValuePlace | undefined {
  const before = line.slice(0, character);
  const word = /[^\s,[\]{}"']*$/.exec(before)?.[0] ?? "";
  const start = character - word.length;
  const rest = /^[^\s,[\]{}"':]*/.exec(line.slice(character))?.[0] ?? "";
  const place = (kind: ValueKind): ValuePlace => ({ kind, start, end: character + rest.length });
  // Inside `shares: { … }` a word after the brace or a comma names a group.
  const shares = /\bshares\s*:\s*\{([^}]*)$/.exec(before);
  if (shares) return /(^|,)\s*["']?[^\s,:"']*$/.test(shares[1] ?? "") ? place("share") : undefined;
  const value = /([A-Za-z_]+)\s*:\s+(\[[^\]]*|["']?[^\s,[\]{}"']*)$/.exec(before);
  const kind = value?.[1] === undefined ? undefined : KEYS[value[1]];
  return kind && place(kind);
}
