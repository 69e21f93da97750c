import type { Cell, Column } from "../../src/protocol/corpus";
import { formatCount } from "../shared/format";

export const MIN_WIDTH = 48;
const DEFAULT_WIDTH: Record<Column["kind"], number> = { text: 200, number: 84, category: 108, boolean: 76, nested: 200 };

/**
 * Column widths in px: what a person set, else a default by kind; columns of text share the room that is left.
 * @param available width of the view without the column of row numbers
 */
export function columnWidths(columns: readonly Column[], set: Readonly<Record<string, number>>, available: number): number[] {
  const widths = columns.map((column) => Math.max(MIN_WIDTH, set[column.name] ?? Math.max(DEFAULT_WIDTH[column.kind], headingWidth(column))));
  const growing = columns.map((column) => set[column.name] === undefined && (column.kind === "text" || column.kind === "nested") && !column.derived);
  const count = growing.filter(Boolean).length;
  const room = available - widths.reduce((sum, width) => sum + width, 0);
  if (count === 0 || room <= 0) return widths;
  return widths.map((width, index) => (growing[index] ? width + Math.floor(room / count) : width));
}

/** Room for the name, its kind's icon and the sort arrow; long names are cut. */
function headingWidth(column: Column): number {
  return Math.min(column.name.length, 18) * 7 + 44;
}

/** One line for a cell: runs of white space become one space, so that every row shows as much text as fits. */
export function cellText(cell: Cell, kind: Column["kind"]): string {
  if (cell === null) return "";
  if (typeof cell === "boolean") return cell ? "true" : "false";
  if (typeof cell === "number") return kind === "number" ? numberText(cell) : String(cell);
  return cell.replace(/\s+/gu, " ");
}

function numberText(value: number): string {
  if (Number.isInteger(value)) return formatCount(value);
  const size = Math.abs(value);
  const text = size >= 1e15 || size < 1e-4 ? value.toPrecision(3) : value.toFixed(size >= 100 ? 1 : size >= 1 ? 2 : 4);
  return text.replace("-", "−");
}

/** Splits a text at the matches of a literal search: even parts are outside, odd parts are matches. */
export function splitMatches(text: string, needle: string, caseSensitive: boolean): string[] {
  if (needle === "") return [text];
  const hay = caseSensitive ? text : text.toLowerCase();
  const find = caseSensitive ? needle : needle.toLowerCase();
  // Lower-casing may change a text's length (İ); then positions no longer fit, and nothing is marked.
  if (hay.length !== text.length) return [text];
  const parts: string[] = [];
  let from = 0;
  for (let at = hay.indexOf(find); at >= 0; at = hay.indexOf(find, from)) {
    parts.push(text.slice(from, at), text.slice(at, at + find.length));
    from = at + find.length;
  }
  parts.push(text.slice(from));
  return parts;
}
