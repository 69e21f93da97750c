import { css, html, LitElement, unsafeCSS } from "lit";
import type { PropertyValues } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import uPlot from "uplot";
import uplotCss from "uplot/dist/uPlot.min.css" with { type: "text" };
import { theme } from "./theme";

/** One curve of a chart. */
export interface Curve {
  label: string;
  /** A CSS colour or `var(--…)`. */
  color: string;
  width?: number;
  /** 0 to 1. */
  opacity?: number;
  dash?: number[];
  /** Only points, no line. */
  points?: boolean;
  /** How the value is shown. */
  format?: (value: number) => string;
  /** Not in the readout under the pointer. */
  quiet?: boolean;
}

/** `data[0]` is x, ascending; then one array a curve, null where it has no value. */
export type ChartData = [number[], ...(number | null | undefined)[][]];

/** A scale with a logarithmic axis, by uPlot's number for it. */
const LOGARITHMIC: uPlot.Scale = { distr: 3 };

interface Readout {
  left: number;
  top: number;
  flip: boolean;
  title: string;
  lines: { label: string; color: string; value: string }[];
}

/**
 * Curves over a common x, drawn by uPlot in VS Code's colours, with a readout under the pointer. Both axes are labelled.
 * Fires `pick` with the index of the nearest x when it is clicked, or when Enter is pressed after moving with the arrow keys.
 */
@customElement("tillage-line-chart")
export class LineChart extends LitElement {
  @property({ attribute: false }) data: ChartData = [[]];
  @property({ attribute: false }) curves: Curve[] = [];
  @property() xLabel = "";
  @property() yLabel = "";
  @property({ attribute: false }) xFormat: (value: number) => string = String;
  @property({ attribute: false }) yFormat: (value: number) => string = String;
  /** The y axis's labels, which lie `step` apart; `yFormat` when absent. */
  @property({ attribute: false }) yTick: ((value: number, step: number) => string) | undefined;
  @property({ type: Boolean }) log = false;
  @property({ type: Number }) height = 280;
  /** Charts with the same key share their crosshair. */
  @property() sync = "";
  /** The x that is marked, if any. */
  @property({ attribute: false }) marked: number | undefined;
  @property({ type: Boolean }) pickable = false;
  /** The y axis's name and the newest value stand above it instead of beside it and under the pointer. */
  @property({ type: Boolean }) small = false;

  @state() private readout: Readout | undefined;
  /** The index under the pointer of this chart or of one that shares its crosshair. */
  @state() private index: number | undefined;
  @query(".plot") private host!: HTMLElement | null;
  private plot: uPlot | undefined;
  private readonly resize = new ResizeObserver(() => this.fit());
  private readonly themes = new MutationObserver(() => this.rebuild());

  static override styles = [theme, unsafeCSS(uplotCss), css`
    :host { display: block; position: relative; min-width: 0; }
    .plot { width: 100%; overflow: hidden; }
    .plot:focus-visible { outline-offset: -1px; }
    .u-over { cursor: crosshair; }
    .u-cursor-x { border-right: 1px dashed var(--t-muted); }
    .u-cursor-y { display: none; }
    .u-cursor-pt { border-width: 1px; }
    .tip {
      position: absolute; z-index: 2; pointer-events: none; padding: 4px 8px; white-space: nowrap; border-radius: 3px; font-size: 12px;
      color: var(--vscode-editorHoverWidget-foreground, var(--vscode-foreground)); background: var(--vscode-editorHoverWidget-background, var(--vscode-editor-background));
      border: 1px solid var(--vscode-editorHoverWidget-border, var(--t-line));
    }
    .tip.flip { transform: translateX(-100%); }
    .tip div { display: flex; gap: 8px; align-items: baseline; }
    .tip .value { margin-left: auto; padding-left: 8px; }
    .head { display: flex; gap: 8px; padding: 0 12px 0 4px; font-size: 12px; }
    .head .value { margin-left: auto; }
    .swatch { width: 8px; height: 8px; border-radius: 2px; flex: none; }
  `];

