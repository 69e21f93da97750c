/** Graders: does an answer hold the facts? Pure. */
import type { Grader } from "./schema";
import type { Verdict } from "./result";

/** Lower case, NFKC, white space folded, thousands separators dropped: how texts are compared by `contains` and `lacks`. */
export function fold(text: string): string {
  return text.normalize("NFKC").toLowerCase().replace(/(\d),(?=\d{3}\b)/g, "$1").replace(/\s+/g, " ").trim();
}

/** Whole words only at both ends, so that "60" is not found in "1,060". */
function includesFact(answer: string, fact: string): boolean {
  const haystack = fold(answer);
  const needle = fold(fact);
  for (let at = haystack.indexOf(needle); at >= 0; at = haystack.indexOf(needle, at + 1)) {
    const before = haystack[at - 1] ?? " ";
    const after = haystack[at + needle.length] ?? " ";
    if (!/[\p{L}\p{N}]/u.test(before) && !/[\p{L}\p{N}]/u.test(after)) return true;
  }
  return false;
}

/** Grades one answer; it passes when every condition holds. */
export function grade(answer: string, grader: Grader): Verdict {
  const checks: Verdict["checks"] = [];
  for (const fact of grader.contains ?? []) checks.push({ check: `contains "${fact}"`, pass: includesFact(answer, fact) });
  for (const fact of grader.lacks ?? []) checks.push({ check: `lacks "${fact}"`, pass: !includesFact(answer, fact) });
  if (grader.exact !== undefined) checks.push({ check: `is "${grader.exact}"`, pass: answer.trim() === grader.exact.trim() });
  if (grader.regex !== undefined) checks.push({ check: `matches /${grader.regex}/`, pass: new RegExp(grader.regex, "iu").test(answer) });
  return { pass: checks.every((check) => check.pass), checks };
}
