import type { Clause, Column, Query } from "../../src/protocol/corpus";
import { formatCount } from "../shared/format";

/** Inclusive at both ends; null is open. */
export interface Range {
  min: number | null;
  max: number | null;
}

export interface Search {
  text: string;
  mode: "literal" | "regex" | "sql";
  caseSensitive: boolean;
}

/** What a person has chosen to see: the one state behind grid, facets, histograms and search. */
export interface ViewState {
  ranges: Readonly<Record<string, Range>>;
  values: Readonly<Record<string, readonly (string | null)[]>>;
  search: Search;
  sort?: { column: string; descending: boolean };
}

export type ViewAction =
  | { kind: "brush"; column: string; range: Range | null }
  | { kind: "toggle"; column: string; value: string | null }
  | { kind: "clear-column"; column: string }
  | { kind: "search"; search: Search }
  | { kind: "sort"; column: string }
  | { kind: "clear" };

export const initialView: ViewState = { ranges: {}, values: {}, search: { text: "", mode: "literal", caseSensitive: false } };

export function reduceView(state: ViewState, action: ViewAction): ViewState {
  switch (action.kind) {
    case "brush": {
      const open = !action.range || (action.range.min === null && action.range.max === null);
      return { ...state, ranges: open ? without(state.ranges, action.column) : { ...state.ranges, [action.column]: action.range as Range } };
    }
    case "toggle": {
      const now = state.values[action.column] ?? [];
      const next = now.includes(action.value) ? now.filter((value) => value !== action.value) : [...now, action.value];
      return { ...state, values: next.length === 0 ? without(state.values, action.column) : { ...state.values, [action.column]: next } };
    }
    case "clear-column":
      return { ...state, ranges: without(state.ranges, action.column), values: without(state.values, action.column) };
    case "search":
      return { ...state, search: action.search };
    case "sort":
      return { ...state, sort: nextSort(state.sort, action.column) };
    case "clear":
      // The sort stays: it hides no row.
      return { ...initialView, search: { ...state.search, text: "" }, sort: state.sort };
  }
}

/** Ascending, then descending, then the file's own order. */
function nextSort(sort: ViewState["sort"], column: string): ViewState["sort"] {
  if (sort?.column !== column) return { column, descending: false };
  return sort.descending ? undefined : { column, descending: true };
}

export function toQuery(state: ViewState): Query {
  const clauses: Clause[] = [];
  for (const [column, range] of Object.entries(state.ranges)) clauses.push({ kind: "range", column, ...range });
  for (const [column, values] of Object.entries(state.values)) clauses.push({ kind: "in", column, values: [...values] });
  const text = state.search.text;
  if (text.trim() !== "") {
    clauses.push(
      state.search.mode === "sql"
        ? { kind: "sql", predicate: text.trim() }
        : { kind: "search", text, mode: state.search.mode, caseSensitive: state.search.caseSensitive },
    );
  }
  return state.sort ? { clauses, sort: state.sort } : { clauses };
}

export function isFiltered(state: ViewState): boolean {
  return Object.keys(state.ranges).length > 0 || Object.keys(state.values).length > 0 || state.search.text.trim() !== "";
}

/** A column that the file lost since the state was saved must not make every query fail. */
export function keepKnownColumns(state: ViewState, columns: readonly Column[]): ViewState {
  const known = new Set(columns.map((column) => column.name));
  const filter = <T>(map: Readonly<Record<string, T>>): Record<string, T> =>
    Object.fromEntries(Object.entries(map).filter(([column]) => known.has(column)));
  const sort = state.sort && known.has(state.sort.column) ? state.sort : undefined;
  return { ...state, ranges: filter(state.ranges), values: filter(state.values), sort };
}

/** One active condition, in words, with the action that takes it away. */
export interface Chip {
  label: string;
  remove: ViewAction;
}

export function chips(state: ViewState): Chip[] {
  const list: Chip[] = [];
  for (const [column, { min, max }] of Object.entries(state.ranges)) {
    const label = min === null ? `${column} ≤ ${plainNumber(max)}` : max === null ? `${column} ≥ ${plainNumber(min)}` : `${column} ${plainNumber(min)} – ${plainNumber(max)}`;
    list.push({ label, remove: { kind: "clear-column", column } });
  }
  for (const [column, values] of Object.entries(state.values)) {
    const shown = values.slice(0, 3).map((value) => value ?? "(none)").join(", ");
    list.push({ label: `${column}: ${shown}${values.length > 3 ? ` and ${values.length - 3} more` : ""}`, remove: { kind: "clear-column", column } });
  }
  const { text, mode } = state.search;
  if (text.trim() !== "") {
    const label = mode === "sql" ? `SQL ${text.trim()}` : mode === "regex" ? `/${text}/` : `“${text}”`;
    list.push({ label, remove: { kind: "search", search: { ...state.search, text: "" } } });
  }
  return list;
}

/** A number as it is in the data: grouped where whole, at most four decimals otherwise. */
export function plainNumber(value: number | null): string {
  if (value === null) return "";
  if (Number.isInteger(value)) return formatCount(value);
  return (Math.abs(value) < 0.001 ? value.toPrecision(2) : value.toFixed(Math.abs(value) >= 100 ? 1 : 4).replace(/0+$/, "").replace(/\.$/, "")).replace("-", "−");
}

function without<T>(map: Readonly<Record<string, T>>, key: string): Record<string, T> {
  return Object.fromEntries(Object.entries(map).filter(([name]) => name !== key));
}
