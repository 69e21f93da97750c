import type { Column, FacetCounts, Page, PageRow, Query, RowDetail, Stats } from "../../protocol/corpus";
import { toProblem } from "../../protocol/errors";
import { ident } from "../duckdb/sql";
import type { Session } from "../duckdb/session";
import type { Bits } from "./bits";
import { Codes } from "./codes";
import type { CorpusFile } from "./corpus-file";
import { rowDetail } from "./detail";
import { both, exactFacets, Sample } from "./facets";
import { predicateSql } from "./filter";
import { Match } from "./match";
import { Orders } from "./order";
import { at } from "./rows";
import { abortable, Side } from "./side";
import { fileStats } from "./stats";

/** Characters of a cell in the grid. */
const cellLength = 400;
/** Columns of one query for a page. */
const columnsAtOnce = 256;
/** Rows of a page at most. */
const maxPage = 1000;
/** Results of clauses that are kept; each takes a bit a row. */
const keptMatches = 24;
/** How long a page waits for rows that may still be found before it answers with those that were, ms. */
const patience = 40;
/** When columns that could not be computed are tried again, ms. */
const retryAfter = 30_000;

/** An open file with everything that a panel asks of it. */
export class Browser {
  private readonly side: Side;
  private readonly sample: Sample;
  private readonly orders: Orders;
  private readonly stop = new AbortController();
  private readonly matches = new Map<string, Match>();
  private selection: { key: string; rows: Bits; total: number } | undefined;
  private codes: Codes | undefined;
  private counting: Promise<Codes> | undefined;
  /** Why the columns could not be computed the last time. */
  private failure: { at: number; error: unknown } | undefined;

  constructor(
    readonly file: CorpusFile,
    extensionPath: string | undefined,
  ) {
    this.side = new Side(file, extensionPath);
    this.sample = new Sample(file);
    this.orders = new Orders(file, this.side);
  }

  private session<T>(signal: AbortSignal | undefined, work: (session: Session) => Promise<T>): Promise<T> {
    return this.side.during(() => this.file.database.session(signal, work));
  }

  /** A clause's rows; what was found for it before is kept. */
  private match(clause: Query["clauses"][number]): Match {
    const key = JSON.stringify(clause);
    const match = this.matches.get(key) ?? new Match(this.file, this.side, clause, this.stop.signal);
    // The one asked for last stands last: the first ones go.
    this.matches.delete(key);
    this.matches.set(key, match);
    for (const oldest of [...this.matches.keys()].slice(0, Math.max(0, this.matches.size - keptMatches))) this.matches.delete(oldest);
    return match;
  }

  private matchesOf(query: Query): Match[] {
    return clausesOf(query).map((clause) => this.match(clause));
  }

  /** Looks on until all rows are looked at, or `enough`, or patience ends; a clause that cannot be evaluated is forgotten with its error. */
  private async find(query: Query, matches: readonly Match[], { enough = () => false, patient = true }: { enough?: () => boolean; patient?: boolean }, signal?: AbortSignal): Promise<void> {
    const clauses = clausesOf(query);
    const late = Date.now() + patience;
    // What the codes answer is there at once.
    const limit = (clause: Query["clauses"][number] | undefined) => (patient || (clause && this.codes?.knows(clause)) ? Number.POSITIVE_INFINITY : late);
    await Promise.all(
      matches.map((match, i) =>
        match.until(enough, limit(clauses[i]), this.codes, signal).catch((error: unknown) => {
          if (!match.complete) this.matches.delete(JSON.stringify(clauses[i]));
          throw error;
        }),
      ),
    );
  }

  /**
   * A page of the rows that match. Without conditions it comes straight from its place in the file. With `partial` it does not wait until all
   * rows are searched: `scanned` then says how far the search is.
   */
  async page(query: Query, offset: number, limit: number, options: { partial?: boolean } = {}, signal?: AbortSignal): Promise<Page> {
    this.file.assertUnchanged();
    const size = Math.min(limit, maxPage);
    const { count } = this.file.rows;
    const matches = this.matchesOf(query);
    if (matches.length > 0) {
      const found = () => both(count, matches).cut(Math.min(...matches.map((match) => match.scanned))).count();
      await this.find(query, matches, { enough: () => options.partial === true && !query.sort && found() >= offset + size, patient: !options.partial }, signal);
    }
    const scanned = Math.min(count, ...matches.map((match) => match.scanned));
    const { rows, total } = this.selected(query, matches, scanned);
    const positions = await this.positions(query, rows, { offset, size, scanned }, signal);
    return { rows: await this.session(signal, (session) => this.cells(session, positions)), total, ...(scanned < count ? { scanned } : {}) };
  }

  private selected(query: Query, matches: readonly Match[], scanned: number): { rows: Bits | undefined; total: number } {
    const { count } = this.file.rows;
    if (matches.length === 0) return { rows: undefined, total: count };
    const key = JSON.stringify(query.clauses);
    if (this.selection?.key === key) return this.selection;
    // What is being added at this moment lies behind the rows that are said to be searched.
    const rows = both(count, matches).cut(scanned);
    const found = { key, rows, total: rows.count() };
    if (scanned === count) this.selection = found;
    return found;
  }

