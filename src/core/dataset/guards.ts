import type { GuardResult } from "../../protocol/corpus";

/** What the queries of a guard found. */
export interface GuardFindings {
  rows: { rowId: string; detail: string }[];
  /** How many there are, when `rows` lists only the first. */
  count: number;
}

/** Rows that a guard lists. */
export const guardRows = 100;

const plural = (count: number, one: string, many: string): string => `${count.toLocaleString("en-US")} ${count === 1 ? one : many}`;

/** Evaluation text in training rows. `removed` are rows that a decontaminate step took out. */
export function evaluationTextGuard(found: GuardFindings, removed: GuardFindings, items: number): GuardResult {
  const guard = "evaluation_text";
  const caught = removed.count > 0 ? ` ${plural(removed.count, "row was", "rows were")} taken out by decontaminate.` : "";
  if (items === 0) return { guard, ok: true, message: "No evaluation was given to compare with.", rows: [] };
  if (found.count === 0) return { guard, ok: true, message: `No training row contains text of the ${plural(items, "evaluation prompt", "evaluation prompts")}.${caught}`, rows: removed.rows };
  return { guard, ok: false, message: `${plural(found.count, "training row contains", "training rows contain")} evaluation text. Add a decontaminate step to the recipe.`, rows: found.rows };
}

/** Rows longer than the model's context, which would be cut. */
export function tooLongGuard(found: GuardFindings, cutTokens: number, context: number, exact: boolean): GuardResult {
  const guard = "too_long";
  const estimate = exact ? "" : " (estimated at 1.3 tokens a word)";
  if (found.count === 0) return { guard, ok: true, message: `No row is longer than the context of ${context} tokens${estimate}.`, rows: [] };
  return { guard, ok: false, message: `${plural(found.count, "row is", "rows are")} longer than the context of ${context} tokens: ${plural(cutTokens, "token", "tokens")} would be cut${estimate}.`, rows: found.rows };
}

/** Completions with nothing in them. */
export function emptyCompletionGuard(found: GuardFindings): GuardResult {
  const guard = "empty_completion";
  if (found.count === 0) return { guard, ok: true, message: "Every row has something to learn.", rows: [] };
  return { guard, ok: false, message: `${plural(found.count, "row has", "rows have")} an empty completion or text. Drop them with a step such as - where: "regexp_matches(completion, '\\\\S')".`, rows: found.rows };
}

/** Pairs of which both answers say the same: nothing can be learned from them. */
export function sameAnswersGuard(found: GuardFindings, total: number): GuardResult {
  const guard = "same_answers";
  if (found.count === 0) return { guard, ok: true, message: "Chosen and rejected answers differ.", rows: [] };
  return { guard, ok: false, message: `${plural(found.count, "pair", "pairs")} of ${total} have the same answer as chosen and as rejected. Drop them with a step such as - where: "chosen <> rejected".`, rows: found.rows };
}

/** From which share of all rows one and the same completion is suspicious, with at least 10 rows. */
export const constantShare = 0.5;

/** One completion that most rows share. */
export function constantCompletionGuard(completion: string | undefined, found: GuardFindings, total: number): GuardResult {
  const guard = "constant_completion";
  if (completion === undefined) return { guard, ok: true, message: "The completions differ.", rows: [] };
  return { guard, ok: false, message: `${plural(found.count, "row", "rows")} of ${total} have the same completion: '${completion.slice(0, 80)}'.`, rows: found.rows };
}

/** Synthetic rows, by their share of the training tokens with repeats. */
export function syntheticGuard(found: GuardFindings, share: number, limit: number, column: string): GuardResult {
  const guard = "synthetic_share";
  const percent = (part: number) => `${Math.round(part * 1000) / 10} %`;
  const limited = `the recipe's limit is ${percent(limit)}`;
  if (found.count === 0) return { guard, ok: true, message: `By the column '${column}' no training row is synthetic; ${limited}.`, rows: [] };
  const rows = plural(found.count, "synthetic row", "synthetic rows");
  if (share <= limit + 1e-9) return { guard, ok: true, message: `${rows} with ${percent(share)} of the training tokens; ${limited}.`, rows: found.rows };
  return { guard, ok: false, message: `${rows} with ${percent(share)} of the training tokens: ${limited}. The mix keeps to it where there are other rows to take their place.`, rows: found.rows };
}

/** From which share of duplicates a dataset is heavy with them. */
export const duplicateShare = 0.1;

/** Rows whose normalised text another row has too. Repeats that the mix asked for do not count. */
export function duplicateGuard(found: GuardFindings, total: number): GuardResult {
  const guard = "duplicates";
  const share = total > 0 ? found.count / total : 0;
  const percent = `${Math.round(share * 1000) / 10} %`;
  if (share <= duplicateShare) return { guard, ok: true, message: `${plural(found.count, "row repeats", "rows repeat")} another's text (${percent}).`, rows: found.rows };
  return { guard, ok: false, message: `${plural(found.count, "row repeats", "rows repeat")} another's text (${percent} of all). Add 'dedup: { exact: normalized }' to the recipe.`, rows: found.rows };
}
