import { z } from "zod";
import { niceBins, type Bins } from "../../core/dataset";
import type { Column } from "../../protocol/corpus";
import type { Session } from "../duckdb/session";
import { ident, literal } from "../duckdb/sql";

/** Values of a category that are listed; the others are only counted in `distinct`. */
const listedValues = 50;
/** Codes of what has no bin of its own: a value that is not listed, and none. */
export const otherCode = 254;
export const noneCode = 255;

const binsSchema = z.object({ start: z.number(), width: z.number(), count: z.number(), end: z.number() });

/** What of a column's facet does not depend on the query. `all`: rows of each bin or listed value. */
export const baseSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("histogram"), column: z.string(), /** Whether all values are whole numbers. */ integer: z.boolean(), bins: binsSchema, min: z.number(), max: z.number(), nulls: z.number(), all: z.array(z.number()) }),
  z.object({ kind: z.literal("categories"), column: z.string(), values: z.array(z.string().nullable()), distinct: z.number(), all: z.array(z.number()) }),
]);
export type Base = z.infer<typeof baseSchema>;

/** The facets of these columns over a relation; a column without a finite value has none. */
export async function basesOf(session: Session, relation: string, columns: readonly Column[]): Promise<Base[]> {
  const found: Base[] = [];
  for (const column of columns) {
    const base = column.kind === "number" ? await histogram(session, relation, column) : await categories(session, relation, column);
    if (base) found.push(base);
  }
  return found;
}

async function histogram(session: Session, relation: string, column: Column): Promise<Base | undefined> {
  const name = ident(column.name);
  const value = `CASE WHEN isfinite(${name}::DOUBLE) THEN ${name}::DOUBLE END`;
  const range = await session.one<{ low: number | null; high: number | null; most: number | null; nulls: number }>(`SELECT min(${value}) AS low, max(${value}) AS high, quantile_cont(${value}, 0.995) AS most, count(*) - count(${value}) AS nulls FROM ${relation}`);
  if (range.low === null || range.high === null || range.most === null) return undefined;
  const integer = /INT/.test(column.type);
  const bins = niceBins(range.low, range.high, range.most, integer);
  const base: Base = { kind: "histogram", column: column.name, integer, bins, min: range.low, max: range.high, nulls: range.nulls, all: [] };
  return { ...base, all: await countBins(session, relation, base, "true") };
}

async function categories(session: Session, relation: string, column: Column): Promise<Base> {
  const name = `${ident(column.name)}::VARCHAR`;
  const values = await session.rows<{ value: string | null; rows: number }>(`SELECT ${name} AS value, count(*) AS rows FROM ${relation} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ${listedValues}`);
  const { distinct } = await session.one<{ distinct: number }>(`SELECT count(DISTINCT ${name}) + max((${name} IS NULL)::INTEGER) AS "distinct" FROM ${relation}`);
  return { kind: "categories", column: column.name, values: values.map((one) => one.value), distinct, all: values.map((one) => one.rows) };
}

function binOf(column: string, bins: Bins): string {
  return `greatest(0, least(${bins.count - 1}, floor((${column}::DOUBLE - ${bins.start}) / ${bins.width} + 1e-9)))::INTEGER`;
}

/** A row's code as SQL: the number of its bin or of its value in the list. */
export function codeSql(base: Base): string {
  const name = ident(base.column);
  if (base.kind === "histogram") return `(CASE WHEN isfinite(${name}::DOUBLE) THEN ${binOf(name, base.bins)} ELSE ${noneCode} END)::UTINYINT`;
  const none = base.values.indexOf(null);
  const listed = base.values.map((value) => literal(value ?? ""));
  return `(CASE WHEN ${name} IS NULL THEN ${none === -1 ? otherCode : none} ELSE coalesce(list_position([${listed.join(", ")}], ${name}::VARCHAR) - 1, ${otherCode}) END)::UTINYINT`;
}

/** Rows of each bin or listed value among those of a relation that match. */
export async function countBins(session: Session, relation: string, base: Base, where: string): Promise<number[]> {
  const size = base.kind === "histogram" ? base.bins.count : base.values.length;
  const rows = await session.rows<{ code: number; n: number }>(`SELECT ${codeSql(base)} AS code, count(*) AS n FROM ${relation} WHERE (${where}) GROUP BY 1`);
  const counts = new Array<number>(size).fill(0);
  for (const { code, n } of rows) if (code < size) counts[code] = n;
  return counts;
}
