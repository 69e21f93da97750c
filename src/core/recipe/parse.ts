import { isMap, isScalar, LineCounter, parseDocument, type Document } from "yaml";
import { z } from "zod";
import { toProblems } from "./issues";
import { keyOf, keySpan, spanAt, stepNodes, type Span } from "./locate";
import { nearest } from "./nearest";
import { lineAt, type RecipeProblem } from "./problem";
import { mixSchema, recipeSchema, splitSchema } from "./schema";
import { stepDefinitions, stepKeys, type StepConfig } from "../steps";
import type { Recipe, RecipeStep, SourceSpec } from "./types";

export interface ParsedRecipe {
  /** There when no problem is an error. */
  recipe?: Recipe;
  problems: RecipeProblem[];
}

const onlySchema = z.union([z.array(z.string()).min(1), z.string().transform((name) => [name])], { error: "should be a list of sources" });

/** The YAML document with the places of its nodes; duplicate keys and syntax errors are in `errors`. */
export function recipeDocument(text: string): Document {
  return parseDocument(text, { lineCounter: new LineCounter(), prettyErrors: false, merge: true });
}

/** Reads a recipe's text. Every problem names its line and its place in the text. `file` is only for messages. */
export function parseRecipe(text: string, file?: string): ParsedRecipe {
  void file;
  const document = recipeDocument(text);
  const at = (severity: RecipeProblem["severity"], code: string, message: string, span: Span, fixes: RecipeProblem["fixes"] = []): RecipeProblem => ({ severity, code, message, ...span, fixes, line: lineAt(text, span.start) });
  if (document.errors.length > 0) {
    return { problems: document.errors.map((error) => at("error", "yaml_syntax", `This is not valid YAML: ${error.message.split("\n")[0]?.replace(/\.?$/, ".")}`, { start: Math.min(error.pos[0], text.length), end: Math.min(error.pos[1], text.length) })) };
  }
  if (!isMap(document.contents)) {
    return { problems: [at("error", "empty_recipe", "The recipe is empty: it needs at least 'tillage: 1' and 'sources'.", { start: 0, end: text.length })] };
  }
  const checked = recipeSchema.safeParse(document.toJS());
  const problems = checked.success ? [] : toProblems(text, document, checked.error.issues);

  const sources = isMap(document.get("sources")) ? Object.keys((document.toJS() as { sources: object }).sources) : [];
  const steps: RecipeStep[] = [];
  for (const [index, { span }] of stepNodes(document).entries()) {
    const step = parseStep(text, document, index, span, sources, problems);
    if (step) steps.push(step);
  }
  if (!checked.success || problems.some((problem) => problem.severity === "error")) return { problems: problems.sort((a, b) => a.start - b.start) };

  const value = checked.data;
  const mix = value.mix ?? mixSchema.parse({});
  const recipe: Recipe = {
    sources: Object.entries(value.sources).map(([name, source]): SourceSpec => {
      const where = keySpan(document, ["sources"], name);
      return { name, ...source, ...where, line: lineAt(text, where.start) };
    }),
    steps,
    mix: { budget: mix.budget, tokenizer: mix.tokenizer, shares: mix.shares, by: mix.by, maxEpochs: mix.max_epochs, ...(mix.synthetic ? { synthetic: syntheticOf(mix.synthetic) } : {}) },
    curriculum: value.curriculum ?? { order: "shuffle" },
    split: value.split ?? splitSchema.parse({}),
    seed: value.seed,
  };
  problems.push(...checkShares(recipe, document, at));
  return { recipe: problems.some((problem) => problem.severity === "error") ? undefined : recipe, problems };
}

