import "@lit-labs/virtualizer";
import "@vscode-elements/elements/dist/vscode-button/index.js";
import "@vscode-elements/elements/dist/vscode-textfield/index.js";
import type { LitVirtualizer } from "@lit-labs/virtualizer";
import { html, LitElement, nothing } from "lit";
import type { TemplateResult } from "lit";
import { customElement, state } from "lit/decorators.js";
import type { DatasetDiff, DiffRow } from "../../src/protocol/dataset-diff";
import type { DiffApi, DiffState, DiffTexts, DiffUpdate } from "../../src/protocol/diff-panel";
import { toProblem } from "../../src/protocol/errors";
import type { Problem } from "../../src/protocol/errors";
import { formatCount, plural } from "../shared/format";
import { emptyView, problemStyles, problemView } from "../shared/problem-view";
import { progressStyles, progressView } from "../shared/progress-view";
import { reporting } from "../shared/reporting";
import { HostConnection, viewState } from "../shared/rpc";
import { theme } from "../shared/theme";
import { causesView } from "./causes";
import { reasonText, signs } from "./changes";
import { detailView } from "./detail";
import { countRows, filterRows } from "./filter";
import type { DiffFilter } from "./filter";
import { countsView, headView } from "./head";
import { lengthsView, sharesView } from "./shifts";
import { styles } from "./styles";

@customElement("tillage-diff")
export class TillageDiff extends LitElement {
  static override styles = [theme, problemStyles, progressStyles, styles];

  @state() private host: DiffState | undefined;
  @state() private filter: DiffFilter = { search: "" };
  /** Position of the row in the detail pane, in the comparison's list. */
  @state() private active = 0;
  @state() private texts: DiffTexts | undefined;
  @state() private textsProblem: Problem | undefined;
  private textsOf = -1;
  private readonly connection = new HostConnection<DiffState, DiffUpdate, DiffApi>((snapshot) => this.receive(snapshot), (update) => this.receive(update), (error) => this.report.fail(error));

  private receive(update: DiffUpdate): void {
    if (!this.host && !isWhole(update)) return;
    const host = { ...this.host, ...update } as DiffState;
    this.host = host;
    viewState.set({ before: host.before.dataset, after: host.after.dataset });
    if (update.diff === undefined) return;
    this.textsOf = -1;
    this.active = 0;
    const { filter } = this;
    if (host.diff && countRows(host.diff.causes, filter) === 0) this.filter = { search: "" };
  }

  private readonly report = reporting((problem) => {
    if (this.host) this.host = { ...this.host, problem, progress: null };
  });

  override render(): TemplateResult {
    const host = this.host;
    if (!host) return progressView({ stage: "opening", done: 0, of: 0 }, () => undefined);
    const { calls } = this.connection;
    return html`${headView(host, { choose: (side) => this.report.call(calls.choose({ side })), swap: () => this.report.call(calls.swap(null)) })}
      ${host.progress ? progressView(host.progress, () => this.report.call(calls.cancel(null))) : nothing}
      ${host.problem ? problemView(host.problem, { label: "Try again", run: () => this.report.call(calls.retry(null)) }) : nothing}
      ${host.cancelled ? emptyView("Cancelled", "The two datasets were not compared to the end.", { label: "Compare again", run: () => this.report.call(calls.retry(null)) }) : nothing}
      ${host.diff && !host.problem && !host.cancelled ? this.comparison(host.diff) : nothing}`;
  }

  private comparison(diff: DatasetDiff): TemplateResult {
    const differ = diff.added + diff.removed + diff.changed;
    const shifted = diff.moved + diff.more + diff.less;
    return html`${countsView(diff, this.filter.change, (change) => (this.filter = { ...this.filter, change, reason: undefined }))}
      ${differ === 0 && shifted === 0 ? emptyView("The same", `Both datasets have the same ${plural(diff.same, "row")}, with the same texts, on the same sides of the split, and as often.`, { label: "Compare another dataset", run: () => this.report.call(this.connection.calls.choose({ side: "before" })) }) : html`
        <div class="overview">
          ${differ > 0 ? causesView(diff, this.filter, (change) => (this.filter = { ...this.filter, ...change })) : html`<section class="causes"><h2>The same rows</h2><p class="muted">Only how often they are seen, or on which side of the split they are, differs.</p></section>`}
          <div class="shifts">${sharesView(diff)}${lengthsView(diff)}</div>
        </div>
        ${differ > 0 ? this.rows(diff) : nothing}`}`;
  }

