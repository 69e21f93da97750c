import { html, nothing } from "lit";
import type { TemplateResult } from "lit";
import type { StepCount } from "../../src/protocol/corpus";
import type { ReceiptsState } from "../../src/protocol/receipts-panel";
import { formatCount, formatDelta } from "../shared/format";

/** The steps in order with what each took; choosing one shows its rows below. */
export function stepsView(host: ReceiptsState, select: (step: number | null) => void): TemplateResult {
  const widest = Math.max(1, host.rowsIn, ...host.steps.map((step) => step.in));
  return html`<div class="steps" role="listbox" aria-label="Steps" data-testid="steps">
    <div class="step step-head" role="presentation"><span>step</span><span class="num">in</span><span class="num">out</span><span class="num">dropped</span><span class="num">changed</span><span>rows left</span><span>why</span></div>
    ${host.kind === "dataset" ? html`<button class="step" role="option" aria-selected=${host.selected === null} data-testid="step-all" @click=${() => select(null)}>
      <span>all steps</span><span class="num">${formatCount(host.rowsIn)}</span><span class="num">${formatCount(host.rowsOut)}</span>
      <span class="num">${formatDelta(host.rowsOut - host.rowsIn)}</span><span class="num">${formatCount(host.steps.reduce((sum, step) => sum + touched(step), 0))}</span>${bar(host.rowsIn, host.rowsOut, widest)}<span></span></button>` : nothing}
    ${host.steps.map((step) => row(step, host.selected === step.index, widest, () => select(step.index)))}
  </div>`;
}

/** Rows that stayed but are not as they were: their text or their weight is another. */
const touched = (step: StepCount): number => step.changed + (step.weighted ?? 0);

function row(step: StepCount, selected: boolean, widest: number, select: () => void): TemplateResult {
  const reasons = step.reasons.slice(0, 3).map(({ reason, rows }) => `${reason} ${formatCount(rows)}`).join(" · ");
  const more = step.reasons.length > 3 ? ` · ${step.reasons.length - 3} more` : "";
  return html`<button class="step" role="option" aria-selected=${selected} data-testid="step" data-step=${step.index} @click=${select}>
    <span>${step.index + 1}. ${step.step}</span><span class="num">${formatCount(step.in)}</span><span class="num">${formatCount(step.out)}</span>
    <span class="num ${step.out < step.in ? "loss" : "muted"}">${formatDelta(step.out - step.in)}</span><span class="num ${touched(step) > 0 ? "" : "muted"}">${formatCount(touched(step))}</span>
    ${bar(step.in, step.out, widest)}<span class="muted why" title=${reasons + more}>${reasons}${more}</span></button>`;
}

function bar(rowsIn: number, rowsOut: number, widest: number): TemplateResult {
  return html`<span class="flow" aria-hidden="true"><span class="kept" style="width: ${(100 * rowsOut) / widest}%"></span><span class="gone" style="width: ${(100 * Math.max(0, rowsIn - rowsOut)) / widest}%"></span></span>`;
}
