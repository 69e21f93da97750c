import { css, html, LitElement } from "lit";
import type { TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import type { Sample } from "../../src/core/run/state";
import { formatCount } from "../shared/format";
import { theme } from "../shared/theme";

/** What the model answers to the watch prompts as it learns: one prompt at a time, newest answer on top. */
@customElement("training-samples")
export class TrainingSamples extends LitElement {
  @property({ attribute: false }) samples: Sample[] = [];
  @state() private chosen: string | undefined;

  static override styles = [theme, css`
    :host { display: block; min-width: 0; }
    h2 { font-size: inherit; font-weight: 600; margin: 0; min-height: 28px; display: flex; align-items: center; gap: 8px; }
    select {
      width: 100%; padding: 3px 4px; font: inherit; color: var(--vscode-dropdown-foreground); background: var(--vscode-dropdown-background);
      border: 1px solid var(--vscode-dropdown-border, var(--t-line)); border-radius: 2px;
    }
    ol { list-style: none; margin: 8px 0 0; padding: 0; max-height: 420px; overflow: auto; }
    li { padding: 6px 0; border-top: 1px solid var(--t-line); }
    .step { color: var(--t-muted); font-size: 12px; }
    .text { white-space: pre-wrap; overflow-wrap: anywhere; }
    .none { color: var(--t-muted); font-style: italic; }
    li:first-child .text { font-weight: 600; }
    .empty { color: var(--t-muted); border: 1px dashed var(--t-line); border-radius: 4px; padding: 16px; }
  `];

  override render(): TemplateResult {
    const prompts = new Map(this.samples.map((sample) => [sample.id, sample.prompt]));
    const id = this.chosen !== undefined && prompts.has(this.chosen) ? this.chosen : [...prompts.keys()][0];
    if (id === undefined) {
      return html`<h2>Watch prompts</h2><p class="empty">No answer yet. A run file with <span class="mono">watch: { eval: …, every: N }</span> asks its prompts every N steps.</p>`;
    }
    const answers = grouped(this.samples.filter((sample) => sample.id === id)).reverse();
    return html`
      <h2>Watch prompts <span class="muted">${formatCount(prompts.size)}</span></h2>
      <select aria-label="Watch prompt" data-testid="watch-prompt" @change=${(event: Event) => (this.chosen = (event.target as HTMLSelectElement).value)}>
        ${[...prompts].map(([key, prompt]) => html`<option value=${key} ?selected=${key === id}>${prompt}</option>`)}
      </select>
      <ol data-testid="samples">
        ${answers.map((answer) => html`<li data-testid="sample"><div class="step">${answer.first === answer.last ? `step ${formatCount(answer.last)}` : `steps ${formatCount(answer.first)} – ${formatCount(answer.last)}`}</div>
          <div class="text">${answer.text.trim() === "" ? html`<span class="none">(empty)</span>` : answer.text.trim()}</div></li>`)}
      </ol>
    `;
  }
}

/** Answers that stay the same from one asking to the next are shown once. */
function grouped(samples: readonly Sample[]): { first: number; last: number; text: string }[] {
  const groups: { first: number; last: number; text: string }[] = [];
  for (const { step, text } of samples) {
    const group = groups.at(-1);
    if (group?.text === text) group.last = step;
    else groups.push({ first: step, last: step, text });
  }
  return groups;
}
