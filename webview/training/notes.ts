import { html, nothing } from "lit";
import type { TemplateResult } from "lit";
import type { RunView } from "../../src/protocol/training-panel";
import { formatCount, plural } from "../shared/format";
import type { Ask } from "./main";

/** Warnings with the rows of their step, checkpoints, and the way to the losses of single rows. */
export function notes(run: RunView, ask: Ask, showRows: (step: number) => void): TemplateResult {
  const { warnings, checkpoints } = run.lists;
  return html`
    <div class="notes">
      ${warnings.length > 0 ? html`<section>
        <h2>Warnings <span class="muted">${formatCount(warnings.length)}</span></h2>
        <ul data-testid="warnings">${warnings.map((warning) => html`<li data-testid="warning"><vscode-icon name="warning"></vscode-icon>
          <span><span class="muted">step ${formatCount(warning.step)}</span> ${warning.message}
            ${warning.step > 0 ? html`<button class="link" @click=${() => showRows(warning.step)}>Show its rows</button>` : nothing}</span></li>`)}</ul>
      </section>` : nothing}
      <section>
        <h2>Rows and checkpoints</h2>
        <p>${run.numbers.rowLosses
          ? html`<button class="link" data-testid="row-losses" @click=${() => ask.openRowLosses(null)}>Losses of every row</button> <span class="muted">by step, as of the newest checkpoint</span>`
          : html`<span class="muted">Losses of single rows are written with the first checkpoint.</span>`}</p>
        <p data-testid="checkpoints">${checkpoints.length === 0 ? html`<span class="muted">No checkpoint yet.</span>` : html`${plural(checkpoints.length, "checkpoint")}: <span class="muted">step ${checkpoints.slice(-8).map((checkpoint) => formatCount(checkpoint.step)).join(", ")}</span>`}
          ${run.numbers.output ? html` · result in <span class="mono">${run.numbers.output}/</span>` : nothing}</p>
        ${run.numbers.best ? html`<p data-testid="best">The result is the checkpoint at step ${formatCount(run.numbers.best.step)}, whose validation loss is the lowest: ${run.numbers.best.loss.toFixed(3)}.${run.numbers.early ? " Early stopping ended the run." : ""}</p>` : nothing}
        <p class="muted">Click a point of a curve to see the rows of its batch. Drag to zoom, double-click to go back.</p>
      </section>
    </div>
  `;
}
