import type { Page, PageRow } from "../../src/protocol/corpus";

export const PAGE_ROWS = 100;
const KEPT_PAGES = 60;
/** How often a search that goes on is asked about, ms. */
const POLL_MS = 150;

export type FetchPage = (offset: number, limit: number, signal: AbortSignal) => Promise<Page>;

/**
 * The pages of one query. A page is asked for when the view touches it; one that the view has left before it came is cancelled.
 * Far pages are forgotten, so that memory does not grow with scrolling.
 */
export class Pages {
  private readonly pages = new Map<number, PageRow[]>();
  private readonly inFlight = new Map<number, AbortController>();
  private ended = false;
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** The pages in view. */
  private wanted = { from: 0, to: 0 };
  /** Rows that match; unknown until the first page came. Of a search that goes on, those that were found so far. */
  total: number | undefined;
  /** Rows that were searched; undefined when all were. */
  scanned: number | undefined;

  constructor(private readonly fetchPage: FetchPage, private readonly onChange: () => void, private readonly onError: (error: unknown) => void) {}

  get busy(): boolean {
    return this.inFlight.size > 0;
  }

  row(index: number): PageRow | undefined {
    return this.pages.get(Math.floor(index / PAGE_ROWS))?.[index % PAGE_ROWS];
  }

  /** Asks for the pages of rows `first` to `end` (exclusive) and cancels the others. */
  want(first: number, end: number): void {
    if (this.ended) return;
    const from = Math.max(0, Math.floor(first / PAGE_ROWS));
    const to = Math.max(from, Math.floor(Math.max(first, end - 1) / PAGE_ROWS));
    this.wanted = { from, to };
    for (const [page, abort] of this.inFlight) {
      if (page < from || page > to) {
        this.inFlight.delete(page);
        abort.abort();
      }
    }
    for (let page = from; page <= to; page++) {
      if (this.pages.has(page) || this.inFlight.has(page)) continue;
      if (this.total !== undefined && page * PAGE_ROWS >= this.total && page > 0) continue;
      this.ask(page);
    }
    this.forget(from, to);
  }

  /** Cancels what is under way; nothing is reported after this. */
  end(): void {
    this.ended = true;
    clearTimeout(this.timer);
    for (const abort of this.inFlight.values()) abort.abort();
    this.inFlight.clear();
  }

  private ask(page: number, limit = PAGE_ROWS): void {
    const abort = new AbortController();
    this.inFlight.set(page, abort);
    const stale = (): boolean => this.ended || abort.signal.aborted;
    this.fetchPage(page * PAGE_ROWS, limit, abort.signal).then(
      (result) => {
        if (stale()) return;
        this.inFlight.delete(page);
        if (limit > 0) this.pages.set(page, result.rows);
        this.total = result.total;
        this.scanned = result.scanned;
        if (result.scanned !== undefined) this.askLater();
        this.onChange();
      },
      (error: unknown) => {
        if (stale()) return;
        this.inFlight.delete(page);
        this.onError(error);
      },
    );
  }

  /** While a search goes on: what is in view and not full is asked for again, or else how far it is. */
  private askLater(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      const { from, to } = this.wanted;
      const open = Array.from({ length: to - from + 1 }, (_, i) => from + i).filter((page) => (this.pages.get(page)?.length ?? 0) < PAGE_ROWS && page * PAGE_ROWS <= (this.total ?? 0));
      for (const page of open) if (!this.inFlight.has(page)) this.ask(page);
      if (open.length === 0 && !this.inFlight.has(from)) this.ask(from, 0);
    }, POLL_MS);
  }

  private forget(from: number, to: number): void {
    if (this.pages.size <= KEPT_PAGES) return;
    const distance = (page: number): number => (page < from ? from - page : Math.max(0, page - to));
    const far = [...this.pages.keys()].sort((a, b) => distance(b) - distance(a));
    for (const page of far.slice(0, this.pages.size - KEPT_PAGES)) this.pages.delete(page);
  }
}
