import { css, html, LitElement, nothing } from "lit";
import type { TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import type { Column, Facet, FacetCounts } from "../../src/protocol/corpus";
import { formatCount, plural } from "../shared/format";
import { theme } from "../shared/theme";
import "./elapsed";
import "./histogram";
import { FIRST_VALUES, isIdentifier, orderFacets } from "./facet-order";
import type { Range, ViewAction, ViewState } from "./view-state";

/** One facet a column: a histogram to brush, or categories to tick. Fires `view` with the action. */
@customElement("tillage-facet-rail")
export class FacetRail extends LitElement {
  static override styles = [theme, css`
    :host { display: block; min-width: 0; min-height: 0; overflow: hidden auto; padding: 4px 0 16px; }
    section { padding: 8px 12px; }
    header { display: flex; align-items: baseline; gap: 8px; margin-bottom: 4px; }
    h3 { margin: 0; font-size: 12px; font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
    header .muted { flex: 1; font-size: 11px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
    button.link { font-size: 11px; white-space: nowrap; }
    .values { display: grid; gap: 1px; }
    .value { display: grid; grid-template-columns: 16px minmax(0, 1fr) auto; align-items: center; gap: 6px; height: 22px; padding: 0 4px; margin: 0 -4px; border-radius: 3px; cursor: pointer; position: relative; }
    .value:hover { background: var(--t-hover); }
    .value:focus-within { outline: 1px solid var(--vscode-focusBorder); outline-offset: -1px; }
    .bar { position: absolute; left: 26px; right: 4px; bottom: 1px; height: 2px; border-radius: 1px; background: var(--t-muted); opacity: 0.25; transform-origin: left; }
    .bar.selected { background: var(--t-accent); opacity: 1; }
    input { appearance: none; display: grid; place-content: center; margin: 0; width: 16px; height: 16px; border-radius: 3px; cursor: pointer;
      color: var(--vscode-checkbox-foreground, inherit); background: var(--vscode-checkbox-background); border: 1px solid var(--vscode-checkbox-border, var(--t-line)); }
    input:focus-visible { outline: none; }
    input:checked { background: var(--vscode-checkbox-selectBackground, var(--vscode-checkbox-background)); border-color: var(--vscode-checkbox-selectBorder, var(--t-accent)); }
    input:checked::before { content: ""; width: 10px; height: 10px; background: currentColor; clip-path: polygon(14% 44%, 0 58%, 38% 94%, 100% 22%, 86% 9%, 38% 66%); }
    .name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
    .none { font-style: italic; color: var(--t-muted); }
    .n { font-size: 11px; color: var(--t-muted); }
    .n b { font-weight: 600; color: var(--vscode-foreground); }
    .more { margin: 4px 0 0; font-size: 11px; color: var(--t-muted); }
    .wait { padding: 8px 12px; }
    .wait p { margin: 0 0 8px; }
    .estimate { margin: 4px 12px 0; padding: 6px 8px; font-size: 11px; border-left: 2px solid var(--t-accent); background: var(--t-hover); }
    .estimate p { margin: 0 0 2px; }
    .meter { height: 3px; margin-top: 4px; border-radius: 2px; overflow: hidden; background: var(--t-line); }
    .meter div { height: 100%; background: var(--vscode-progressBar-background, var(--t-accent)); }
    .busy { position: sticky; top: -4px; z-index: 1; height: 2px; margin-bottom: -2px; overflow: hidden; opacity: 0; animation: appear 0s 300ms forwards; }
    .busy::after { content: ""; display: block; width: 30%; height: 100%; background: var(--vscode-progressBar-background, var(--t-accent)); animation: slide 1.2s linear infinite; }
    @keyframes appear { to { opacity: 1; } }
    @keyframes slide { from { transform: translateX(-100%); } to { transform: translateX(400%); } }
    @media (prefers-reduced-motion: reduce) { .busy::after { animation: none; width: 100%; opacity: 0.5; } }
  `];

  @property({ attribute: false }) facets: readonly Facet[] = [];
  @property({ attribute: false }) columns: readonly Column[] = [];
  @property({ attribute: false }) view!: ViewState;
  @property({ type: Boolean }) busy = false;
  /** Rows that the facets were counted on, of how many, and of how many the derived columns are there. */
  @property({ attribute: false }) counted: Omit<FacetCounts, "facets"> | undefined;
  @property({ type: Number }) rows = 0;
  /** A person stopped the computing of columns. */
  @property({ type: Boolean }) paused = false;
  /** Since when the facets are waited for, milliseconds since the epoch. */
  @property({ type: Number }) since = 0;
  @state() private unfolded: ReadonlySet<string> = new Set();

  override render(): TemplateResult {
    if (this.facets.length === 0) {
      return this.busy
        ? html`<div class="wait muted" role="status">Counting… <tillage-elapsed .since=${this.since}></tillage-elapsed></div>`
        : html`<p class="wait muted" role="status">No column of this file has values to count.</p>`;
    }
    return html`${this.busy && !this.estimated ? html`<div class="busy" role="progressbar" aria-label="Counting"></div>` : nothing}${this.estimate()}
      ${repeat(orderFacets(this.facets), (facet) => facet.column, (facet) => this.facet(facet))}`;
  }

  private get estimated(): boolean {
    return this.counted !== undefined && this.counted.rows < this.rows;
  }

  /** What the counts are until all rows are known, and how far that is. */
  private estimate(): TemplateResult | typeof nothing {
    const { counted, rows, paused } = this;
    if (!counted || !this.estimated) return nothing;
    const { computed, problem } = counted;
    return html`<div class="estimate" data-testid="facets-estimate">
      <p><b>Estimates</b> from ${formatCount(counted.rows)} rows of ${formatCount(rows)}.</p>
      ${computed === undefined
        ? html`<p class="muted">The exact counts come when the search is through.</p>`
        : problem
          ? html`<p role="alert" data-testid="facets-problem">The columns that make them exact cannot be computed: ${problem.message} ${problem.remedy}</p>`
        : html`<p class="muted">${paused ? "Stopped" : "Words, language, quality and personal data of each row are being computed, once"}: ${Math.floor((computed / Math.max(1, rows)) * 100)} %
            <button class="link" data-testid="facets-pause" @click=${() => this.dispatchEvent(new CustomEvent("pause", { detail: !paused }))}>${paused ? "Go on" : "Stop"}</button></p>
          <div class="meter" role="progressbar" aria-label="Rows computed" aria-valuemin="0" aria-valuemax=${rows} aria-valuenow=${computed}><div style="width: ${(computed / Math.max(1, rows)) * 100}%"></div></div>`}
    </div>`;
  }

  /** A number of rows; an estimate has two digits that mean something. */
  private rowsOf(rows: number): string {
    return this.estimated ? `≈ ${formatCount(Number(rows.toPrecision(2)))}` : formatCount(rows);
  }

  private facet(facet: Facet): TemplateResult {
    const active = facet.column in this.view.ranges || facet.column in this.view.values;
    const about = facet.kind === "categories" ? (isIdentifier(facet) ? `${plural(facet.distinct, "value")}, all different` : plural(facet.distinct, "value")) : facet.nulls > 0 ? `${this.rowsOf(facet.nulls)} without` : "";
    const column = this.columns.find((other) => other.name === facet.column);
    return html`<section aria-label=${facet.column} data-testid="facet" data-column=${facet.column}>
      <header><h3 title=${column ? `${column.type}${column.derived ? ", computed by Tillage" : ""}` : ""}>${facet.column}</h3><span class="muted">${about}</span>
        ${active ? html`<button class="link" data-testid="facet-clear" @click=${() => this.fire({ kind: "clear-column", column: facet.column })}>Clear</button>` : nothing}
      </header>
      ${facet.kind === "histogram"
        ? html`<tillage-histogram .facet=${facet} .estimated=${this.estimated} .range=${this.view.ranges[facet.column]} .integers=${isInteger(column)}
            @brush=${(event: CustomEvent<Range | null>) => this.fire({ kind: "brush", column: facet.column, range: event.detail })}></tillage-histogram>`
        : this.categories(facet)}
    </section>`;
  }

  private categories(facet: Extract<Facet, { kind: "categories" }>): TemplateResult {
    const chosen = this.view.values[facet.column] ?? [];
    const peak = Math.max(1, ...facet.values.map((value) => value.all));
    const open = this.unfolded.has(facet.column);
    const top = isIdentifier(facet) ? 0 : FIRST_VALUES;
    // What is ticked stays in sight, so that it can be taken away again.
    const shown = open ? facet.values : facet.values.filter((value, index) => index < top || chosen.includes(value.value));
    const folded = facet.values.length - shown.length;
    const hidden = facet.distinct - facet.values.length;
    return html`<div class="values">${shown.map(({ value, all, selected }) => html`
        <label class="value" title="${value ?? "no value"}: ${this.rowsOf(selected)} of ${this.rowsOf(all)} rows" data-testid="facet-value" data-value=${value ?? ""}>
          <input type="checkbox" .checked=${chosen.includes(value)} @change=${() => this.fire({ kind: "toggle", column: facet.column, value })}>
          <span class="name ${value === null || value === "" ? "none" : ""}">${value === null ? "no value" : value === "" ? "empty" : value}</span>
          <span class="n">${selected === all ? this.rowsOf(all) : html`<b>${this.rowsOf(selected)}</b> / ${formatCount(this.estimated ? Number(all.toPrecision(2)) : all)}`}</span>
          <span class="bar" style="transform: scaleX(${all / peak})"></span>
          <span class="bar selected" style="transform: scaleX(${selected / peak})"></span>
        </label>`)}</div>
      ${folded > 0 || (open && facet.values.length > top)
        ? html`<button class="link" data-testid="facet-more" aria-expanded=${String(open)} @click=${() => this.fold(facet.column)}>${open ? "Show fewer" : top === 0 ? `Show ${formatCount(folded)} values` : `Show ${formatCount(folded)} more`}</button>`
        : nothing}
      ${hidden > 0 && open ? html`<p class="more">and ${formatCount(hidden)} rarer ${hidden === 1 ? "value" : "values"}: search by SQL for them</p>` : nothing}`;
  }

  private fold(column: string): void {
    const next = new Set(this.unfolded);
    if (!next.delete(column)) next.add(column);
    this.unfolded = next;
  }

  private fire(action: ViewAction): void {
    this.dispatchEvent(new CustomEvent("view", { detail: action }));
  }
}

function isInteger(column: Column | undefined): boolean {
  return column !== undefined && /INT/iu.test(column.type);
}
