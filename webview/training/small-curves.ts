import { css, html, LitElement } from "lit";
import type { TemplateResult } from "lit";
import { customElement, property } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import type { Points } from "../../src/core/run/points";
import type { RunView } from "../../src/protocol/training-panel";
import { formatBytes, formatPercent, formatScaled } from "../shared/format";
import "../shared/line-chart";
import type { Curve } from "../shared/line-chart";
import { theme } from "../shared/theme";
import { X } from "./axes";
import { markedX, stepAt } from "./loss-data";
import type { View } from "./main";
import { formatLoss, formatNorm, formatRate, formatTick } from "./numbers";

interface Small {
  id: string;
  column: keyof Points;
  label: string;
  /** Said of the chart under the pointer. */
  title: string;
  format: (value: number) => string;
  /** The numbers are plain: their axis has labels by their distance. */
  plain?: boolean;
  color: string;
  /** Shown of every run, also while it has no value; others only of runs that have one. */
  always?: boolean;
}

/** The charts, those that say most of an objective first. */
const SMALL: readonly Small[] = [
  { id: "reward", column: "reward", label: "reward", title: "Mean reward of a step's answers", format: formatLoss, plain: true, color: "yellow" },
  { id: "accuracy", column: "accuracy", label: "preferred", title: "Share of a step's pairs whose chosen answer has the larger implicit reward", format: formatPercent, color: "yellow" },
  { id: "margin", column: "margin", label: "reward margin", title: "How much larger the implicit reward of chosen answers is than that of rejected ones", format: formatNorm, plain: true, color: "foreground" },
  { id: "kl", column: "kl", label: "KL, nats", title: "How far the model is from its reference or its teacher, a token on average; for KTO how far unrelated answers drifted", format: formatNorm, plain: true, color: "purple" },
  { id: "answer-length", column: "answerLength", label: "answer length, tokens", title: "Mean length of a step's answers", format: formatNorm, plain: true, color: "green" },
  { id: "value-loss", column: "valueLoss", label: "value loss", title: "Mean squared error of the values, clipped as the run file says", format: formatNorm, plain: true, color: "red" },
  { id: "explained", column: "explained", label: "explained variance", title: "Share of the returns' variance that the values explained before the step's updates: 1 is all of it, below 0 is worse than their mean", format: formatLoss, plain: true, color: "foreground" },
  { id: "policy-kl", column: "policyKl", label: "policy KL, nats", title: "How far a step's updates moved the policy from the one that drew the answers", format: formatNorm, plain: true, color: "purple" },
  { id: "clip-share", column: "clipShare", label: "clipped tokens", title: "Share of tokens whose ratio was clipped", format: formatPercent, color: "red" },
  { id: "lr", column: "lr", label: "learning rate", title: "Learning rate", format: formatRate, color: "purple", always: true },
  { id: "grad-norm", column: "gradNorm", label: "gradient norm", title: "Norm of the gradient before it is clipped", format: formatNorm, plain: true, color: "red", always: true },
  { id: "speed", column: "tokensPerSecond", label: "tokens/s", title: "Tokens a second", format: formatScaled, color: "green", always: true },
  { id: "memory", column: "memoryBytes", label: "memory", title: "Memory of the engine's process", format: formatBytes, color: "blue", always: true },
];

/** One curve each, whose array stays the same, so that charts are not built anew with every message. */
const CURVES = new Map<string, Curve[]>(SMALL.map(({ id, label, color }) => [id, [{ label, color: `var(--vscode-charts-${color})`, width: 1 }]]));

/** The small charts of a run, with a crosshair in common. Fires `pick` with a step. */
@customElement("training-small-curves")
export class TrainingSmallCurves extends LitElement {
  @property({ attribute: false }) run!: RunView;
  @property({ attribute: false }) view!: View;
  @property({ attribute: false }) marked: number | undefined;

  static override styles = [theme, css`
    :host { display: block; min-width: 0; container-type: inline-size; margin-top: 16px; }
    .small { display: grid; grid-template-columns: repeat(auto-fill, minmax(220px, 1fr)); gap: 12px 8px; }
  `];

  override render(): TemplateResult {
    const { points } = this.run;
    const x = X[this.view.x];
    const marked = markedX(points, this.view.x, this.marked);
    const shown = SMALL.filter(({ column, always }) => always ?? points[column].some((value: number | null) => Number.isFinite(value)));
    return html`<div class="small">${repeat(shown, ({ id }) => id, (chart) => html`<tillage-line-chart small pickable title=${chart.title} data-testid=${`chart-${chart.id}`} .height=${130} .xLabel=${x.label} .xFormat=${x.format}
      .yLabel=${chart.label} .yFormat=${chart.format} .yTick=${chart.plain ? formatTick : undefined} sync="run" .curves=${CURVES.get(chart.id) ?? []}
      .data=${[points[this.view.x], points[chart.column]]} .marked=${marked} @pick=${this.pick}></tillage-line-chart>`)}</div>`;
  }

  private readonly pick = (event: CustomEvent<{ x: number }>): void => {
    event.stopPropagation();
    const step = stepAt(this.run.points, this.view.x, event.detail.x);
    if (step !== undefined) this.dispatchEvent(new CustomEvent("pick", { detail: { x: step } }));
  };
}
