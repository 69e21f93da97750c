/** Before and after: two evaluations of the same prompts, case by case. Pure. */
import { diffWordsWithSpace } from "diff";
import type { EvalCase, EvalResult } from "./result";

/** What happened to one prompt from the first model to the second. */
export type Change = "fixed" | "broken" | "changed" | "same";

export interface WordPart {
  text: string;
  kind: "same" | "added" | "removed";
}

export interface ComparedCase {
  id: string;
  prompt: string;
  answer: string | null;
  change: Change;
  before: EvalCase;
  after: EvalCase;
  /** Word-level difference of the outputs. */
  words: WordPart[];
}

export interface Comparison {
  file: string;
  before: EvalResult;
  after: EvalResult;
  cases: ComparedCase[];
  counts: Record<Change, number>;
}

/** Compares two results of one eval file; prompts that only one of them has are left out. */
export function compareResults(before: EvalResult, after: EvalResult): Comparison {
  const later = new Map(after.cases.map((item) => [item.id, item]));
  const counts: Record<Change, number> = { fixed: 0, broken: 0, changed: 0, same: 0 };
  const cases = before.cases.flatMap((first): ComparedCase[] => {
    const second = later.get(first.id);
    if (!second || second.prompt !== first.prompt) return [];
    const change = changeOf(first, second);
    counts[change] += 1;
    return [{ id: first.id, prompt: first.prompt, answer: first.answer ?? null, change, before: first, after: second, words: wordDiff(first.output, second.output) }];
  });
  return { file: before.file, before, after, cases, counts };
}

function changeOf(before: EvalCase, after: EvalCase): Change {
  if (before.verdict.pass !== after.verdict.pass) return after.verdict.pass ? "fixed" : "broken";
  return before.output === after.output ? "same" : "changed";
}

/** Word-level difference of two texts. Where every word of a passage changed, the passage is one removal and one addition. */
export function wordDiff(before: string, after: string): WordPart[] {
  const parts: WordPart[] = [];
  let [removed, added] = ["", ""];
  const flush = (): void => {
    if (removed !== "") parts.push({ text: removed, kind: "removed" });
    if (added !== "") parts.push({ text: added, kind: "added" });
    [removed, added] = ["", ""];
  };
  const changes = diffWordsWithSpace(before, after);
  changes.forEach((part, index) => {
    const next = changes[index + 1];
    if (part.removed) removed += part.value;
    else if (part.added) added += part.value;
    else if (removed + added !== "" && part.value.trim() === "" && (next?.added || next?.removed)) {
      // The space between two changed words is theirs.
      removed += part.value;
      added += part.value;
    } else {
      flush();
      parts.push({ text: part.value, kind: "same" });
    }
  });
  flush();
  return parts;
}
