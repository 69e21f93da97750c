import { describe, expect, it } from "vitest";
import { Rows, type Part } from "./rows";

const part = (rows: number, name: string): Part => ({ file: name, rowsFile: `/d/${name}`, parquet: true, rows, columns: [{ name: "text", type: "VARCHAR" }] });
const files = (sql: string): string[] => [...sql.matchAll(/\/d\/(\w)/g)].map((match) => match[1] ?? "");
const rows = new Rows([part(10, "a"), part(0, "b"), part(5, "c"), part(100, "d")], [{ name: "text", type: "VARCHAR" }, { name: "score", type: "BIGINT" }]);

describe("rows by their position over several files", () => {
  it("reads only the files that a stretch touches, and of those only its rows", () => {
    expect(rows.count).toBe(115);
    expect(files(rows.range(0, 10))).toEqual(["a"]);
    expect(rows.range(0, 10)).not.toContain("WHERE");
    expect(files(rows.range(9, 12))).toEqual(["a", "c"]);
    expect(rows.range(9, 12)).toContain("BETWEEN 9 AND 9");
    expect(rows.range(9, 12)).toContain("BETWEEN 0 AND 1");
    expect(files(rows.range(15, 115))).toEqual(["d"]);
    expect(rows.range(50, 50)).toContain("WHERE false");
  });

  it("finds scattered positions in their files", () => {
    const sql = rows.at([114, 3, 12, 15]);
    expect(files(sql)).toEqual(["d", "a", "c"]);
    expect(sql).toContain("IN (99, 0)");
    expect(sql).toContain("file_row_number + 15 AS _tillage_pos");
  });

  it("ends a stretch before it has too many rows or files", () => {
    expect(rows.end(0, 50)).toBe(50);
    expect(rows.end(100, 50)).toBe(115);
    expect(rows.end(0, 50, 2)).toBe(10);
    expect(rows.end(12, 5, 1)).toBe(15);
  });

  it("gives NULL for a column that a file has not", () => {
    expect(rows.range(0, 1)).toContain('NULL::BIGINT AS "score"');
  });
});
