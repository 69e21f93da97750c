import { rolesOf, type ShapeColumns } from "../../core/dataset";
import type { Clause, Column, Query } from "../../protocol/corpus";
import { TillageError } from "../../protocol/errors";
import { isCancelled } from "../duckdb/failure";
import { ident, literal } from "../duckdb/sql";
import { keptName } from "../sources/load";
import type { CorpusFile } from "./corpus-file";

function plain(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : ident(name);
}

function finite(value: number): string {
  if (Number.isFinite(value)) return String(value);
  throw TillageError.user("invalid_range", `A range cannot end at ${value}.`, "Give a number, or leave the end open.");
}

/** A clause on one column as SQL. */
export function columnSql(clause: Extract<Clause, { kind: "range" | "in" }>, column: string): string {
  if (clause.kind === "range") {
    const { min, max } = clause;
    if (min !== null && max !== null) return `${column} BETWEEN ${finite(min)} AND ${finite(max)}`;
    if (min !== null) return `${column} >= ${finite(min)}`;
    return max !== null ? `${column} <= ${finite(max)}` : `${column} IS NOT NULL`;
  }
  const values = clause.values.filter((value) => value !== null);
  const inside = values.length > 0 ? `${column}::VARCHAR IN (${values.map(literal).join(", ")})` : "false";
  return clause.values.includes(null) ? `(${inside} OR ${column} IS NULL)` : inside;
}

/** The columns that a search looks into: all texts, and nested values as JSON. */
function searchedColumns(file: CorpusFile): Column[] {
  return file.columns.filter((column) => !column.derived && column.kind !== "number" && column.kind !== "boolean");
}

type Own = ShapeColumns | undefined;

function ownColumns(file: CorpusFile): Own {
  return file.imported.detected.own;
}

/** A column under the name that a recipe's `where` knows. */
function recipeColumn({ name, derived }: Column, own: Own): string {
  return plain(derived || (own && Object.values(rolesOf(own)).includes(name)) ? name : keptName(name));
}

/** What a search looks into, as a recipe's `where` knows it: an instruction's input stands in the whole `text` only. */
function searchedInRecipe(file: CorpusFile): string[] {
  const own = ownColumns(file);
  const input = own?.shape === "prompt/completion" ? own.input : undefined;
  const names = searchedColumns(file).map((column) => (column.name === input ? "text" : `${recipeColumn(column, own)}${column.type === "VARCHAR" ? "" : "::VARCHAR"}`));
  return names.length > 0 ? [...new Set(names)] : ["text"];
}

/** A search as SQL over texts. */
function searchSql(clause: Extract<Clause, { kind: "search" }>, texts: readonly string[]): string {
  const call = clause.mode === "regex" ? "till_matches" : "till_contains";
  return texts.map((text) => `coalesce(${call}(${text}, ${literal(clause.text)}, ${clause.caseSensitive}), false)`).join(" OR ");
}

/** What a clause asks of a row, as SQL over its columns. */
export function conditionSql(file: CorpusFile, clause: Clause): string {
  if (clause.kind === "sql") return `(\n${clause.predicate}\n)`;
  if (clause.kind !== "search") return columnSql(clause, ident(file.column(clause.column).name));
  if (clause.text === "") return "true";
  const texts = searchedColumns(file).map((column) => `${ident(column.name)}::VARCHAR`);
  return searchSql(clause, texts.length > 0 ? texts : ["''"]);
}

/** The same error as a person's, where it is theirs. */
export function conditionFault(error: unknown, clause: Clause): unknown {
  return clause.kind === "search" ? searchFault(error, clause.text) : error;
}

function searchFault(error: unknown, pattern: string): unknown {
  if (isCancelled(error) || !(error instanceof TillageError)) return error;
  const reason = /till_matches: ([\s\S]*)/.exec(error.message)?.[1];
  if (reason === undefined) return error;
  return TillageError.user("regex_syntax", `'${pattern}' is not a regular expression: ${reason.trim()}`, "Mend it, or search for the literal text.");
}

/** A predicate as a recipe may have it: Alpaca's input is no column there, and without its name the predicate would mean something else. */
function keptPredicate(file: CorpusFile, predicate: string): string {
  const own = ownColumns(file);
  const input = own && "input" in own ? own.input : undefined;
  if (input !== undefined && new RegExp(`(^|[^\\w'])"?${input}"?(?![\\w'])`, "i").test(predicate)) {
    throw TillageError.user("not_in_recipe", `In a recipe '${input}' is no column of its own: it stands behind the instruction in 'prompt'.`, "Write the condition over prompt or text, then keep it.");
  }
  return predicate.trim();
}

/** A query as one predicate over the file's columns, its whole `text` and the derived columns, as a recipe's `where` knows them. */
export function predicateSql(file: CorpusFile, query: Query): string {
  const parts = query.clauses.map((clause): string => {
    if (clause.kind === "sql") return `(${keptPredicate(file, clause.predicate)})`;
    if (clause.kind !== "search") return columnSql(clause, recipeColumn(file.column(clause.column), ownColumns(file))).replace(/::VARCHAR IN/, file.column(clause.column).type === "VARCHAR" ? " IN" : "::VARCHAR IN");
    if (clause.text === "") return "true";
    const calls = searchedInRecipe(file).map((name) => `till_${clause.mode === "regex" ? "matches" : "contains"}(${name}, ${literal(clause.text)}, ${clause.caseSensitive})`);
    return calls.length > 1 ? `(${calls.join(" OR ")})` : calls.join("");
  });
  return parts.filter((part) => part !== "true").join(" AND ") || "true";
}