  override connectedCallback(): void {
    super.connectedCallback();
    this.themes.observe(document.body, { attributes: true, attributeFilter: ["class", "data-vscode-theme-id"] });
    this.themes.observe(document.documentElement, { attributes: true, attributeFilter: ["style"] });
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.resize.disconnect();
    this.themes.disconnect();
    this.plot?.destroy();
    this.plot = undefined;
  }

  override firstUpdated(): void {
    if (this.host) this.resize.observe(this.host);
  }

  override updated(changed: PropertyValues<this>): void {
    const structural = ["curves", "log", "xLabel", "yLabel", "height", "sync"] as const;
    if (!this.plot || structural.some((name) => changed.has(name))) this.rebuild();
    else if (changed.has("data")) this.plot.setData(this.data);
    else if (changed.has("marked")) this.plot.redraw();
  }

  override render() {
    const tip = this.readout;
    const values = this.data[1] ?? [];
    const value = values[this.index ?? values.length - 1];
    return html`
      ${this.small ? html`<div class="head"><span class="muted">${this.yLabel}</span><span class="value">${value === null || value === undefined ? "" : this.yFormat(value)}</span></div>` : ""}
      <div class="plot" tabindex=${this.pickable ? "0" : "-1"} role="img" aria-label=${`${this.yLabel} over ${this.xLabel}`} @keydown=${this.key}></div>
      ${tip ? html`<div class="tip ${tip.flip ? "flip" : ""}" data-testid="chart-readout" style="left:${tip.left}px;top:${tip.top}px">
        <strong>${tip.title}</strong>
        ${tip.lines.map((line) => html`<div><span class="swatch" style="background:${line.color}"></span>${line.label}<span class="value">${line.value}</span></div>`)}
      </div>` : ""}
    `;
  }

  private color(value: string): string {
    const name = /^var\((--[\w-]+)\)$/.exec(value)?.[1];
    return name === undefined ? value : getComputedStyle(this).getPropertyValue(name).trim() || "#888";
  }

  private fit(): void {
    const width = this.host?.clientWidth ?? 0;
    if (width > 0 && this.plot && this.plot.width !== width) this.plot.setSize({ width, height: this.height });
    else if (width > 0 && !this.plot) this.rebuild();
  }

  private rebuild(): void {
    const { host } = this;
    if (!this.isConnected || !host || host.clientWidth === 0) return;
    this.plot?.destroy();
    this.readout = undefined;
    const text = this.color("var(--t-muted)");
    const grid = this.color("var(--t-line)");
    // In high contrast the line colour is as strong as the curves.
    const contrast = document.body.classList.contains("vscode-high-contrast") || document.body.classList.contains("vscode-high-contrast-light");
    const font = `11px ${getComputedStyle(this).fontFamily}`;
    const axis = (label: string, format: (value: number, step: number) => string, size: number, space: number): uPlot.Axis => ({
      stroke: text, font, labelFont: font, label, labelSize: 16, labelGap: 0, size, space, gap: 4,
      grid: { show: !contrast, stroke: grid, width: 0.5 }, ticks: { stroke: grid, width: 0.5, size: 4 },
      values: (_plot, values, _axis, _space, step) => (values as (number | null)[]).map((value) => (value === null ? "" : format(value, step))),
    });
    // Labels of a logarithmic axis lie no fixed step apart.
    const yTick = (value: number, step: number): string => (this.yTick && !this.log ? this.yTick(value, step) : this.yFormat(value));
    this.plot = new uPlot({
      width: host.clientWidth,
      height: this.height,
      padding: [8, 12, 0, 0],
      legend: { show: false },
      scales: { x: { time: false }, y: this.log ? LOGARITHMIC : { range: paddedRange } },
      axes: [axis(this.xLabel, (value) => this.xFormat(value), 24, this.small ? 60 : 80), this.small ? { ...axis("", yTick, 56, 22), labelSize: 0 } : axis(this.yLabel, yTick, 52, 36)],
      series: [{}, ...this.curves.map((curve) => this.series(curve))],
      cursor: {
        ...(this.sync === "" ? {} : { sync: { key: this.sync, setSeries: false } }),
        drag: { x: true, y: false },
        points: { size: 6 },
      },
      hooks: { setCursor: [(plot) => this.point(plot)], draw: [(plot) => this.mark(plot)], ready: [(plot) => this.listen(plot)] },
    }, this.data, host);
  }

