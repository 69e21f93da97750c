import { diffWordsWithSpace } from "diff";

export interface Part {
  text: string;
  /** `same` in both texts, `only` in the one that is shown. */
  kind: "same" | "only";
}

/** Two texts with the words that only one of them has; `shared` is the share of the words' characters in both. */
export function wordDiff(left: string, right: string): { left: Part[]; right: Part[]; shared: number } {
  const changes = diffWordsWithSpace(left, right);
  const out = { left: [] as Part[], right: [] as Part[] };
  let same = 0;
  for (const change of changes) {
    if (!change.added) push(out.left, change.value, change.removed ? "only" : "same");
    if (!change.removed) push(out.right, change.value, change.added ? "only" : "same");
    if (!change.added && !change.removed) same += change.value.length;
  }
  const all = left.length + right.length;
  return { ...out, shared: all === 0 ? 1 : (2 * same) / all };
}

function push(parts: Part[], text: string, kind: Part["kind"]): void {
  const last = parts.at(-1);
  if (last?.kind === kind) last.text += text;
  else parts.push({ text, kind });
}

/** A text cut where something that was found stands in it, such as an e-mail address. */
export function markFound(text: string, found: readonly string[]): Part[] {
  const wanted = found.filter((item) => item !== "");
  if (wanted.length === 0) return [{ text, kind: "same" }];
  const pattern = new RegExp(wanted.map((item) => item.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|"), "gu");
  const parts: Part[] = [];
  let at = 0;
  for (const match of text.matchAll(pattern)) {
    if (match.index > at) push(parts, text.slice(at, match.index), "same");
    push(parts, match[0], "only");
    at = match.index + match[0].length;
  }
  if (at < text.length) push(parts, text.slice(at), "same");
  return parts;
}