  private rows(diff: DatasetDiff): TemplateResult {
    const shown = filterRows(diff.rows, this.filter);
    const current = shown.includes(this.active) ? this.active : (shown[0] ?? -1);
    const row = diff.rows[current];
    if (row && this.textsOf !== current) this.fetchTexts(current);
    const all = countRows(diff.causes, this.filter);
    const { calls } = this.connection;
    return html`<div class="filters">
        <span data-testid="diff-shown"><b>${formatCount(shown.length)}</b> of ${plural(all, "row")}${all > shown.length && this.filter.search === "" ? " read" : ""}</span>
        ${all > shown.length && this.filter.search === "" ? html`<button class="link" data-testid="diff-more" @click=${() => this.report.call(calls.more(null))}>Read more</button>` : nothing}
        ${this.filter.change ?? this.filter.step ? html`<button class="link" data-testid="diff-clear" @click=${() => (this.filter = { search: "" })}>Show all changes</button>` : nothing}
        <vscode-textfield class="search" placeholder="Search texts, values, ids" data-testid="diff-search" .value=${this.filter.search} @input=${(event: Event) => (this.filter = { ...this.filter, search: (event.target as HTMLInputElement).value })}></vscode-textfield>
      </div>
      <div class="panes">
        <div class="list" data-testid="diff-list" tabindex="0" role="listbox" aria-label="Rows that differ" @keydown=${(event: KeyboardEvent) => this.onKey(event, shown, current)}>
          <lit-virtualizer scroller .items=${shown} .renderItem=${(index: number) => this.item(diff.rows[index], index, current)}></lit-virtualizer>
        </div>
        <div class="detail">${row ? detailView(row, this.textsOf === current ? this.texts : undefined, this.textsProblem, {
          open: () => this.report.call(calls.open({ index: current })), why: (side) => this.report.call(calls.why({ index: current, side })),
        }) : html`<p class="muted" data-testid="diff-none">No row that was read is of this kind.</p>`}</div>
      </div>`;
  }

  private item(row: DiffRow | undefined, index: number, current: number): TemplateResult {
    if (!row) return html``;
    return html`<div class="item ${index === current ? "active" : ""}" role="option" aria-selected=${index === current} data-testid="diff-row" data-change=${row.change} data-row-id=${row.rowId}
      @click=${() => (this.active = index)} @dblclick=${() => this.story(row, index)}>
      <div class="item-head"><span class="sign ${row.change}">${signs[row.change]}</span> <b>${reasonText(row)}</b> <span class="muted">${row.step}</span><span class="muted where">${row.source}</span></div>
      <div class="item-text">${(row.after ?? row.before ?? "").replace(/\s+/g, " ")}</div>
    </div>`;
  }

  private story(row: DiffRow, index: number): void {
    this.report.call(this.connection.calls.why({ index, side: row.change === "added" && row.step !== "sources" ? "before" : "after" }));
  }

  private onKey(event: KeyboardEvent, shown: number[], current: number): void {
    const row = this.host?.diff?.rows[current];
    if (event.key === "Enter" && row) {
      this.story(row, current);
      return;
    }
    const by: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -shown.length, End: shown.length };
    const change = by[event.key];
    if (change === undefined) return;
    event.preventDefault();
    const next = Math.max(0, Math.min(shown.length - 1, shown.indexOf(current) + change));
    this.active = shown[next] ?? current;
    this.renderRoot.querySelector<LitVirtualizer>("lit-virtualizer")?.element(next)?.scrollIntoView({ block: "nearest" });
  }

  private fetchTexts(index: number): void {
    this.textsOf = index;
    this.texts = undefined;
    this.textsProblem = undefined;
    this.connection.calls.texts({ index }).then(
      (texts) => {
        if (this.textsOf === index) this.texts = texts;
      },
      (error: unknown) => {
        // What came with the comparison is still shown; only the rest of the text is out of reach.
        if (this.textsOf === index) this.textsProblem = toProblem(error);
      },
    );
  }
}

function isWhole(update: DiffUpdate): update is DiffState {
  return update.before !== undefined && update.after !== undefined;
}