function parseStep(text: string, document: Document, index: number, span: Span, sources: readonly string[], problems: RecipeProblem[]): RecipeStep | undefined {
  const node = stepNodes(document)[index]?.node;
  const push = (code: string, message: string, where: Span, fixes: RecipeProblem["fixes"] = []) => problems.push({ severity: "error", code, message, ...where, fixes, line: lineAt(text, where.start) });
  if (!isMap(node)) {
    push("invalid_step", `Step ${index + 1} should be one of ${stepKeys.join(", ")}, such as '- dedup: { exact: normalized }'.`, span.end > span.start ? span : spanAt(document, ["steps", index]));
    return undefined;
  }
  const keys = node.items.map(keyOf);
  for (const key of keys) {
    if (key === "only" || stepKeys.includes(key as never)) continue;
    const near = nearest(key, [...stepKeys, "only"]);
    const where = keySpan(document, ["steps", index], key);
    push("unknown_key", `Unknown step '${key}'.` + (near ? ` Did you mean '${near}'?` : ` Known are ${stepKeys.join(", ")}.`), where, near ? [{ title: `Change '${key}' to '${near}'`, newText: near, ...where }] : []);
    return undefined;
  }
  const stepsHere = keys.filter((key) => key !== "only");
  if (stepsHere.length !== 1) {
    push("invalid_step", stepsHere.length === 0 ? `Step ${index + 1} has no step beside 'only'.` : `Step ${index + 1} has ${stepsHere.join(" and ")}: write a dash before each.`, span);
    return undefined;
  }
  const key = stepsHere[0] ?? "";
  const definition = stepDefinitions[key];
  const value = node.toJS(document) as Record<string, unknown>;
  const only = value.only === undefined ? undefined : onlySchema.safeParse(value.only);
  if (only && !only.success) toProblems(text, document, only.error.issues, ["steps", index, "only"]).forEach((problem) => problems.push(problem));
  for (const name of only?.success ? only.data : []) {
    if (sources.includes(name)) continue;
    const near = nearest(name, sources);
    push("unknown_source", `'only' names '${name}', which is no source of this recipe.${near ? ` Did you mean '${near}'?` : ` Known are ${sources.join(", ")}.`}`, spanAt(document, ["steps", index, "only"]));
  }
  const config = definition?.schema.safeParse(value[key] ?? (isScalar(node.get(key, true)) ? value[key] : undefined));
  if (!definition || !config) return undefined;
  if (!config.success) {
    toProblems(text, document, config.error.issues, ["steps", index, key]).forEach((problem) => problems.push(problem));
    return undefined;
  }
  const typed = { key, config: config.data } as StepConfig;
  return { ...typed, index, title: definition.title(config.data), only: only?.success ? only.data : undefined, start: span.start, end: span.end, line: lineAt(text, span.start) };
}

function syntheticOf({ column, max_share: maxShare, values }: NonNullable<z.output<typeof mixSchema>["synthetic"]>): NonNullable<Recipe["mix"]["synthetic"]> {
  return { column, maxShare, ...(values ? { values } : {}) };
}

type At = (severity: RecipeProblem["severity"], code: string, message: string, span: Span) => RecipeProblem;

function checkShares(recipe: Recipe, document: Document, at: At): RecipeProblem[] {
  const problems: RecipeProblem[] = [];
  const names = Object.keys(recipe.mix.shares);
  const sum = Object.values(recipe.mix.shares).reduce((total, share) => total + share, 0);
  const percent = Math.round(sum * 1000) / 10;
  const span = spanAt(document, ["mix", "shares"]);
  if (names.length > 0 && sum === 0) problems.push(at("error", "shares", "The shares are all 0%: at least one group should be above it.", span));
  else if (sum > 1 + 1e-6) problems.push(at("error", "shares", `The shares add up to ${percent}%: they should be 100% at most.`, span));
  if (recipe.mix.by !== "source") return problems;
  const sources = recipe.sources.map((source) => source.name);
  for (const name of names) {
    if (sources.includes(name)) continue;
    const near = nearest(name, sources);
    problems.push(at("error", "unknown_source", `'${name}' in 'shares' is no source of this recipe.${near ? ` Did you mean '${near}'?` : ""}`, keySpan(document, ["mix", "shares"], name)));
  }
  if (sum < 1 - 1e-6 && sum > 0 && sources.every((name) => names.includes(name))) {
    problems.push(at("warning", "shares", `The shares add up to ${percent}%: they are scaled to 100%.`, span));
  }
  return problems;
}
