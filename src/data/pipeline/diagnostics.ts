import path from "node:path";
import { plural } from "../../core/format";
import { readingText } from "../../core/dataset";
import { addStep, parseRecipe, setReading, stepRanges, type Recipe } from "../../core/recipe";
import type { Diagnostic, RecipeCounts, ShapeGuess } from "../../protocol/corpus";
import type { TillageError } from "../../protocol/errors";
import { findTokenizer } from "../build/hash";
import type { Session } from "../duckdb/session";
import { UnknownShape } from "../sources/shape";
import type { Stage } from "./pipeline";

/** The recipe of a text, and what is wrong with it. */
export function recipeDiagnostics(text: string, file: string): { recipe?: Recipe; diagnostics: Diagnostic[] } {
  const { recipe, problems } = parseRecipe(text, file);
  return { recipe, diagnostics: problems.map(({ severity, message, start, end, code, fixes }) => ({ severity, message, start, end, code, fixes })) };
}

/** 0-based offsets of a 1-based line's content. */
function lineSpan(text: string, line: number): { start: number; end: number } {
  let start = 0;
  for (let i = 1; i < line; i++) start = text.indexOf("\n", start) + 1;
  const eol = text.indexOf("\n", start);
  const end = eol < 0 ? text.length : eol;
  return { start: start + (/^\s*/.exec(text.slice(start, end))?.[0].length ?? 0), end };
}

/** An error of the sources or of a step, at its place in the recipe. */
export function faultDiagnostic(error: TillageError, text: string, recipe: Recipe, recipePath: string): Diagnostic {
  const { message, remedy, code, file, line } = error.problem;
  const inRecipe = file === recipePath && line !== undefined && line !== null;
  const source = recipe.sources.find((candidate) => candidate.files.some((pattern) => file !== undefined && file !== null && path.resolve(path.dirname(recipePath), pattern) === file)) ?? recipe.sources[0];
  const span = inRecipe ? lineSpan(text, line) : { start: source?.start ?? 0, end: source?.end ?? 0 };
  const where = !inRecipe && line ? ` (line ${line})` : "";
  return { severity: "error", message: `${message}${where} ${remedy}`, ...span, code, fixes: error instanceof UnknownShape && inRecipe ? readingFixes(text, recipe.sources.find((candidate) => candidate.line === line)?.name, error.guesses) : [] };
}

/** The fixes that say in the recipe how a source is read. */
function readingFixes(text: string, source: string | undefined, guesses: readonly ShapeGuess[]): Diagnostic["fixes"] {
  if (source === undefined) return [];
  return guesses.map((guess) => ({ title: `Read it as ${readingText(guess)}`, ...editOf(text, setReading(text, source, guess)) }));
}

/** The least replacement that turns one text into another. */
function editOf(before: string, after: string): { newText: string; start: number; end: number } {
  let start = 0;
  while (start < before.length && before[start] === after[start]) start++;
  let tail = 0;
  while (tail < before.length - start && tail < after.length - start && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail++;
  return { newText: after.slice(start, after.length - tail), start, end: before.length - tail };
}

function fix(text: string, title: string, step: string): Diagnostic["fixes"][number] {
  return { title, ...editOf(text, addStep(text, step)) };
}

const number = (value: number): string => value.toLocaleString("en-US");

/** What the data themselves say: broken rows, personal data, duplicates, steps that drop nearly all. */
export async function dataDiagnostics(session: Session, text: string, recipe: Recipe, recipePath: string, counts: RecipeCounts, last: Stage): Promise<Diagnostic[]> {
  const found: Diagnostic[] = [];
  const steps = text.search(/^steps\s*:/m);
  const top = steps < 0 ? { start: 0, end: Math.max(0, text.indexOf("\n")) } : { start: steps, end: steps + "steps".length };
  for (const source of counts.sources) {
    const spec = recipe.sources.find((candidate) => candidate.name === source.name);
    const { reading } = source;
    if (spec && reading?.confidence === "unsure") {
      const { alternatives } = reading;
      const others = alternatives.length > 0 ? ` It may be ${alternatives.map(readingText).join(" or ")} as well.` : "";
      const message = `'${source.name}' is read as ${readingText(reading)}, which is not sure: ${reading.reason}.${others}`;
      found.push({ severity: alternatives.length > 0 ? "warning" : "information", message, start: spec.start, end: spec.end, code: "unsure_shape", fixes: readingFixes(text, source.name, [reading, ...alternatives]) });
    }
    const first = source.bad[0];
    if (source.badRows === 0 || !first || !spec) continue;
    const message = `${number(source.badRows)} ${source.badRows === 1 ? "row" : "rows"} of '${source.name}' cannot be read and ${source.badRows === 1 ? "is" : "are"} kept out. The first: ${path.basename(first.file)}, line ${first.line}: ${first.reason}.`;
    found.push({ severity: "warning", message, start: spec.start, end: spec.end, code: "bad_rows", fixes: [] });
  }
  for (const step of counts.steps) {
    const range = stepRanges(text)[step.index];
    if (!range || step.in < 10 || step.out > step.in * 0.1) continue;
    found.push({ severity: "warning", message: `'${step.step}' drops ${number(step.in - step.out)} of ${plural(step.in, "row")}.`, start: range.start, end: range.end, code: "drops_most", fixes: [] });
  }
  if (!recipe.steps.some((step) => step.key === "pii")) {
    const kinds = await session.rows<{ kind: string; rows: number }>(`SELECT kind, count(*) AS rows FROM (SELECT unnest(list_distinct(list_transform(till_pii(text), lambda f: f.kind))) AS kind FROM ${last.view}) GROUP BY kind ORDER BY rows DESC, kind`);
    if (kinds.length > 0) {
      const list = kinds.map((entry) => entry.kind).join(", ");
      const message = `Rows contain personal data: ${kinds.map((entry) => `${entry.kind} ${number(entry.rows)}`).join(", ")}.`;
      const fixes = (["redact", "drop"] as const).map((action) => fix(text, action === "redact" ? "Redact" : "Drop", `pii: { action: ${action}, kinds: [${list}] }`));
      found.push({ severity: "information", message, ...top, code: "pii", fixes });
    }
  }
  if (!recipe.steps.some((step) => step.key === "dedup")) {
    const { n } = await session.one<{ n: number }>(`SELECT count(*) - count(DISTINCT md5(till_normalize(text))) AS n FROM ${last.view}`);
    if (n > 0) found.push({ severity: "information", message: `${number(n)} ${n === 1 ? "row repeats" : "rows repeat"} another's text.`, ...top, code: "duplicates", fixes: [fix(text, "Drop exact duplicates", "dedup: { exact: normalized }")] });
  }
  if (recipe.mix.tokenizer !== undefined && findTokenizer(recipe, recipePath) === undefined) {
    const at = Math.max(0, text.indexOf(recipe.mix.tokenizer, Math.max(0, text.search(/^mix\s*:/m))));
    found.push({ severity: "information", message: `There is no tokenizer at ${recipe.mix.tokenizer} yet: tokens are estimated at 1.3 a word.`, start: at, end: at + recipe.mix.tokenizer.length, code: "no_tokenizer", fixes: [] });
  }
  return found;
}
