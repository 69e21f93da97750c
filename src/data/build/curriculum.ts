import type { Recipe } from "../../core/recipe";
import { TillageError } from "../../protocol/errors";
import type { Session } from "../duckdb/session";
import { groupColumn } from "./split";

/** The column of `order: perplexity` unless the recipe names another. */
const perplexityColumn = "perplexity";

/**
 * What the training rows are ordered by, before their lots: SQL over the rows as `r` and `weighed` as `w`; nothing where they are shuffled. Rows without a
 * value come last in either direction.
 *
 * @throws `unknown_column`; `not_a_number` where a perplexity is none
 */
export async function curriculumOrder(session: Session, view: string, recipe: Recipe, recipePath: string): Promise<string[]> {
  const { order, by, descending } = recipe.curriculum;
  const ordered = (key: string) => [`${key} ${descending ? "DESC" : "ASC"} NULLS LAST`];
  if (order === "shuffle") return [];
  if (order === "length") return ordered("w.tokens");
  const name = by ?? perplexityColumn;
  const column = `r.${await groupColumn(session, view, name, recipePath, by === undefined ? "curriculum.order" : "curriculum.by")}`;
  if (order === "column") return ordered(column);
  const value = `TRY_CAST(${column}::VARCHAR AS DOUBLE)`;
  const { strange } = await session.one<{ strange: string | null }>(`SELECT any_value(${column}::VARCHAR) FILTER (${value} IS NULL) AS strange FROM ${view} r WHERE ${column} IS NOT NULL`);
  if (strange !== null) {
    throw TillageError.user("not_a_number", `The curriculum is by perplexity, and '${name}' has '${strange.slice(0, 80)}', which is no number.`, "Name a column of numbers under curriculum.by, or order by the column's own values with order: column.", { file: recipePath });
  }
  return ordered(value);
}
