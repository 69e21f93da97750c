import { niceBins, type Bins } from "../../core/dataset";
import type { Column, Facet, Query } from "../../protocol/corpus";
import type { Session } from "../duckdb/session";
import { ident } from "../duckdb/sql";
import type { CorpusFile } from "./corpus-file";
import type { Filters } from "./filter";

/** Values of a category that are listed; the others are only counted in `distinct`. */
const listedValues = 50;

interface HistogramBase {
  kind: "histogram";
  column: string;
  bins: Bins;
  min: number;
  max: number;
  nulls: number;
  all: number[];
}

interface CategoryBase {
  kind: "categories";
  column: string;
  values: { value: string | null; all: number }[];
  distinct: number;
}

type Base = HistogramBase | CategoryBase;

/** The facets of a file: what does not depend on the query is computed once. */
export class Facets {
  private base: Base[] | undefined;

  constructor(
    private readonly file: CorpusFile,
    private readonly filters: Filters,
  ) {}

  async facets(session: Session, query: Query): Promise<Facet[]> {
    this.base ??= await this.bases(session);
    const facets: Facet[] = [];
    for (const base of this.base) facets.push(await this.facet(session, base, query));
    return facets;
  }

  private async bases(session: Session): Promise<Base[]> {
    const bases: Base[] = [];
    for (const column of this.file.small) {
      const base = column.kind === "number" ? await histogram(session, column) : await categories(session, column);
      if (base) bases.push(base);
    }
    return bases;
  }

  /** Each facet counts the rows that match the clauses on the other columns. */
  private async facet(session: Session, base: Base, query: Query): Promise<Facet> {
    const others = query.clauses.filter((clause) => !((clause.kind === "range" || clause.kind === "in") && clause.column === base.column));
    const where = others.length > 0 ? await this.filters.where(session, query, base.column) : undefined;
    const column = `c.${ident(base.column)}`;
    if (base.kind === "histogram") {
      const { bins } = base;
      const selected = where === undefined ? base.all : await binCounts(session, column, bins, where);
      const edge = (i: number) => Number((bins.start + i * bins.width).toPrecision(12));
      return { column: base.column, kind: "histogram", min: base.min, max: base.max, nulls: base.nulls, bins: base.all.map((all, i) => ({ x0: edge(i), x1: i === bins.count - 1 ? bins.end : edge(i + 1), all, selected: selected[i] ?? 0 })) };
    }
    const counted = where === undefined ? undefined : await session.rows<{ value: string | null; n: number }>(`SELECT ${column}::VARCHAR AS value, count(*) AS n FROM cols c WHERE ${where} GROUP BY 1`);
    const selected = counted && new Map(counted.map((row) => [row.value, row.n]));
    return { column: base.column, kind: "categories", distinct: base.distinct, values: base.values.map((entry) => ({ ...entry, selected: selected ? (selected.get(entry.value) ?? 0) : entry.all })) };
  }
}

async function histogram(session: Session, column: Column): Promise<HistogramBase | undefined> {
  const name = `c.${ident(column.name)}`;
  const value = `CASE WHEN isfinite(${name}::DOUBLE) THEN ${name}::DOUBLE END`;
  const range = await session.one<{ low: number | null; high: number | null; most: number | null; nulls: number }>(`SELECT min(${value}) AS low, max(${value}) AS high, quantile_cont(${value}, 0.995) AS most, count(*) - count(${value}) AS nulls FROM cols c`);
  if (range.low === null || range.high === null || range.most === null) return undefined;
  const bins = niceBins(range.low, range.high, range.most, /INT/.test(column.type));
  return { kind: "histogram", column: column.name, bins, min: range.low, max: range.high, nulls: range.nulls, all: await binCounts(session, name, bins, "true") };
}

async function binCounts(session: Session, column: string, bins: Bins, where: string): Promise<number[]> {
  const bin = `greatest(0, least(${bins.count - 1}, floor((${column}::DOUBLE - ${bins.start}) / ${bins.width} + 1e-9)))::INTEGER`;
  const rows = await session.rows<{ bin: number; n: number }>(`SELECT ${bin} AS bin, count(*) AS n FROM cols c WHERE isfinite(${column}::DOUBLE) AND (${where}) GROUP BY 1`);
  const counts = new Array<number>(bins.count).fill(0);
  for (const row of rows) counts[row.bin] = row.n;
  return counts;
}

async function categories(session: Session, column: Column): Promise<CategoryBase> {
  const name = `c.${ident(column.name)}::VARCHAR`;
  const values = await session.rows<{ value: string | null; all: number }>(`SELECT ${name} AS value, count(*) AS "all" FROM cols c GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ${listedValues}`);
  const { distinct } = await session.one<{ distinct: number }>(`SELECT count(DISTINCT ${name}) + max((${name} IS NULL)::INTEGER) AS "distinct" FROM cols c`);
  return { kind: "categories", column: column.name, values, distinct };
}
