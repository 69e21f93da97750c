import os from "node:os";
import type { Facet, Query } from "../../protocol/corpus";
import type { Session } from "../duckdb/session";
import { basesOf, countBins, type Base } from "./bases";
import { Bits } from "./bits";
import type { Codes } from "./codes";
import type { CorpusFile } from "./corpus-file";
import { conditionSql } from "./filter";
import type { Match } from "./match";

/** Stretches that a sample is taken from, and rows of each. */
const stretches = 10;
const stretchRows = 100;
/** A corpus of so many rows or fewer is its own sample. */
export const sampleRows = stretches * stretchRows;
/** Columns of a sample at most: a table of thousands takes longer than it saves. */
const sampleColumns = 256;

/** A facet's counts as they cross the wire. */
function facetOf(base: Base, selected: readonly number[], scale: number): Facet {
  const times = (rows: number): number => Math.round(rows * scale);
  if (base.kind === "histogram") {
    const { bins } = base;
    const edge = (i: number) => Number((bins.start + i * bins.width).toPrecision(12));
    return { column: base.column, kind: "histogram", min: base.min, max: base.max, nulls: times(base.nulls), bins: base.all.map((all, i) => ({ x0: edge(i), x1: i === bins.count - 1 ? bins.end : edge(i + 1), all: times(all), selected: times(selected[i] ?? 0) })) };
  }
  return { column: base.column, kind: "categories", distinct: base.distinct, values: base.values.map((value, i) => ({ value, all: times(base.all[i] ?? 0), selected: times(selected[i] ?? 0) })) };
}

const concerns = (clause: Query["clauses"][number], column: string): boolean => (clause.kind === "range" || clause.kind === "in") && clause.column === column;

/** The facets of all rows: each counts those that match the clauses on the other columns. `matches` are complete, one a clause. */
export async function exactFacets(codes: Codes, rows: number, clauses: Query["clauses"], matches: readonly Match[]): Promise<Facet[]> {
  if (clauses.length === 0) return codes.bases.map((base) => facetOf(base, base.all, 1));
  const all = both(rows, matches);
  const own = new Map<string, Bits>();
  for (const { column } of codes.bases) {
    if (clauses.some((clause) => concerns(clause, column))) own.set(column, both(rows, matches.filter((_, i) => !concerns(clauses[i] as Query["clauses"][number], column))));
  }
  const counts = await codes.count(all, own);
  return codes.bases.map((base, i) => facetOf(base, counts[i] ?? [], 1));
}

/** The rows that all matches have. */
export function both(rows: number, matches: readonly Match[]): Bits {
  const [first, ...others] = matches;
  if (!first) return Bits.all(rows);
  const bits = first.bits.copy();
  for (const other of others) bits.and(other.bits);
  return bits;
}

/** Facets from rows that are spread evenly over a corpus: all of a small one's, and an estimate for a large one. */
export class Sample {
  private base: Promise<Base[]> | undefined;

  constructor(private readonly file: CorpusFile) {}

  /** Whether it speaks for each row. */
  get whole(): boolean {
    return this.file.rows.count <= sampleRows;
  }

  /** Whether there can be one. */
  get possible(): boolean {
    return this.file.columns.length <= sampleColumns;
  }

  /** Rows that it has. */
  get rows(): number {
    return Math.min(sampleRows, this.file.rows.count);
  }

  async facets(session: Session, query: Query): Promise<Facet[]> {
    this.base ??= this.make(session).catch((error: unknown) => {
      this.base = undefined;
      throw error;
    });
    const scale = this.rows > 0 ? this.file.rows.count / this.rows : 1;
    const facets: Facet[] = [];
    for (const base of await this.base) {
      const others = query.clauses.filter((clause) => !concerns(clause, base.column)).map((clause) => conditionSql(this.file, clause));
      const selected = others.length === 0 ? base.all : await countBins(session, "sample", base, others.map((sql) => `(${sql})`).join(" AND "));
      facets.push(facetOf(base, selected, scale));
    }
    return facets;
  }

  private async make(session: Session): Promise<Base[]> {
    const { count } = this.file.rows;
    const step = count / stretches;
    const starts = this.whole ? [0] : Array.from({ length: stretches }, (_, i) => Math.floor(i * step + (step - stretchRows) * places(i)));
    const { rows } = this.file;
    await session.run(`CREATE OR REPLACE TABLE sampled AS ${rows.range(0, 0)}`);
    await session.run(`CREATE OR REPLACE TABLE sample AS ${this.file.computed(0, 0)}`);
    // Side by side: DuckDB itself reads one stretch after the other, and computes so few rows on one thread.
    await sideBySide(starts, (from) => this.run(session, `INSERT INTO sampled ${rows.range(from, this.whole ? count : from + stretchRows)}`));
    const parts = os.availableParallelism();
    await sideBySide(Array.from({ length: parts }, (_, part) => part), (part) => this.run(session, `INSERT INTO sample ${this.file.withDerived(`SELECT * FROM sampled WHERE _tillage_pos % ${parts} = ${part}`)}`));
    await session.run("DROP TABLE sampled");
    const bases = new Map<string, Base>();
    await sideBySide(this.file.small, (column) =>
      this.file.database.session(session.signal, async (own) => {
        for (const base of await basesOf(own, "sample", [column])) bases.set(column.name, base);
      }),
    );
    return this.file.small.flatMap((column) => bases.get(column.name) ?? []);
  }

  private run(session: Session, sql: string): Promise<void> {
    return this.file.database.session(session.signal, (own) => own.run(sql));
  }
}

/** Where in its part of the corpus a stretch begins, 0 to 1: the same each time, and with no period that rows might have too (multiples of the golden ratio). */
const places = (i: number): number => (i * 0.6180339887498949 + 0.5) % 1;

/** Does something with each of a list, as many at once as there are processors. */
async function sideBySide<T>(list: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  const left = [...list];
  const thread = async () => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) await work(one);
  };
  await Promise.all(Array.from({ length: os.availableParallelism() }, thread));
}
