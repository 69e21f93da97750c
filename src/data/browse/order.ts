import type { Query } from "../../protocol/corpus";
import { ident } from "../duckdb/sql";
import type { Bits } from "./bits";
import type { CorpusFile } from "./corpus-file";
import { abortable, type Side } from "./side";

/** Orders that are kept: one takes 4 bytes a row. */
const kept = 2;
/** The first rows of an order are found without the others; this many. */
const topRows = 10_000;
/** So few rows are ordered by what is computed at once. */
const fewRows = 10_000;
type Sort = NonNullable<Query["sort"]>;

/** Rows in the order of a column, NULLs last and equal ones as in the file. */
export class Orders {
  private readonly orders = new Map<string, Uint32Array>();

  constructor(
    private readonly file: CorpusFile,
    private readonly side: Side,
  ) {}

  /** `take` positions behind the first `skip` of those that are in `rows`. */
  async rows(sort: Sort, rows: Bits | undefined, skip: number, take: number, signal?: AbortSignal): Promise<number[]> {
    if (!rows && skip + take <= topRows && !this.orders.has(keyOf(sort))) return [...(await this.ask(sort, { skip, take }, signal))];
    const order = await this.order(sort, signal);
    if (!rows) return [...order.subarray(skip, skip + take)];
    const found: number[] = [];
    for (let i = 0; i < order.length && found.length < take; i++) {
      const row = order[i] as number;
      if (!rows.has(row)) continue;
      if (skip > 0) skip--;
      else found.push(row);
    }
    return found;
  }

  private async order(sort: Sort, signal?: AbortSignal): Promise<Uint32Array> {
    const known = this.orders.get(keyOf(sort));
    if (known) return known;
    const order = await this.ask(sort, { skip: 0, take: this.file.rows.count }, signal);
    this.orders.set(keyOf(sort), order);
    for (const oldest of [...this.orders.keys()].slice(0, Math.max(0, this.orders.size - kept))) this.orders.delete(oldest);
    return order;
  }

  /** Positions in an order: from beside the file where it is there, or must be since the column is computed. */
  private async ask(sort: Sort, { skip, take }: { skip: number; take: number }, signal: AbortSignal | undefined): Promise<Uint32Array> {
    const column = this.file.column(sort.column);
    const { count } = this.file.rows;
    const small = this.file.small.some((one) => one.name === column.name);
    const beside = small && (this.side.store !== undefined || (column.derived && count > fewRows));
    const database = beside ? await abortable(this.side.whole(), signal) : this.file.database;
    const from = beside ? "beside.side" : `(${this.file.computed(0, count)})`;
    const limit = take < count ? `LIMIT ${take} OFFSET ${skip}` : "";
    const found = new Uint32Array(Math.max(0, Math.min(take, count - skip)));
    let at = 0;
    await database.session(signal, (session) =>
      session.chunks(`SELECT _tillage_pos::INTEGER FROM ${from} ORDER BY ${ident(column.name)} ${sort.descending ? "DESC" : "ASC"} NULLS LAST, _tillage_pos ${limit}`, ([positions]) => positions?.forEach((position) => (found[at++] = Number(position)))),
    );
    return found;
  }
}

const keyOf = (sort: Sort): string => JSON.stringify([sort.column, sort.descending]);
