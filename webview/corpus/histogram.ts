import { css, html, LitElement, nothing, svg } from "lit";
import type { TemplateResult } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import type { Facet } from "../../src/protocol/corpus";
import { formatCount } from "../shared/format";
import { theme } from "../shared/theme";
import { barHeights, binAt, brushOfRange, dragBrush, moveHandle, rangeOfBrush, shiftBrush } from "./brush";
import type { Brush } from "./brush";
import { plainNumber } from "./view-state";
import type { Range } from "./view-state";

const HEIGHT = 48;
const KEYS: Record<string, number> = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: 5, PageDown: -5, Home: -Infinity, End: Infinity };

/** A histogram with a brush: drag to select, drag the selection to move it, its handles or arrow keys to change it, double-click or Escape to clear. Fires `brush`. */
@customElement("tillage-histogram")
export class Histogram extends LitElement {
  static override styles = [theme, css`
    :host { display: block; }
    .chart { position: relative; height: ${HEIGHT}px; cursor: crosshair; touch-action: none; border-bottom: 1px solid var(--t-line); }
    svg { display: block; width: 100%; height: 100%; overflow: visible; }
    .all { fill: var(--vscode-descriptionForeground); opacity: 0.28; }
    .selected { fill: var(--t-accent); }
    .window { position: absolute; top: 0; bottom: 0; cursor: grab; background: var(--vscode-editor-selectionBackground); opacity: 0.35; }
    .handle { position: absolute; top: 0; bottom: -3px; width: 9px; margin-left: -4px; cursor: ew-resize; }
    .handle::after { content: ""; position: absolute; left: 3px; top: 0; bottom: 0; width: 3px; border-radius: 2px; background: var(--t-accent); }
    .handle:not(.set)::after { opacity: 0; }
    .chart:hover .handle:not(.set)::after { opacity: 0.5; }
    .handle:focus-visible { outline: 1px solid var(--vscode-focusBorder); outline-offset: 0; }
    .bounds { display: grid; grid-template-columns: 1fr 1fr; gap: 8px; margin-top: 4px; }
    .bounds input { width: 100%; min-width: 0; height: 20px; padding: 0 4px; border: 1px solid transparent; border-radius: 2px; background: none; color: var(--t-muted); font: inherit; font-size: 11px;
      font-variant-numeric: tabular-nums; }
    .bounds input:last-child { text-align: right; }
    .bounds input:hover, .bounds input:focus { border-color: var(--vscode-input-border, var(--t-line)); background: var(--vscode-input-background); color: var(--vscode-input-foreground); outline: none; }
    .bounds input:focus { border-color: var(--vscode-focusBorder); }
    .bounds input.set { color: var(--vscode-foreground); font-weight: 600; }
    .tip { position: absolute; z-index: 10; bottom: calc(100% + 2px); transform: translateX(-50%); padding: 2px 6px; border-radius: 3px; font-size: 11px; white-space: nowrap; pointer-events: none;
      background: var(--vscode-editorHoverWidget-background); color: var(--vscode-editorHoverWidget-foreground); border: 1px solid var(--vscode-editorHoverWidget-border, var(--t-line)); }
  `];

  @property({ attribute: false }) facet!: Extract<Facet, { kind: "histogram" }>;
  /** The counts are estimates. */
  @property({ type: Boolean }) estimated = false;
  @property({ attribute: false }) range: Range | undefined;
  @property({ type: Boolean }) integers = false;
  /** What the pointer is drawing; sent on the way, so that everything follows the drag. */
  @state() private drawing: Brush | undefined;
  @state() private hover: number | undefined;
  @query(".chart") private chart!: HTMLElement;
  private frame: number | undefined;

  private get bins(): Extract<Facet, { kind: "histogram" }>["bins"] {
    return this.facet.bins;
  }

  private get brush(): Brush | undefined {
    return this.drawing ?? (this.range ? brushOfRange(this.range, this.bins, this.integers) : undefined);
  }

