/** A column or table name as SQL. */
export function ident(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text as an SQL literal. */
export function literal(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

/** A list of texts as an SQL list. */
export function list(values: readonly string[]): string {
  return `[${values.map(literal).join(", ")}]`;
}

/** Values for `IN (...)`. */
export function inList(values: readonly string[]): string {
  return `(${values.map(literal).join(", ")})`;
}
