import type { RawColumn } from "../sources/read";
import { ident, literal, parquet } from "../duckdb/sql";

/** A file of a corpus in the form in which it is read. */
export interface Part {
  /** The file as a person knows it. */
  file: string;
  /** The Parquet file that holds its good rows: itself, or its copy in the cache with `_tillage_row`. */
  rowsFile: string;
  parquet: boolean;
  rows: number;
  columns: readonly RawColumn[];
}

/** The name of each row's file, where there are several. */
export const fileColumn = "file";

/** The rows of a corpus by their position: 0-based, over all of its files. Each position is in one row group of one file, which is all that is read for it. */
export class Rows {
  readonly count: number;
  private readonly starts: number[] = [];

  /** @param names what the column of files says of each, where it is there */
  constructor(
    readonly parts: readonly Part[],
    readonly columns: readonly RawColumn[],
    private readonly names?: readonly string[],
  ) {
    let start = 0;
    for (const part of parts) {
      this.starts.push(start);
      start += part.rows;
    }
    this.count = start;
  }

  /** The number of the file that a position is in. */
  private partAt(position: number): number {
    let [low, high] = [0, this.starts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.starts[middle] ?? 0) <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Where a stretch from `from` on may end so that it has at most `rows` rows and `files` files. */
  end(from: number, rows: number, files = 64): number {
    const last = this.parts[this.partAt(from) + files];
    const limit = last === undefined ? this.count : (this.starts[this.parts.indexOf(last)] ?? this.count);
    return Math.min(from + rows, limit, this.count);
  }

  /** The rows from `from` to `to` (exclusive) as a query of `_tillage_pos`, `_tillage_row` and the columns. */
  range(from: number, to: number): string {
    const pieces: string[] = [];
    for (let index = this.partAt(from); index < this.parts.length && (this.starts[index] ?? 0) < to; index++) {
      const { start, rows } = { start: this.starts[index] ?? 0, rows: this.parts[index]?.rows ?? 0 };
      const [low, high] = [Math.max(from - start, 0), Math.min(to - start, rows)];
      if (high > low) pieces.push(this.piece(index, low === 0 && high === rows ? undefined : `file_row_number BETWEEN ${low} AND ${high - 1}`));
    }
    return pieces.length > 0 ? pieces.join(" UNION ALL ") : this.piece(0, "false");
  }

  /** The rows at these positions, in any order. */
  at(positions: readonly number[]): string {
    const byPart = new Map<number, number[]>();
    for (const position of positions) {
      const index = this.partAt(position);
      const own = position - (this.starts[index] ?? 0);
      const list = byPart.get(index);
      if (list) list.push(own);
      else byPart.set(index, [own]);
    }
    const pieces = [...byPart].map(([index, own]) => this.piece(index, at("file_row_number", own)));
    return pieces.length > 0 ? pieces.join(" UNION ALL ") : this.piece(0, "false");
  }

  private piece(index: number, where: string | undefined): string {
    const part = this.parts[index];
    if (!part) throw new Error(`There is no file ${index}.`);
    const start = this.starts[index] ?? 0;
    const types = new Map(part.columns.map((column) => [column.name, column.type]));
    const columns = this.columns.map(({ name, type }) => {
      const own = types.get(name);
      if (own === undefined) return `NULL::${type} AS ${ident(name)}`;
      const value = type === "JSON" ? `to_json(${ident(name)})` : own === type ? ident(name) : `${ident(name)}::${type}`;
      return value === ident(name) ? value : `${value} AS ${ident(name)}`;
    });
    const position = start === 0 ? "file_row_number" : `file_row_number + ${start}`;
    // Of several files a row's own line says nothing without its file: there its position is its number.
    const row = this.parts.length > 1 ? position : part.parquet ? "file_row_number" : "_tillage_row";
    const name = this.names ? `, ${literal(this.names[index] ?? "")} AS ${fileColumn}` : "";
    return `SELECT ${position} AS _tillage_pos, ${row} AS _tillage_row${[...columns].map((column) => `, ${column}`).join("")}${name} FROM ${parquet([part.rowsFile], "file_row_number = true")}${where === undefined ? "" : ` WHERE ${where}`}`;
  }
}

/** The condition that a column has one of these values; a stretch without gaps is told as such, which is found faster. */
export function at(column: string, values: readonly number[]): string {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return high - low + 1 === values.length ? `${column} BETWEEN ${low} AND ${high}` : `${column} IN (${values.join(", ")})`;
}