  override render(): TemplateResult {
    const { bins } = this;
    const count = bins.length;
    if (count === 0) return html`<p class="muted">No numbers in this column.</p>`;
    const brush = this.brush ?? { from: 0, to: count };
    const left = (brush.from / count) * 100;
    const right = (brush.to / count) * 100;
    const set = this.brush !== undefined;
    return html`
      <div class="chart" data-testid="histogram" @pointerdown=${this.down} @dblclick=${() => this.fire(null)}
        @pointermove=${(event: PointerEvent) => (this.hover = this.binOf(event))} @pointerleave=${() => (this.hover = undefined)}>
        ${this.bars()}
        ${set ? html`<div class="window" style="left: ${left}%; width: ${right - left}%" data-testid="histogram-window"></div>` : nothing}
        ${this.handle("from", left, brush, set && brush.from > 0)} ${this.handle("to", right, brush, set && brush.to < count)}
        ${this.tip()}
      </div>
      <div class="bounds">${this.bound("min")}${this.bound("max")}</div>`;
  }

  private bars(): TemplateResult {
    const { bins } = this;
    const peak = Math.max(...bins.map((bin) => bin.all));
    const all = barHeights(bins.map((bin) => bin.all), peak);
    const selected = barHeights(bins.map((bin) => bin.selected), peak);
    const bar = (index: number, height: number, kind: string) =>
      height === 0 ? nothing : svg`<rect class=${kind} x=${index + 0.06} width="0.88" y=${HEIGHT - Math.max(1, height * (HEIGHT - 2))} height=${Math.max(1, height * (HEIGHT - 2))}></rect>`;
    return html`<svg viewBox="0 0 ${bins.length} ${HEIGHT}" preserveAspectRatio="none" aria-hidden="true">
      ${bins.map((_bin, index) => [bar(index, all[index] ?? 0, "all"), bar(index, selected[index] ?? 0, "selected")])}</svg>`;
  }

  /** An estimate has two digits that mean something. */
  private rowsOf(rows: number): string {
    return formatCount(this.estimated ? Number(rows.toPrecision(2)) : rows);
  }

  private tip(): TemplateResult | typeof nothing {
    const bin = this.hover === undefined ? undefined : this.bins[this.hover];
    if (!bin || this.hover === undefined) return nothing;
    const at = Math.min(Math.max(((this.hover + 0.5) / this.bins.length) * 100, 25), 75);
    return html`<div class="tip" style="left: ${at}%">${plainNumber(round(bin.x0, bin))} – ${plainNumber(round(bin.x1, bin))}:
      ${this.estimated ? "about " : ""}${bin.selected === bin.all ? "" : `${this.rowsOf(bin.selected)} of `}${this.rowsOf(bin.all)} ${bin.all === 1 ? "row" : "rows"}</div>`;
  }

  private handle(side: "from" | "to", at: number, brush: Brush, set: boolean): TemplateResult {
    const range = rangeOfBrush(brush, this.bins, this.integers);
    const value = side === "from" ? range.min ?? this.facet.min : range.max ?? this.facet.max;
    return html`<div class="handle ${set ? "set" : ""}" style="left: ${at}%" role="slider" tabindex="0" data-side=${side} data-testid="histogram-${side}"
      aria-label="${this.facet.column}, ${side === "from" ? "lowest" : "highest"}" aria-valuemin=${this.facet.min} aria-valuemax=${this.facet.max} aria-valuenow=${value}
      aria-valuetext=${plainNumber(value)} @keydown=${(event: KeyboardEvent) => this.key(event, side)}></div>`;
  }

  private bound(side: "min" | "max"): TemplateResult {
    const set = this.drawing ? rangeOfBrush(this.drawing, this.bins, this.integers)[side] : this.range?.[side];
    const value = set ?? this.facet[side];
    return html`<input class=${set === null || set === undefined ? "" : "set"} inputmode="decimal" data-testid="histogram-${side}-input"
      aria-label="${this.facet.column}, ${side === "min" ? "at least" : "at most"}" title=${side === "min" ? "At least" : "At most"}
      .value=${plainNumber(value)} @focus=${(event: FocusEvent) => (event.target as HTMLInputElement).select()}
      @change=${(event: Event) => this.typed(side, event.target as HTMLInputElement)}>`;
  }