  private series(curve: Curve): uPlot.Series {
    const color = this.color(curve.color);
    return {
      label: curve.label, stroke: color, width: curve.points ? 0 : (curve.width ?? 1.5), alpha: curve.opacity ?? 1, spanGaps: true,
      ...(curve.dash ? { dash: curve.dash } : {}),
      ...(curve.points ? { paths: () => null } : {}),
      points: curve.points ? { show: true, size: 7, fill: color, stroke: this.color("var(--vscode-editor-background)"), width: 1 } : { show: false },
    };
  }

  private listen(plot: uPlot): void {
    let down = 0;
    plot.over.addEventListener("mousedown", (event) => (down = event.clientX));
    plot.over.addEventListener("mouseleave", () => {
      this.readout = undefined;
      this.index = undefined;
    });
    plot.over.addEventListener("click", (event) => {
      // The end of a drag, which zooms, is not a click.
      if (Math.abs(event.clientX - down) < 3) this.pick();
    });
  }

  private pick(): void {
    const index = this.plot?.cursor.idx;
    if (this.pickable && index !== null && index !== undefined) this.dispatchEvent(new CustomEvent("pick", { detail: { x: this.data[0][index] } }));
  }

  private readonly key = (event: KeyboardEvent): void => {
    const { plot } = this;
    if (!plot || !this.pickable) return;
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (step !== 0) {
      const index = Math.min(this.data[0].length - 1, Math.max(0, (plot.cursor.idx ?? -1) + step));
      const x = this.data[0][index];
      if (x !== undefined) plot.setCursor({ left: plot.valToPos(x, "x"), top: plot.over.clientHeight / 2 });
      event.preventDefault();
    } else if (event.key === "Enter") this.pick();
  };

  /** The values under the pointer. */
  private point(plot: uPlot): void {
    const { idx, left, top } = plot.cursor;
    const inside = idx !== null && idx !== undefined && left !== undefined && left >= 0;
    this.index = inside ? idx : undefined;
    if (!inside || this.small) {
      this.readout = undefined;
      return;
    }
    const lines = this.curves.flatMap((curve, index) => {
      const value = this.data[index + 1]?.[idx];
      return value === null || value === undefined || curve.quiet ? [] : [{ label: curve.label, color: curve.color, value: (curve.format ?? this.yFormat)(value) }];
    });
    const x = this.data[0][idx] ?? 0;
    const flip = left > plot.over.clientWidth / 2;
    this.readout = { left: plot.over.offsetLeft + left + (flip ? -12 : 12), top: Math.max(0, Math.min(top ?? 0, this.height - 60 - lines.length * 18)), flip, title: `${this.xLabel} ${this.xFormat(x)}`, lines };
  }

  /** A line at the marked x. */
  private mark(plot: uPlot): void {
    if (this.marked === undefined) return;
    const x = Math.round(plot.valToPos(this.marked, "x", true));
    if (x < plot.bbox.left || x > plot.bbox.left + plot.bbox.width) return;
    const { ctx } = plot;
    ctx.save();
    ctx.strokeStyle = this.color("var(--t-warn)");
    ctx.lineWidth = devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(x, plot.bbox.top);
    ctx.lineTo(x, plot.bbox.top + plot.bbox.height);
    ctx.stroke();
    ctx.restore();
  }
}

/** A little room above and below, and none below zero for values that have none. */
function paddedRange(_plot: uPlot, min: number | null, max: number | null): [number, number] {
  if (min === null || max === null) return [0, 1];
  const room = (max - min || Math.abs(max) || 1) * 0.06;
  return [min >= 0 ? Math.max(0, min - room) : min - room, max + room];
}
