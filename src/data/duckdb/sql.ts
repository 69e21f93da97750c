import { list } from "../../core/sql";

export { ident, inList, list, literal } from "../../core/sql";

/** A path in which DuckDB sees no pattern: in a file's own name `*`, `?` and `[` are characters like others. */
export function plainPath(file: string): string {
  return file.replace(/[*?[\]]/g, "[$&]");
}

/** DuckDB's reading of Parquet files, each by its own name; folders such as `year=2020` above them make no columns. */
export function parquet(files: readonly string[], options = ""): string {
  return `read_parquet(${list(files.map(plainPath))}, hive_partitioning = false${options === "" ? "" : `, ${options}`})`;
}