  private async positions(query: Query, rows: Bits | undefined, { offset, size, scanned }: { offset: number; size: number; scanned: number }, signal?: AbortSignal): Promise<number[]> {
    const { count } = this.file.rows;
    const { sort } = query;
    if (sort) {
      // In another order the first row may be one that was not looked at yet.
      if (scanned < count) return [];
      return this.orders.rows(sort, rows, offset, size, signal);
    }
    return rows ? rows.rows(offset, size) : Array.from({ length: Math.max(0, Math.min(size, count - offset)) }, (_, i) => offset + i);
  }

  private async cells(session: Session, positions: readonly number[]): Promise<PageRow[]> {
    if (positions.length === 0) return [];
    const cell = (name: string, type: string) => (type === "VARCHAR" || type === "JSON" || /\[\]|STRUCT|MAP|TIME|DATE|UUID|BLOB|ENUM/.test(type) ? `left(${ident(name)}::VARCHAR, ${cellLength})` : ident(name));
    const { store } = this.side;
    const derived = new Set(store ? this.file.derived().map(([name]) => name) : []);
    const found = new Map<number, PageRow>();
    const take = async (from: Session, rows: string, columns: readonly Column[]) => {
      for (const [pos, row, ...cells] of await from.lists(`SELECT ${["_tillage_pos", "_tillage_row", ...columns.map((column) => cell(column.name, column.type))].join(", ")} FROM (${rows})`)) {
        const page = found.get(Number(pos)) ?? { row: Number(row), cells: [] };
        page.cells.push(...cells);
        found.set(Number(pos), page);
      }
    };
    // In groups: a query holds a vector of 2,048 values for each of its columns in each of its operators, whatever the rows asked for.
    const inFile = this.file.columns.filter((column) => !derived.has(column.name));
    const rows = store ? this.file.rows.at(positions) : this.file.computedAt(positions);
    for (let at = 0; at < inFile.length; at += columnsAtOnce) await take(session, rows, inFile.slice(at, at + columnsAtOnce));
    // The derived columns stand behind the file's own.
    if (store) await store.session(session.signal, (other) => take(other, `SELECT * FROM beside.side WHERE ${at("_tillage_pos", positions)}`, this.file.columns.filter((column) => derived.has(column.name))));
    return positions.flatMap((pos) => found.get(pos) ?? []);
  }

  /**
   * What the facets count. With `partial` a large corpus is estimated from a sample until its columns are computed and the search is through;
   * asking begins both, and `pause` stops the former.
   */
  async facets(query: Query, options: { partial?: boolean; pause?: boolean } = {}, signal?: AbortSignal): Promise<FacetCounts> {
    this.file.assertUnchanged();
    this.side.paused = options.pause === true;
    const { count } = this.file.rows;
    if (this.sample.whole && this.sample.possible) return { facets: await this.estimate(query, signal), rows: count };
    const matches = this.matchesOf(query);
    if (options.partial && this.sample.possible) {
      if (this.codes) await this.find(query, matches, { patient: false }, signal);
      if (!this.codes || !matches.every((match) => match.complete)) {
        const facets = await this.estimate(query, signal);
        // After the estimate, which would wait for its processors.
        if (!this.side.paused && !(this.failure && Date.now() - this.failure.at < retryAfter)) this.count().catch(() => undefined);
        return { facets, rows: this.sample.rows, ...(this.codes ? {} : { computed: this.side.done }), ...(this.failure ? { problem: toProblem(this.failure.error) } : {}) };
      }
    }
    const codes = await abortable(this.count(), signal);
    await this.find(query, matches, {}, signal);
    return { facets: await this.side.during(() => exactFacets(codes, count, clausesOf(query), matches)), rows: count };
  }

  private async estimate(query: Query, signal: AbortSignal | undefined): Promise<FacetCounts["facets"]> {
    return this.session(signal, (session) => this.sample.facets(session, { clauses: clausesOf(query) }));
  }

  /** The codes that facets count, when the columns are there; the work goes on without its caller. */
  private count(): Promise<Codes> {
    this.counting ??= (async () => {
      this.codes = await Codes.of(this.file, this.side, this.stop.signal);
      this.failure = undefined;
      return this.codes;
    })().catch((error: unknown) => {
      this.counting = undefined;
      this.failure = { at: Date.now(), error };
      throw error;
    });
    return this.counting;
  }

  async detail(row: number, signal?: AbortSignal): Promise<RowDetail> {
    this.file.assertUnchanged();
    return this.session(signal, (session) => rowDetail(session, this.file, row));
  }

  predicate(query: Query): { sql: string } {
    this.file.assertUnchanged();
    return { sql: predicateSql(this.file, query) };
  }

  /** What `tillage stats` prints. */
  async stats(signal?: AbortSignal): Promise<Stats> {
    this.file.assertUnchanged();
    await this.side.whenReady(signal);
    return this.session(signal, (session) => fileStats(session, this.file, this.side));
  }

  close(): void {
    this.stop.abort();
    const done = () => this.file.database.close();
    Promise.all([this.side.close(), this.counting?.catch(() => undefined)]).then(done, done);
  }
}

/** The clauses that ask for something: an empty search does not. */
function clausesOf(query: Query): Query["clauses"] {
  return query.clauses.filter((clause) => clause.kind !== "search" || clause.text !== "");
}
