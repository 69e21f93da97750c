import { css, html, LitElement, nothing } from "lit";
import type { PropertyValues, TemplateResult } from "lit";
import { customElement, property } from "lit/decorators.js";
import "@vscode-elements/elements/dist/vscode-icon/index.js";
import type { Problem } from "../../src/protocol/errors";
import type { BatchRows, DrawnAnswer } from "../../src/protocol/training-panel";
import { formatCount, plural } from "../shared/format";
import { theme } from "../shared/theme";

/** The rows that one step learned from. Fires `close`, and `why` with a row's id. */
@customElement("training-batch")
export class TrainingBatch extends LitElement {
  @property({ type: Number }) step = 0;
  @property({ attribute: false }) rows: BatchRows | undefined;
  @property({ attribute: false }) problem: Problem | undefined;

  static override styles = [theme, css`
    :host { display: block; border: 1px solid var(--t-line); border-radius: 4px; margin-top: 12px; }
    header { display: flex; gap: 8px; align-items: center; padding: 6px 12px; border-bottom: 1px solid var(--t-line); }
    h2 { font-size: inherit; font-weight: 600; margin: 0; }
    button.icon { margin-left: auto; border: 0; background: none; color: inherit; cursor: pointer; padding: 2px; border-radius: 3px; display: inline-flex; }
    button.icon:hover { background: var(--vscode-toolbar-hoverBackground); }
    .scroll { max-height: 360px; overflow: auto; }
    table { width: 100%; border-collapse: collapse; }
    th { position: sticky; top: 0; background: var(--vscode-editor-background); text-align: left; font-weight: 400; color: var(--t-muted); }
    th, td { padding: 4px 12px; border-bottom: 1px solid var(--t-line); vertical-align: top; }
    tr:last-child td { border-bottom: 0; }
    td.text { white-space: pre-wrap; overflow-wrap: anywhere; width: 100%; }
    td.text div { max-height: 5.6em; overflow: auto; }
    td.id { white-space: nowrap; }
    p { margin: 8px 12px; }
    td.text ol.answers { list-style: none; margin: 4px 0 0; padding: 0; }
    .answers li { display: grid; grid-template-columns: 56px minmax(0, 1fr) auto; gap: 12px; padding: 2px 0; border-top: 1px solid var(--t-line); }
    .answers .good { color: var(--t-good); }
    .answers .none { color: var(--t-muted); font-style: italic; }
    .answers .parts { color: var(--t-muted); font-size: 12px; white-space: nowrap; }
  `];

  override updated(changed: PropertyValues<this>): void {
    if (changed.has("rows") || changed.has("problem")) this.scrollIntoView({ block: "nearest" });
  }

  override render(): TemplateResult {
    const { rows, problem } = this;
    const drawn = rows?.rows.some((row) => row.answers !== undefined) ?? false;
    // What a policy's loss is of one row says less than what its answers were worth.
    const losses = !drawn && (rows?.rows.some((row) => row.loss !== undefined) ?? false);
    const weights = rows?.rows.some((row) => row.weight !== undefined) ?? false;
    return html`
      <header>
        <h2>Rows of step ${formatCount(this.step)}</h2>
        <span class="muted">${rows ? `${plural(rows.rows.length, "row")}${drawn ? ", lowest reward first · ✓ better than expected, ✗ worse" : losses ? ", highest loss first" : ""}` : ""}</span>
        <button class="icon" aria-label="Close" data-testid="batch-close" @click=${() => this.dispatchEvent(new CustomEvent("close"))}><vscode-icon name="close"></vscode-icon></button>
      </header>
      ${problem ? html`<p role="alert">${problem.message} ${problem.remedy}</p>` : !rows ? html`<p class="muted" role="status">Looking up the rows…</p>` : html`
        ${rows.missing > 0 ? html`<p class="muted">${plural(rows.missing, "row")} of this batch ${rows.missing === 1 ? "is" : "are"} not in the dataset any more.</p>` : nothing}
        ${rows.lossProblem ? html`<p class="muted" role="alert">The rows' losses could not be read: ${rows.lossProblem.message}</p>` : nothing}
        <div class="scroll"><table data-testid="batch-rows">
          <thead><tr>${drawn ? html`<th class="num" title="Mean reward of the row's answers">reward</th>` : nothing}${losses ? html`<th class="num" title="Mean over the row's tokens, nats">loss</th>` : nothing}${weights ? html`<th class="num" title="What the row counts">weight</th>` : nothing}<th>row</th><th>source</th><th>text</th></tr></thead>
          <tbody>${rows.rows.map((row) => html`<tr data-testid="batch-row">
            ${drawn ? html`<td class="num">${row.answers ? two(mean(row.answers)) : "–"}</td>` : nothing}
            ${losses ? html`<td class="num">${row.loss?.toFixed(3) ?? "–"}</td>` : nothing}
            ${weights ? html`<td class="num" data-testid="batch-weight">${row.weight ?? "–"}</td>` : nothing}
            <td class="id"><button class="link mono" title=${`${row.rowId}: where it came from`} @click=${() => this.dispatchEvent(new CustomEvent("why", { detail: row.rowId }))}>${shortId(row.rowId)}</button></td>
            <td>${row.source}</td><td class="text"><div>${row.text}</div>${row.answers ? answers(row.answers) : nothing}</td></tr>`)}</tbody>
        </table></div>`}
    `;
  }
}

/** The drawn answers, the best first, with the rewards of which theirs is the sum; ✓ those that are better than expected. */
function answers(drawn: readonly DrawnAnswer[]): TemplateResult {
  const sorted = [...drawn].sort((a, b) => b.reward - a.reward);
  return html`<ol class="answers" data-testid="drawn-answers">${sorted.map((answer) => html`<li data-testid="drawn-answer" title=${`advantage ${answer.advantage.toFixed(3)}`}>
    <span class="num ${answer.advantage > 0 ? "good" : "muted"}">${answer.advantage > 0 ? "✓" : answer.advantage < 0 ? "✗" : "·"} ${two(answer.reward)}</span>
    <span>${answer.text.trim() === "" ? html`<span class="none">(empty)</span>` : answer.text.trim()}${answer.ended ? nothing : html` <span class="none" title="It reached the longest length before its end">(cut)</span>`}</span>
    <span class="parts" data-testid="answer-parts">${parts(answer)}</span></li>`)}</ol>`;
}

/** Of what a reward is made. */
function parts({ rewards }: DrawnAnswer): string {
  return Object.entries(rewards).map(([name, value]) => `${name.replaceAll("_", " ")} ${two(value)}`).join(" + ");
}

function two(value: number): string {
  return value.toFixed(2).replace("-", "−");
}

function mean(drawn: readonly DrawnAnswer[]): number {
  return drawn.reduce((sum, { reward }) => sum + reward, 0) / Math.max(1, drawn.length);
}

/** Ids that are hashes are told apart by their first digits. */
function shortId(id: string): string {
  return /^[0-9a-f]{16,}$/u.test(id) ? id.slice(0, 8) : id;
}
