import type { Column, Facet, FacetCounts, OpenResult, Query, RowDetail } from "../../src/protocol/corpus";
import type { CorpusPanelApi, CorpusState, CorpusUpdate } from "../../src/protocol/corpus-panel";
import { toProblem } from "../../src/protocol/errors";
import type { Problem } from "../../src/protocol/errors";
import type { Calls } from "../shared/rpc";
import { Pages } from "./pages";
import { initialView, isFiltered, keepKnownColumns, reduceView, toQuery } from "./view-state";
import type { ViewAction, ViewState } from "./view-state";

export interface Note {
  kind: "changed" | "kept" | "failed";
  text: string;
}

/** How often facets that are estimates are asked for again, ms. */
const ESTIMATE_MS = 1000;

/** What the corpus panel knows; every change of the view re-asks grid and facets and cancels what is stale. */
export class CorpusStore {
  state: CorpusState | undefined;
  view: ViewState = initialView;
  pages: Pages | undefined;
  /** The last pages that answered; drawn until the current ones do, so that typing does not flicker. */
  answered: Pages | undefined;
  facets: Facet[] = [];
  /** What the facets were counted on; undefined until they are there. */
  counted: Omit<FacetCounts, "facets"> | undefined;
  /** A person stopped the computing of columns: facets stay estimates. */
  paused = false;
  facetsBusy = false;
  /** Since when they are waited for, milliseconds since the epoch. */
  facetsSince = 0;
  /** Total of the last view that answered, shown until the new one does. */
  total: number | undefined;
  /** What is wrong with the search, as the service says it. */
  queryProblem: Problem | undefined;
  detail: { row: number; detail?: RowDetail; problem?: Problem } | undefined;
  words: number | undefined;
  /** A row to bring into view; a new object for each wish. */
  scrollTo: { row: number } | undefined;
  note: Note | undefined;
  /** A row that the host asked to show, until the file is there to show it. */
  private wanted: number | undefined;
  private query = new AbortController();
  private detailAbort: AbortController | undefined;
  private wordsAbort: AbortController | undefined;
  /** The version of the file whose words were asked for. */
  private wordsOf: string | undefined;
  private facetsTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly calls: Calls<CorpusPanelApi>, private readonly changed: () => void) {}

  get open(): OpenResult | undefined {
    return this.state?.stage.kind === "ready" ? this.state.stage.open : undefined;
  }

  get columns(): Column[] {
    return this.open?.columns ?? [];
  }

  /** What is shown belongs to an earlier query: the present one has not been answered yet. */
  get stale(): boolean {
    return this.pages !== undefined && this.answered !== this.pages && this.queryProblem === undefined;
  }

  /** The part of the rows that the search has looked at, 0 to 1; undefined when it is through. */
  get searched(): number | undefined {
    const { scanned } = this.pages ?? {};
    return scanned === undefined || !this.open ? undefined : scanned / Math.max(1, this.open.rows);
  }

  /** The facets are estimates from a sample. */
  get estimated(): boolean {
    return this.counted !== undefined && this.open !== undefined && this.counted.rows < this.open.rows;
  }

  /** Stops the computing of columns, or goes on with it. */
  pause(paused: boolean): void {
    this.paused = paused;
    this.askFacets(toQuery(this.view), this.query);
    this.changed();
  }

  get filtered(): boolean {
    return isFiltered(this.view);
  }

  receive(state: CorpusState): void {
    this.state = state;
    this.wanted = state.reveal ?? this.wanted;
    this.opened();
  }

  update(update: CorpusUpdate): void {
    if (!this.state) return;
    if (update.kind === "trusted") this.state = { ...this.state, trusted: true };
    else if (update.kind === "reveal") {
      this.wanted = update.row;
      this.showWanted();
    } else if (update.kind === "stage") {
      this.state = { ...this.state, stage: update.stage, bytes: update.bytes };
      this.opened();
    } else {
      this.state = { ...this.state, stage: { kind: "ready", open: update.open }, bytes: update.bytes };
      const at = new Date(update.time).toLocaleTimeString("en-GB");
      const rows = (count: number): string => count.toLocaleString("en-US");
      const change = update.open.rows === update.rowsBefore ? `${rows(update.open.rows)} rows as before` : `${rows(update.rowsBefore)} → ${rows(update.open.rows)} rows`;
      this.note = { kind: "changed", text: `The file changed on disk at ${at} and was read again: ${change}.` };
      this.opened();
    }
    this.changed();
  }

  act(action: ViewAction): void {
    this.view = reduceView(this.view, action);
    this.ask();
  }

  select(row: number): void {
    if (this.detail?.row === row && this.detail.detail) return;
    this.detailAbort?.abort();
    const abort = new AbortController();
    this.detailAbort = abort;
    // The last detail stays on screen until the next has come, so that stepping through rows does not flicker.
    this.detail = { row, detail: this.detail?.detail };
    this.changed();
    this.calls.detail({ row }, abort.signal).then(
      (detail) => this.settle(abort, () => (this.detail = { row, detail })),
      (error: unknown) => this.settle(abort, () => (this.detail = { row, problem: toProblem(error) })),
    );
  }

  unselect(): void {
    this.detailAbort?.abort();
    this.detail = undefined;
    this.changed();
  }

  async keepAsFilter(): Promise<void> {
    try {
      const kept = await this.calls.keepAsFilter({ query: toQuery(this.view) });
      if (kept) this.note = { kind: "kept", text: `Added a where step to ${kept.file}. Undo takes it back.` };
    } catch (error) {
      const problem = toProblem(error);
      this.note = { kind: "failed", text: `${problem.message} ${problem.remedy}` };
    }
    this.changed();
  }

  dismissNote(): void {
    this.note = undefined;
    this.changed();
  }

  /** Runs a call whose failure is shown as a note. */
  run(promise: Promise<unknown>): void {
    promise.catch((error: unknown) => {
      const problem = toProblem(error);
      this.note = { kind: "failed", text: `${problem.message} ${problem.remedy}` };
      this.changed();
    });
  }

  private opened(): void {
    const open = this.open;
    if (open) {
      this.view = keepKnownColumns(this.view, open.columns);
      const selected = this.detail?.row;
      this.detail = undefined;
      if (selected !== undefined && selected < open.rows) this.select(selected);
      this.showWanted();
      this.words = undefined;
      this.wordsOf = undefined;
      this.ask();
    } else {
      this.query.abort();
      this.pages?.end();
      this.pages = undefined;
      this.answered = undefined;
      this.total = undefined;
      this.facets = [];
      this.counted = undefined;
      clearTimeout(this.facetsTimer);
      this.changed();
    }
  }

  private showWanted(): void {
    if (!this.open || this.wanted === undefined) return;
    this.select(this.wanted);
    // In the file's own order a row's place is its number; in any other the detail has to do.
    if (!this.filtered && !this.view.sort) this.scrollTo = { row: this.wanted };
    this.wanted = undefined;
  }

  private ask(): void {
    this.query.abort();
    this.pages?.end();
    const abort = new AbortController();
    this.query = abort;
    const query = toQuery(this.view);
    this.queryProblem = undefined;
    const pages = new Pages(
      (offset, limit, signal) => this.calls.page({ query, offset, limit }, signal),
      () => {
        this.total = pages.total;
        this.answered = pages;
        this.changed();
      },
      (error) => this.failed(error),
    );
    this.pages = pages;
    pages.want(0, 1);
    this.askFacets(query, abort);
    this.changed();
  }

  private askFacets(query: Query, abort: AbortController): void {
    clearTimeout(this.facetsTimer);
    if (!this.facetsBusy) this.facetsSince = Date.now();
    this.facetsBusy = true;
    this.calls.facets({ query, ...(this.paused ? { pause: true } : {}) }, abort.signal).then(
      ({ facets, ...counted }) => this.settle(abort, () => {
        this.facets = facets;
        this.counted = counted;
        this.facetsBusy = false;
        if (this.estimated) {
          if (!this.paused || this.searched !== undefined) this.facetsTimer = setTimeout(() => this.askFacets(query, abort), ESTIMATE_MS);
        } else if (this.open) this.countWords(this.open);
      }),
      (error: unknown) => this.settle(abort, () => {
        this.facetsBusy = false;
        this.failed(error);
      }),
    );
  }

  private failed(error: unknown): void {
    const problem = toProblem(error);
    // The host reads a changed file again by itself and says so.
    if (problem.code === "cancelled" || problem.code === "file_changed") return;
    this.queryProblem = problem;
    this.changed();
  }

  private countWords(open: OpenResult): void {
    if (open.rows === 0 || this.wordsOf === open.version) return;
    this.wordsOf = open.version;
    this.wordsAbort?.abort();
    const abort = new AbortController();
    this.wordsAbort = abort;
    this.calls.summary(null, abort.signal).then(
      (summary) => this.settle(abort, () => (this.words = summary?.words)),
      // A header without its word count is whole all the same; what failed is in the log.
      () => undefined,
    );
  }

  private settle(abort: AbortController, apply: () => void): void {
    if (abort.signal.aborted) return;
    apply();
    this.changed();
  }
}
