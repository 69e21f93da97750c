import "@lit-labs/virtualizer";
import "@vscode-elements/elements/dist/vscode-button/index.js";
import "@vscode-elements/elements/dist/vscode-icon/index.js";
import "@vscode-elements/elements/dist/vscode-progress-bar/index.js";
import "@vscode-elements/elements/dist/vscode-textfield/index.js";
import type { LitVirtualizer } from "@lit-labs/virtualizer";
import { html, LitElement, nothing } from "lit";
import type { TemplateResult } from "lit";
import { customElement, state } from "lit/decorators.js";
import type { ReceiptRow } from "../../src/protocol/corpus";
import { toProblem } from "../../src/protocol/errors";
import type { Problem } from "../../src/protocol/errors";
import type { ReceiptsApi, ReceiptsState, ReceiptsUpdate, ReceiptTexts } from "../../src/protocol/receipts-panel";
import { formatCount, plural } from "../shared/format";
import { emptyView, problemStyles, problemView } from "../shared/problem-view";
import { reporting } from "../shared/reporting";
import { HostConnection, viewState } from "../shared/rpc";
import { theme } from "../shared/theme";
import { detailView } from "./detail";
import { filterRows, reasonCounts } from "./filter";
import { headView } from "./head";
import { stepsView } from "./steps";
import { styles } from "./styles";

@customElement("tillage-receipts")
export class TillageReceipts extends LitElement {
  static override styles = [theme, problemStyles, styles];

  @state() private host: ReceiptsState | undefined;
  /** Reasons that are shown; all of them while it is empty. */
  @state() private reasons = new Set<string>();
  @state() private search = "";
  /** Position of the row in the detail pane, in the host's list. */
  @state() private active = 0;
  @state() private texts: ReceiptTexts | undefined;
  @state() private textsProblem: Problem | undefined;
  private textsOf = -1;
  private readonly connection = new HostConnection<ReceiptsState, ReceiptsUpdate, ReceiptsApi>(
    (snapshot) => {
      this.receive(snapshot);
      viewState.set({ dataset: snapshot.dataset });
    },
    (update) => this.receive(update),
    (error) => this.report.fail(error),
  );

  private receive(update: ReceiptsUpdate): void {
    this.host = { ...(this.host ?? BLANK), ...update };
    if (update.rows !== undefined) {
      this.textsOf = -1;
      this.active = 0;
      const known = new Set(update.rows.map((row) => row.reason));
      this.reasons = new Set([...this.reasons].filter((reason) => known.has(reason)));
    }
  }

  private readonly report = reporting((problem) => (this.host = { ...(this.host ?? BLANK), problem, loading: false }));

  override render(): TemplateResult {
    const host = this.host;
    if (!host) return html`<vscode-progress-bar indeterminate></vscode-progress-bar>`;
    const calls = this.connection.calls;
    return html`
      <div class="busy">${host.loading ? html`<vscode-progress-bar indeterminate></vscode-progress-bar>` : nothing}</div>
      ${headView(host)}
      ${host.steps.length > 0 ? stepsView(host, (step) => this.report.call(calls.select({ step }))) : nothing}
      ${host.problem ? problemView(host.problem, { label: "Try again", run: () => this.report.call(calls.retry(null)) }) : this.list(host)}`;
  }

  private list(host: ReceiptsState): TemplateResult | typeof nothing {
    if (host.rows.length === 0) {
      if (host.loading) return nothing;
      const step = host.steps.find((item) => item.index === host.selected);
      return step ? emptyView("Every row passed", `${step.step} dropped and changed no row.`) : emptyView("Every row passed", "No step dropped or changed a row.");
    }
    const shown = filterRows(host.rows, this.reasons, this.search);
    const current = shown.includes(this.active) ? this.active : (shown[0] ?? -1);
    const row = host.rows[current];
    if (row && this.textsOf !== current) this.fetchTexts(current);
    return html`
      ${this.filters(host, shown.length)}
      <div class="panes">
        <div class="list" data-testid="receipts-list" tabindex="0" role="listbox" aria-label="Rows" @keydown=${(event: KeyboardEvent) => this.onKey(event, shown, current)}>
          <lit-virtualizer scroller .items=${shown} .renderItem=${(index: number) => this.item(host.rows[index], index, current)}></lit-virtualizer>
        </div>
        <div class="detail">
          ${row ? detailView(row, this.textsOf === current ? this.texts : undefined, this.textsProblem, {
            open: () => this.openRow(current),
            why: host.kind === "dataset" ? () => this.report.call(this.connection.calls.why({ rowId: row.rowId })) : undefined,
          }) : html`<p class="muted none" data-testid="receipts-none">No row has this reason and text.</p>`}
        </div>
      </div>`;
  }

  private filters(host: ReceiptsState, shown: number): TemplateResult {
    const counts = reasonCounts(host.rows);
    return html`<div class="filters">
      ${counts.map(([reason, rows]) => html`<button class="chip" aria-pressed=${this.reasons.has(reason)} data-testid="reason" data-reason=${reason} @click=${() => this.toggle(reason)}>${reason} <span class="muted">${formatCount(rows)}</span></button>`)}
      <vscode-textfield class="search" placeholder="Search texts, values, ids" data-testid="receipts-search" .value=${this.search} @input=${(event: Event) => (this.search = (event.target as HTMLInputElement).value)}></vscode-textfield>
      <span class="muted" data-testid="receipts-shown">${formatCount(shown)} of ${plural(host.rows.length, "row")}${host.more ? " read so far" : ""}</span>
      ${host.more ? html`<button class="link" data-testid="receipts-more" @click=${() => this.report.call(this.connection.calls.loadMore(null))}>Read more</button>` : nothing}
    </div>`;
  }

  private item(row: ReceiptRow | undefined, index: number, current: number): TemplateResult {
    if (!row) return html``;
    return html`<div class="item ${index === current ? "active" : ""}" role="option" aria-selected=${index === current} data-testid="receipt" data-row-id=${row.rowId} @click=${() => (this.active = index)}
      @dblclick=${() => this.openRow(index)}>
      <div class="item-head"><span class="effect ${row.effect ?? "dropped"}">${row.effect ?? "dropped"}</span> <span class="reason">${row.reason}</span>${row.value === null ? nothing : html` <span class="mono value">${row.value}</span>`}<span class="muted where">${row.source} · row ${formatCount(row.fileRow + 1)}</span></div>
      <div class="item-text">${row.text.replace(/\s+/g, " ")}</div>
    </div>`;
  }

  private openRow(index: number): void {
    this.report.call(this.connection.calls.open({ index }));
  }

  private toggle(reason: string): void {
    const next = new Set(this.reasons);
    if (!next.delete(reason)) next.add(reason);
    this.reasons = next;
  }

  private onKey(event: KeyboardEvent, shown: number[], current: number): void {
    const at = shown.indexOf(current);
    const by: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -shown.length, End: shown.length };
    const change = by[event.key];
    if (event.key === "Enter") {
      this.openRow(current);
      return;
    }
    if (change === undefined) return;
    event.preventDefault();
    const next = Math.max(0, Math.min(shown.length - 1, at + change));
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
        // The receipt's own text is still shown; only the rest of it is out of reach.
        if (this.textsOf === index) this.textsProblem = toProblem(error);
      },
    );
  }
}

const BLANK: ReceiptsState = {
  kind: "dataset", title: "", dataset: null, steps: [], rowsIn: 0, rowsOut: 0, build: null, selected: null, rows: [], more: false, loading: true, problem: null,
};
