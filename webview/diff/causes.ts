import { html } from "lit";
import type { TemplateResult } from "lit";
import type { DatasetDiff, DiffCause } from "../../src/protocol/dataset-diff";
import { formatCount } from "../shared/format";
import { reasonText, signs } from "./changes";
import { passes, stepTotals } from "./filter";
import type { DiffFilter } from "./filter";

/** The steps responsible, as filters, and below them each reason with its rows. */
export function causesView(diff: DatasetDiff, filter: DiffFilter, set: (change: Partial<DiffFilter>) => void): TemplateResult {
  const shown = diff.causes.filter((cause) => passes(cause, { ...filter, reason: undefined }));
  const widest = Math.max(1, ...diff.causes.map((cause) => cause.rows));
  return html`<section class="causes" aria-labelledby="causes-title">
    <h2 id="causes-title">Which step is responsible</h2>
    <div class="chips">
      ${stepTotals(diff.causes).map(({ step, added, removed, changed }) => html`<button class="chip" aria-pressed=${filter.step === step} data-testid="diff-step" data-step=${step}
        @click=${() => set({ step: filter.step === step ? undefined : step, reason: undefined })}>${step} <span class="muted">${[["+", added], ["−", removed], ["~", changed]].flatMap(([sign, rows]) => (rows === 0 ? [] : [`${sign} ${formatCount(Number(rows))}`])).join(" ")}</span></button>`)}
    </div>
    <div class="reasons" role="group" aria-label="Reasons">
      ${shown.map((cause) => reason(cause, widest, isChosen(cause, filter), () => set(isChosen(cause, filter) ? { reason: undefined } : { change: cause.change, step: cause.step, reason: cause.reason })))}
    </div>
  </section>`;
}

function isChosen(cause: DiffCause, filter: DiffFilter): boolean {
  return filter.reason !== undefined && passes(cause, filter);
}

function reason(cause: DiffCause, widest: number, chosen: boolean, choose: () => void): TemplateResult {
  const { change, step, rows } = cause;
  const text = reasonText(cause);
  return html`<button class="cause" aria-pressed=${chosen} data-testid="cause" data-change=${change} data-step=${step} @click=${choose}>
    <span class="sign ${change}">${signs[change]} <span class="sr">${change}</span></span><span class="step">${step}</span><span class="why" title=${text}>${text}</span>
    <span class="flow" aria-hidden="true"><span class=${change} style="width: ${(100 * rows) / widest}%"></span></span><span class="num">${formatCount(rows)}</span>
  </button>`;
}