  private typed(side: "min" | "max", input: HTMLInputElement): void {
    const text = input.value.replaceAll(",", "").replace("−", "-").trim();
    const value = text === "" ? null : Number(text);
    if (value !== null && !Number.isFinite(value)) {
      input.value = plainNumber(this.range?.[side] ?? this.facet[side]);
      return;
    }
    const next = { min: this.range?.min ?? null, max: this.range?.max ?? null, [side]: value };
    // A bound beyond the other one moves it along, so that the range is never empty by mistake.
    if (next.min !== null && next.max !== null && next.min > next.max) next[side === "min" ? "max" : "min"] = value;
    this.fire(next);
  }

  private binOf(event: PointerEvent): number {
    const box = this.chart.getBoundingClientRect();
    return binAt(event.clientX - box.left, box.width, this.bins.length);
  }

  private down(event: PointerEvent): void {
    if (event.button !== 0) return;
    const target = event.target as HTMLElement;
    const start = this.binOf(event);
    const before = this.brush ?? { from: 0, to: this.bins.length };
    const side = target.dataset["side"] as "from" | "to" | undefined;
    const moving = target.classList.contains("window");
    const anchor = side === "from" ? Math.ceil(before.to) - 1 : side === "to" ? Math.floor(before.from) : start;
    let moved = false;
    this.chart.setPointerCapture(event.pointerId);
    const move = (next: PointerEvent): void => {
      const bin = this.binOf(next);
      if (!moved && bin === start && Math.abs(next.clientX - event.clientX) < 3) return;
      moved = true;
      const brush = moving ? shiftBrush(before, bin - start, this.bins.length) : dragBrush(anchor, bin);
      if (this.drawing && brush.from === this.drawing.from && brush.to === this.drawing.to) return;
      this.drawing = brush;
      this.sendSoon();
    };
    const up = (): void => {
      this.chart.removeEventListener("pointermove", move);
      this.chart.removeEventListener("pointerup", up);
      this.chart.removeEventListener("pointercancel", up);
      const drawn = this.drawing;
      this.drawing = undefined;
      window.clearTimeout(this.frame);
      this.frame = undefined;
      if (drawn) this.send(drawn);
    };
    this.chart.addEventListener("pointermove", move);
    this.chart.addEventListener("pointerup", up);
    this.chart.addEventListener("pointercancel", up);
  }

  private key(event: KeyboardEvent, side: "from" | "to"): void {
    if (event.key === "Escape") {
      this.fire(null);
      return;
    }
    const by = KEYS[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const count = this.bins.length;
    const step = Number.isFinite(by) ? by * (event.shiftKey ? 5 : 1) : by < 0 ? -count : count;
    this.send(moveHandle(this.brush ?? { from: 0, to: count }, side, step, count));
  }

  /** At most eight queries a second while a drag goes on. */
  private sendSoon(): void {
    this.frame ??= window.setTimeout(() => {
      this.frame = undefined;
      if (this.drawing) this.send(this.drawing);
    }, 120);
  }

  private send(brush: Brush): void {
    const range = rangeOfBrush(brush, this.bins, this.integers);
    this.fire(range.min === null && range.max === null ? null : range);
  }

  private fire(range: Range | null): void {
    this.dispatchEvent(new CustomEvent("brush", { detail: range }));
  }
}

/** Bin edges carry no more digits than their width asks for. */
function round(edge: number, bin: { x0: number; x1: number }): number {
  const width = bin.x1 - bin.x0;
  if (width <= 0) return edge;
  const digits = Math.max(0, 2 - Math.floor(Math.log10(width)));
  return digits > 15 ? edge : Number(edge.toFixed(Math.min(digits, 12)));
}
