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

/** A path in which DuckDB sees no pattern: in a file's own name `*`, `?` and `[` are characters like others. */
export function plainPath(file: string): string {
  return file.replace(/[*?[\]]/g, "[$&]");
}

/** DuckDB's reading of Parquet files, each by its own name; folders such as `year=2020` above them make no columns. */
export function parquet(files: readonly string[], options = ""): string {
  return `read_parquet(${list(files.map(plainPath))}, hive_partitioning = false${options === "" ? "" : `, ${options}`})`;
}

/** Values for `IN (...)`. */
export function inList(values: readonly string[]): string {
  return `(${values.map(literal).join(", ")})`;
}
