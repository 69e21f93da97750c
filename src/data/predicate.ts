import { nearest } from "../core/recipe";
import { TillageError } from "../protocol/errors";
import { isCancelled } from "./duckdb/failure";
import type { Session } from "./duckdb/session";
import { ident } from "./duckdb/sql";

/** Where a predicate stands, for the error's place: a recipe's step, or nowhere (typed into a panel). */
export interface PredicatePlace {
  file?: string;
  line?: number;
}

const prefix = "SELECT 1 FROM t WHERE (\n";

interface Parsed {
  error: boolean;
  error_message?: string;
  position?: string;
  statements?: { node?: { type?: string; where_clause?: unknown; group_expressions?: unknown[]; having?: unknown; qualify?: unknown; modifiers?: unknown[]; from_table?: { type?: string; table_name?: string } } }[];
}

/** Refuses what is not one SQL expression: syntax errors with their position, and text that closes the parenthesis around it. */
export async function checkPredicate(session: Session, predicate: string, place: PredicatePlace = {}): Promise<void> {
  const { ast } = await session.one<{ ast: string }>("SELECT json_serialize_sql(?::VARCHAR)::VARCHAR AS ast", [`${prefix}${predicate}\n)`]);
  const parsed = JSON.parse(ast) as Parsed;
  if (parsed.error) {
    const offset = parsed.position === undefined ? undefined : Math.min(Math.max(Number(parsed.position) - prefix.length, 0), predicate.length);
    const at = offset === undefined ? "" : ` at character ${offset + 1}${offset < predicate.length ? `, near '${predicate.slice(offset).split(/\s/)[0] ?? ""}'` : " (its end)"}`;
    throw TillageError.user("sql_syntax", `The SQL predicate has a syntax error${at}: ${parsed.error_message ?? "it cannot be read"}.`, "Write one SQL expression that is true for the rows to keep, such as length(text) > 200.", place);
  }
  refuseFunctions(parsed, place);
  // What closes the parenthesis around it and opens another one parses with it, but not without.
  const bare = await session.one<{ ast: string }>("SELECT json_serialize_sql(?::VARCHAR)::VARCHAR AS ast", [`SELECT 1 FROM t WHERE\n${predicate}\n`]);
  const node = (JSON.parse(bare.ast) as Parsed).error ? undefined : parsed.statements?.[0]?.node;
  const single = parsed.statements?.length === 1 && node?.type === "SELECT_NODE" && node.where_clause && !node.group_expressions?.length && !node.having && !node.qualify && !node.modifiers?.length && node.from_table?.table_name === "t";
  if (!single) throw TillageError.user("sql_syntax", "The SQL predicate is more than one expression.", "Write one SQL expression that is true for the rows to keep, such as length(text) > 200.", place);
}

/** Functions that a predicate's subquery may take rows from: the others reach files, settings, or SQL that stands in a text. */
const rowFunctions = new Set(["unnest", "range", "generate_series"]);

/** DuckDB's own lock keeps files from its readers, but not from our `till_tokens`, which opens the path that it is given. */
function refuseFunctions(node: unknown, place: PredicatePlace): void {
  if (typeof node !== "object" || node === null) return;
  if ("type" in node && node.type === "TABLE_FUNCTION" && "function" in node) {
    const called = node.function;
    const name = typeof called === "object" && called !== null && "function_name" in called ? String(called.function_name).toLowerCase() : "";
    if (!rowFunctions.has(name)) throw noFiles(name, place);
  }
  if ("function_name" in node && String(node.function_name).toLowerCase() === "till_tokens") throw noFiles("till_tokens", place);
  for (const child of Object.values(node)) refuseFunctions(child, place);
}

function noFiles(name: string, place: PredicatePlace): TillageError {
  return TillageError.user("sql_no_files", `The SQL predicate calls ${name}, which reads a file or SQL from elsewhere; predicates see only the rows' own columns.`, "Use the rows' columns; add a file as a source of the recipe instead.", place);
}

function userError(error: unknown, columns: readonly string[], place: PredicatePlace): unknown {
  if (isCancelled(error) || !(error instanceof TillageError) || error.problem.code !== "duckdb") return error;
  const message = error.message.replace(/^DuckDB refused a query: /, "");
  const column = /Referenced column "([^"]+)" not found|column "([^"]+)" does not exist|table named "([^"]+)"/i.exec(message);
  const name = column?.[1] ?? column?.[2];
  if (name !== undefined) {
    const near = nearest(name, columns);
    return TillageError.user("unknown_column", `There is no column '${name}'.${near ? ` Did you mean '${near}'?` : ""}`, `The columns are ${columns.join(", ")}.`, place);
  }
  if (/Permission Error/.test(message)) return TillageError.user("sql_no_files", "The SQL predicate reads a file; predicates see only the rows' own columns.", "Add the file as a source of a recipe instead.", place);
  const meant = /Did you mean "([^"]+)"/.exec(message)?.[1];
  const first = (message.split("\n")[0] ?? message).trim() + (meant === undefined ? "" : ` Did you mean '${meant}'?`);
  return TillageError.user("sql_error", `The SQL predicate cannot be evaluated: ${first}`, "Mend the expression; try_cast gives NULL where a value cannot be converted.", place);
}

/** Checks a predicate against the columns of a view without running it; throws user errors. */
export async function bindPredicate(session: Session, predicate: string, view: string, place: PredicatePlace = {}): Promise<void> {
  await checkPredicate(session, predicate, place);
  const columns = (await session.rows<{ column_name: string }>(`DESCRIBE ${view}`)).map((row) => row.column_name);
  const visible = columns.filter((name) => !["_n", "_shape", "_tillage_pos", "_tillage_row", "_row_id", "_file", "_file_row"].includes(name));
  try {
    await session.run(`EXPLAIN SELECT (\n${predicate}\n)::BOOLEAN FROM ${ident(view)}`);
  } catch (error) {
    throw userError(error, visible, place);
  }
}

/** Runs a query with a checked predicate in it; what still fails (a conversion, say) is the predicate's fault. */
export async function runPredicate<T>(place: PredicatePlace, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw userError(error, [], place);
  }
}
