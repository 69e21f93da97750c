import { rolesOf, type ShapeColumns } from "../../core/dataset";
import type { Clause, Column, Query } from "../../protocol/corpus";
import { TillageError } from "../../protocol/errors";
import { isCancelled } from "../duckdb/failure";
import type { Session } from "../duckdb/session";
import { ident, literal } from "../duckdb/sql";
import { bindPredicate, runPredicate } from "../predicate";
import { keptName } from "../sources/load";
import type { CorpusFile } from "./corpus-file";

/** Results of searches and predicates that are kept. */
const keptMatches = 24;

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

/** Which rows match: SQL over `cols` (as `c`) for each clause; what needs the texts is computed once into a table of positions. */
export class Filters {
  private readonly matches = new Map<string, Promise<string>>();
  private serial = 0;

  constructor(private readonly file: CorpusFile) {}

  /** The condition of all clauses but those on the column that is left out. */
  async where(session: Session, query: Query, without?: string): Promise<string> {
    const parts: string[] = [];
    for (const clause of query.clauses) {
      if (without !== undefined && (clause.kind === "range" || clause.kind === "in") && clause.column === without) continue;
      parts.push(await this.condition(session, clause));
    }
    return parts.length > 0 ? parts.join(" AND ") : "true";
  }

  private async condition(session: Session, clause: Clause): Promise<string> {
    if (clause.kind === "range" || clause.kind === "in") {
      const column = this.file.column(clause.column);
      if (column.kind !== "text" && column.kind !== "nested") return columnSql(clause, `c.${ident(column.name)}`);
    }
    if (clause.kind === "search" && clause.text === "") return "true";
    return `c._tillage_pos IN (SELECT _tillage_pos FROM ${await this.matched(session, clause)})`;
  }

  private async matched(session: Session, clause: Clause): Promise<string> {
    const key = JSON.stringify(clause);
    const known = this.matches.get(key);
    if (known) {
      try {
        return await known;
      } catch (error) {
        // Another call was cancelled while it searched; this one searches itself.
        if (!isCancelled(error)) throw error;
      }
    }
    const work = this.match(session, clause);
    this.matches.set(key, work);
    work.catch(() => this.matches.get(key) === work && this.matches.delete(key));
    for (const oldest of [...this.matches.keys()].slice(0, Math.max(0, this.matches.size - keptMatches))) this.matches.delete(oldest);
    return work;
  }

  private async match(session: Session, clause: Clause): Promise<string> {
    const table = `match_${++this.serial}`;
    const create = (condition: string, from: string) => session.run(`CREATE TABLE ${table} AS SELECT _tillage_pos FROM ${from} WHERE (\n${condition}\n)`);
    if (clause.kind === "search") {
      try {
        await create(searchSql(clause, this.texts()), "file");
      } catch (error) {
        throw searchFault(error, clause.text);
      }
    } else if (clause.kind === "sql") {
      await bindPredicate(session, clause.predicate, "seen");
      await runPredicate({}, () => create(clause.predicate, "seen"));
    } else {
      await create(columnSql(clause, ident(clause.column)), "file");
    }
    return table;
  }

  private texts(): string[] {
    const found = searchedColumns(this.file).map((column) => `${ident(column.name)}::VARCHAR`);
    return found.length > 0 ? found : ["''"];
  }
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
