import { html, LitElement, nothing } from "lit";
import type { TemplateResult } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import type { Column, PageRow } from "../../src/protocol/corpus";
import { formatCount } from "../shared/format";
import { theme } from "../shared/theme";
import { cellText, columnWidths, MIN_WIDTH, splitMatches } from "./columns";
import { gridStyles, HEAD_HEIGHT } from "./grid.styles";
import type { Pages } from "./pages";
import type { Search } from "./view-state";
import { lastTop, reveal, ROW_HEIGHT, scrollTopOf, topRow, viewportOf, visibleRows } from "./viewport";

const OVERSCAN = 8;

/** A table of any number of rows; only those in view exist. Fires `sort-by`, `select-row`, `resize-column`. */
@customElement("tillage-grid")
export class Grid extends LitElement {
  static override styles = [theme, gridStyles];

  @property({ attribute: false }) pages: Pages | undefined;
  @property({ attribute: false }) answered: Pages | undefined;
  /** The query was refused: what answered last stays, and nothing more is asked. */
  @property({ attribute: false }) failed = false;
  /** Counts the changes inside `pages`. */
  @property({ attribute: false }) version = 0;
  @property({ attribute: false }) columns: readonly Column[] = [];
  @property({ attribute: false }) hiddenColumns: readonly string[] = [];
  @property({ attribute: false }) widths: Readonly<Record<string, number>> = {};
  @property({ attribute: false }) sort: { column: string; descending: boolean } | undefined;
  @property({ attribute: false }) search: Search = { text: "", mode: "literal", caseSensitive: false };
  @property({ attribute: false }) total = 0;
  /** Rows of the whole file, for the width of their numbers. */
  @property({ attribute: false }) fileRows = 0;
  /** Position in the file of the row in the detail pane. */
  @property({ attribute: false }) selected: number | undefined;
  /** A row of the view to bring to the middle, once it is known how many there are. */
  @property({ attribute: false }) scrollWish: { row: number } | undefined;
  @state() private top = 0;
  @state() private size = { width: 0, height: 0 };
  @state() private active: number | undefined;
  @query(".scroller") private scroller!: HTMLElement;
  /** The scroll offset that this grid set itself; its event says nothing new. */
  private ownScroll = -1;
  private followed: { row: number } | undefined;
  /** The row that was activated before it came. */
  private awaited: number | undefined;
  private readonly observer = new ResizeObserver(([entry]) => {
    if (entry) this.size = { width: entry.contentRect.width, height: Math.max(0, entry.contentRect.height - HEAD_HEIGHT) };
  });

  focusGrid(): void {
    this.scroller.focus();
  }

