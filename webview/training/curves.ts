import { css, html, LitElement, nothing } from "lit";
import type { TemplateResult } from "lit";
import { customElement, property } from "lit/decorators.js";
import { classMap } from "lit/directives/class-map.js";
import type { RunView } from "../../src/protocol/training-panel";
import "../shared/line-chart";
import type { Curve } from "../shared/line-chart";
import { theme } from "../shared/theme";
import { X } from "./axes";
import { lossChart, markedX, OVERLAY_COLORS, stepAt } from "./loss-data";
import type { View } from "./main";
import { formatLoss, formatTick } from "./numbers";

/** The loss over steps, tokens or time. Fires `pick` with a step, `view` with a change, `overlays`. */
@customElement("training-curves")
export class TrainingCurves extends LitElement {
  @property({ attribute: false }) run!: RunView;
  @property({ attribute: false }) view!: View;
  @property({ attribute: false }) marked: number | undefined;

  static override styles = [theme, css`
    :host { display: block; min-width: 0; container-type: inline-size; }
    .tools { display: flex; flex-wrap: wrap; gap: 4px 16px; align-items: center; min-height: 28px; }
    h2 { font-size: inherit; font-weight: 600; margin: 0; }
    .legend { display: flex; flex-wrap: wrap; gap: 4px 12px; color: var(--t-muted); }
    .legend span { display: inline-flex; align-items: center; gap: 4px; }
    .line { width: 14px; height: 0; border-top: 2px solid; }
    .line.faint { opacity: 0.4; }
    .dot { width: 7px; height: 7px; border-radius: 50%; }
    .end { margin-left: auto; display: flex; flex-wrap: wrap; gap: 4px 12px; align-items: center; }
    .group { display: inline-flex; border: 1px solid var(--t-line); border-radius: 3px; overflow: hidden; }
    .group button, .toggle {
      border: 0; padding: 2px 8px; background: none; color: inherit; font: inherit; cursor: pointer;
    }
    .group button + button { border-left: 1px solid var(--t-line); }
    .toggle { border: 1px solid var(--t-line); border-radius: 3px; }
    .group button:hover, .toggle:hover { background: var(--t-hover); }
    .group button[aria-pressed="true"], .toggle[aria-pressed="true"] {
      background: var(--vscode-inputOption-activeBackground); color: var(--vscode-inputOption-activeForeground, inherit);
      outline: 1px solid var(--vscode-inputOption-activeBorder, transparent); outline-offset: -1px;
    }
    label { display: inline-flex; align-items: center; gap: 6px; color: var(--t-muted); }
    input[type="range"] { width: 88px; accent-color: var(--t-accent); }
    .value { min-width: 2.2em; text-align: right; }
    .empty { display: grid; place-items: center; height: 300px; color: var(--t-muted); border: 1px dashed var(--t-line); border-radius: 4px; text-align: center; }
  `];

  override render(): TemplateResult {
    const { run, view } = this;
    const x = X[view.x];
    return html`
      <div class="tools">
        <h2>Loss</h2>
        <div class="legend">
          <span><i class="line faint" style="color:var(--t-accent)"></i>train</span>
          <span><i class="line" style="color:var(--t-accent)"></i>smoothed</span>
          ${run.lists.validation.length > 0 ? html`<span><i class="dot" style="background:var(--t-warn)"></i>validation</span>` : nothing}
          ${run.overlays.map((overlay, index) => html`<span><i class="line" style="color:${OVERLAY_COLORS[index % OVERLAY_COLORS.length]}"></i>${overlay.label}</span>`)}
        </div>
        <div class="end">
          <label title="Weight of the exponential moving average">smoothing
            <input type="range" min="0" max="0.99" step="0.01" data-testid="smoothing" .value=${String(view.smoothing)} @change=${this.smooth}><span class="value">${view.smoothing.toFixed(2)}</span></label>
          <div class="group" role="group" aria-label="horizontal axis">
            ${(["step", "tokens", "seconds"] as const).map((name) => html`<button data-testid=${`x-${name}`} aria-pressed=${String(view.x === name)} @click=${() => this.change({ x: name })}>${X[name].label}</button>`)}
          </div>
          <button class=${classMap({ toggle: true })} data-testid="log-scale" aria-pressed=${String(view.log)} title="Logarithmic loss axis" @click=${() => this.change({ log: !view.log })}>log</button>
          <button class="toggle" data-testid="overlay" title="Lay other runs over this one" @click=${() => this.dispatchEvent(new CustomEvent("overlays"))}>overlay…</button>
        </div>
      </div>
      ${run.points.step.length === 0 ? this.empty() : html`
        <tillage-line-chart pickable data-testid="loss-chart" data-points=${run.points.step.length} .height=${300} .log=${view.log} .xLabel=${x.label} .xFormat=${x.format} yLabel=${["pretrain", "sft"].includes(run.head.objective) ? "loss (nats)" : "loss"} .yFormat=${formatLoss} .yTick=${formatTick}
          sync="run" .curves=${this.lossCurves()} .data=${lossChart(run, view.x)} .marked=${markedX(run.points, view.x, this.marked)} @pick=${this.pick}></tillage-line-chart>`}
    `;
  }

  private empty(): TemplateResult {
    const { phase } = this.run.numbers;
    const text = phase === "waiting" || phase === "running" ? "The first step is on its way: the engine reads the rows." : "This run has no step yet.";
    return html`<div class="empty" data-testid="no-steps">${text}</div>`;
  }

  /** The same array as long as it says the same, so that charts are not built anew with every message. */
  private readonly kept = new Map<string, Curve[]>();

  private lossCurves(): Curve[] {
    const key = `loss ${this.run.overlays.map((overlay) => overlay.dir).join(" ")}`;
    const known = this.kept.get(key) ?? [
      { label: "train", color: "var(--t-accent)", width: 1, opacity: 0.35 },
      { label: "smoothed", color: "var(--t-accent)", width: 2 },
      { label: "validation", color: "var(--t-warn)", points: true },
      ...this.run.overlays.map((overlay, index) => ({ label: overlay.label, color: OVERLAY_COLORS[index % OVERLAY_COLORS.length] ?? "#888", width: 1.5, dash: [4, 2] })),
    ];
    this.kept.set(key, known);
    return known;
  }

  private readonly pick = (event: CustomEvent<{ x: number }>): void => {
    event.stopPropagation();
    const step = stepAt(this.run.points, this.view.x, event.detail.x);
    if (step !== undefined) this.dispatchEvent(new CustomEvent("pick", { detail: { x: step } }));
  };

  private readonly smooth = (event: Event): void => this.change({ smoothing: Number((event.target as HTMLInputElement).value) });

  private change(view: Partial<View>): void {
    this.dispatchEvent(new CustomEvent("view", { detail: view }));
  }
}
