import { TillageError } from "../../protocol/errors";
import type { Diagnostic } from "../../protocol/corpus";

/** A diagnostic with its 1-based line. */
export interface RecipeProblem extends Diagnostic {
  line: number;
}

/** 1-based line of an offset. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let i = text.indexOf("\n"); i >= 0 && i < offset; i = text.indexOf("\n", i + 1)) line++;
  return line;
}

/** The first error of a recipe as a TillageError that names file and line, and how many more there are. */
export function recipeError(problems: readonly RecipeProblem[], file: string): TillageError {
  const errors = problems.filter((problem) => problem.severity === "error");
  const first = errors[0];
  if (!first) return TillageError.internal("no_recipe_error", "A recipe was refused without a reason.");
  const more = errors.length > 1 ? ` ${errors.length - 1} more ${errors.length === 2 ? "problem" : "problems"} in this file.` : "";
  const fix = first.fixes[0];
  return TillageError.user(first.code, first.message + more, fix ? `${fix.title}.` : "Mend this line of the recipe.", { file, line: first.line });
}