  override firstUpdated(): void {
    this.observer.observe(this.scroller);
    this.scroller.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  override disconnectedCallback(): void {
    this.observer.disconnect();
    super.disconnectedCallback();
  }

  protected override willUpdate(changed: Map<string, unknown>): void {
    if (changed.has("pages")) {
      this.active = undefined;
      this.awaited = undefined;
      this.top = 0;
    }
    this.top = Math.min(this.top, lastTop(this.size.height, this.total));
  }

  protected override updated(changed: Map<string, unknown>): void {
    if (changed.has("pages") && this.scroller.scrollTop !== 0) this.scroller.scrollTop = 0;
    this.followWish();
    if (this.awaited !== undefined && this.rowAt(this.awaited)) this.activate(this.awaited);
    if (this.failed) return;
    const { first, end } = visibleRows(this.top, this.size.height, Math.max(this.total, 1));
    this.pages?.want(Math.max(0, first - OVERSCAN), end + OVERSCAN);
  }

  override render(): TemplateResult {
    const shown = this.columns.filter((column) => !this.hiddenColumns.includes(column.name));
    const numberWidth = Math.max(44, formatCount(this.fileRows).length * 8 + 18);
    const widths = columnWidths(shown, this.widths, this.size.width - numberWidth);
    const width = widths.reduce((sum, one) => sum + one, numberWidth);
    const { height, compressed } = viewportOf(this.total);
    const { first, end } = visibleRows(this.top, this.size.height, this.total);
    const from = Math.max(0, first - OVERSCAN);
    const to = Math.min(this.total, end + OVERSCAN);
    const base = compressed ? this.ownOrScroll() - this.top * ROW_HEIGHT : 0;
    const indices = Array.from({ length: Math.max(0, to - from) }, (_, index) => from + index);
    return html`
      ${this.pages?.busy ? html`<div class="busy" role="progressbar" aria-label="Reading rows"></div>` : nothing}
      <div class="scroller" tabindex="0" role="grid" aria-label="Rows" aria-rowcount=${this.total + 1} aria-colcount=${shown.length + 1} aria-activedescendant=${this.active === undefined ? "" : `row-${this.active}`}
        data-testid="corpus-grid" @scroll=${this.scrolled} @keydown=${this.key}>
        <div class="head" role="row" aria-rowindex="1" style="width: ${width}px">
          <div class="cell index" role="columnheader" style="width: ${numberWidth}px" title="Position in the file">#</div>
          ${shown.map((column, index) => this.heading(column, widths[index] ?? MIN_WIDTH))}
        </div>
        <div class="spacer" style="height: ${height}px; width: ${width}px">
          ${repeat(indices, (index) => index, (index) => this.renderRow(index, base + index * ROW_HEIGHT, shown, widths, numberWidth))}
        </div>
      </div>`;
  }

  private heading(column: Column, width: number): TemplateResult {
    const sorted = this.sort?.column === column.name ? (this.sort.descending ? "descending" : "ascending") : "none";
    const numeric = column.kind === "number";
    return html`<div class="col ${numeric ? "num" : ""} ${column.derived ? "derived" : ""}" role="columnheader" aria-sort=${sorted} style="width: ${width}px">
      <button title="${column.name} · ${column.type}${column.derived ? " · computed by Tillage" : ""}\nClick to sort; Shift and arrow keys resize" data-testid="grid-heading" data-column=${column.name}
        @click=${() => this.fire("sort-by", column.name)} @keydown=${(event: KeyboardEvent) => this.headingKey(event, column.name, width)}>
        <span class="name">${column.name}</span>
        ${sorted === "none" ? nothing : html`<vscode-icon name=${sorted === "ascending" ? "arrow-up" : "arrow-down"} size="14"></vscode-icon>`}
      </button>
      <div class="sash" @pointerdown=${(event: PointerEvent) => this.dragWidth(event, column.name, width)}></div>
    </div>`;
  }

  private rowAt(index: number): PageRow | undefined {
    // Until a new query has answered, what the last one gave stays on screen.
    return this.pages?.row(index) ?? (this.pages?.total === undefined ? this.answered?.row(index) : undefined);
  }

  private renderRow(index: number, y: number, columns: readonly Column[], widths: readonly number[], numberWidth: number): TemplateResult {
    const row = this.rowAt(index);
    const selected = row !== undefined && row.row === this.selected;
    return html`<div class="row ${row ? "hoverable" : ""} ${selected ? "selected" : ""} ${index === this.active ? "active" : ""}" id="row-${index}" role="row" aria-rowindex=${index + 2} aria-selected=${String(selected)}
      style="transform: translateY(${y}px)" data-testid="grid-row" data-row=${row?.row ?? ""} @click=${() => this.activate(index)}>
      <div class="cell index" role="rowheader" style="width: ${numberWidth}px">${row ? formatCount(row.row + 1) : ""}</div>
      ${columns.map((column, place) => this.renderCell(row, column, widths[place] ?? MIN_WIDTH))}
    </div>`;
  }

  private renderCell(row: PageRow | undefined, column: Column, width: number): TemplateResult {
    if (!row) return html`<div class="cell" role="gridcell" style="width: ${width}px"><span class="wait"></span></div>`;
    const cell = row.cells[this.columns.indexOf(column)] ?? null;
    const text = cellText(cell, column.kind);
    const flag = column.derived && ((column.name === "pii" && text !== "none") || (column.name === "quality" && text !== "ok"));
    const kind = `${column.kind === "number" ? "num" : ""} ${column.derived ? "derived" : ""} ${cell === null ? "null" : ""} ${flag && cell !== null ? "flag" : ""}`;
    const needle = this.search.mode === "literal" && !column.derived ? this.search.text : "";
    const parts = typeof cell === "string" ? splitMatches(text, needle, this.search.caseSensitive) : [text];
    return html`<div class="cell ${kind}" role="gridcell" style="width: ${width}px">${parts.length === 1 ? text : parts.map((part, index) => (index % 2 === 1 ? html`<mark>${part}</mark>` : part))}</div>`;
  }

  private ownOrScroll(): number {
    if (this.ownScroll >= 0) return this.ownScroll;
    return this.hasUpdated ? this.scroller.scrollTop : 0;
  }

  private scrolled(): void {
    const at = this.scroller.scrollTop;
    if (Math.abs(at - this.ownScroll) < 1) return;
    this.ownScroll = -1;
    this.top = topRow(at, this.size.height, this.total);
    this.requestUpdate();
  }

  /** Where the scroll range is shorter than the rows, one notch of the wheel would skip thousands: it moves by rows instead. */
  private wheel(event: WheelEvent): void {
    if (!viewportOf(this.total).compressed || event.deltaY === 0 || event.shiftKey || event.ctrlKey) return;
    event.preventDefault();
    const pixels = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY : event.deltaY * ROW_HEIGHT;
    this.moveTo(this.top + pixels / ROW_HEIGHT);
  }

  private moveTo(top: number): void {
    this.top = Math.min(Math.max(0, top), lastTop(this.size.height, this.total));
    this.scroller.scrollTop = scrollTopOf(this.top, this.size.height, this.total);
    // What the browser made of it, rounding included.
    this.ownScroll = this.scroller.scrollTop;
    this.requestUpdate();
  }

  private followWish(): void {
    const wish = this.scrollWish;
    if (!wish || wish === this.followed || this.total <= wish.row || this.size.height === 0) return;
    this.followed = wish;
    this.moveTo(wish.row - this.size.height / ROW_HEIGHT / 2);
  }

  private key(event: KeyboardEvent): void {
    if (event.target !== this.scroller || this.total === 0) return;
    const page = Math.max(1, Math.floor(this.size.height / ROW_HEIGHT) - 1);
    const now = this.active ?? Math.ceil(this.top) - (event.key === "ArrowDown" ? 1 : 0);
    const targets: Record<string, number> = { ArrowDown: now + 1, ArrowUp: now - 1, PageDown: now + page, PageUp: now - page, Home: 0, End: this.total - 1, Enter: now };
    const target = targets[event.key];
    if (target === undefined) return;
    event.preventDefault();
    const index = Math.min(Math.max(0, target), this.total - 1);
    this.moveTo(reveal(index, this.top, this.size.height, this.total));
    this.activate(index);
  }

  /** Shows a row in the detail pane; one that is still on its way is shown when it comes. */
  private activate(index: number): void {
    this.active = index;
    const row = this.rowAt(index);
    this.awaited = row ? undefined : index;
    if (row) this.fire("select-row", row.row);
  }

  private headingKey(event: KeyboardEvent, column: string, width: number): void {
    const by = event.shiftKey ? (event.key === "ArrowLeft" ? -16 : event.key === "ArrowRight" ? 16 : 0) : 0;
    if (by === 0) return;
    event.preventDefault();
    this.fire("resize-column", { column, width: Math.max(MIN_WIDTH, width + by) });
  }

  private dragWidth(event: PointerEvent, column: string, width: number): void {
    const sash = event.currentTarget as HTMLElement;
    sash.setPointerCapture(event.pointerId);
    sash.classList.add("dragging");
    const move = (next: PointerEvent): void => this.fire("resize-column", { column, width: Math.max(MIN_WIDTH, width + next.clientX - event.clientX) });
    const up = (): void => {
      sash.classList.remove("dragging");
      sash.removeEventListener("pointermove", move);
    };
    sash.addEventListener("pointermove", move);
    sash.addEventListener("pointerup", up, { once: true });
    sash.addEventListener("pointercancel", up, { once: true });
  }

  private fire(name: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "tillage-grid": Grid;
  }
}
