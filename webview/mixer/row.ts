import { html, nothing } from "lit";
import type { TemplateResult } from "lit";
import { live } from "lit/directives/live.js";
import type { MixResult } from "../../src/core/mix";
import { parseShare } from "../../src/core/recipe/quantity";
import type { MixRow } from "../../src/protocol/corpus";
import { formatCount, formatPercent, formatScaled } from "../shared/format";

export interface RowActions {
  index: number;
  mix: MixResult;
  maxEpochs: number;
  locked: boolean;
  /** `done` is true where the change is whole: a key press, or the pointer let go. */
  move: (wanted: number, done: boolean) => void;
  toggleLock: () => void;
}

/** One group: what it has, what is wanted of it, and how often its rows are then seen. */
export function rowView(row: MixRow, actions: RowActions): TemplateResult {
  // As often as for the whole budget that is wished for.
  const more = actions.mix.budgetTokens > 0 ? actions.mix.wantedTokens / actions.mix.budgetTokens : 0;
  const [wished, most] = [row.epochs * more, (row.most ?? row.epochs) * more];
  const over = most > actions.maxEpochs * (1 + 1e-9);
  const percent = Math.round(row.shareWanted * 1000) / 10;
  // A group without rows has nothing to give, and the only group gives all.
  const fixed = row.tokens === 0 || actions.mix.rows.length === 1;
  const value = (event: Event): number => Number((event.target as HTMLInputElement).value) / 100;
  const typed = (event: Event): void => {
    const text = (event.target as HTMLInputElement).value.trim();
    const share = parseShare(/%$/.test(text) ? text : `${text}%`);
    if (share !== undefined) actions.move(share, true);
    else (event.target as HTMLInputElement).value = `${percent} %`;
  };
  const lockTitle = actions.locked ? `Unlock ${row.group}: it is rescaled with the others` : `Lock ${row.group}: its share stays when others move`;
  return html`<div class="row" role="row" data-testid="mix-row" data-group=${row.group}>
    <span role="cell" class="group" title=${row.group}>
      <button class="lock" aria-pressed=${actions.locked} title=${lockTitle} aria-label=${lockTitle} data-testid="mix-lock" @click=${actions.toggleLock}>
        <vscode-icon name=${actions.locked ? "lock" : "unlock"}></vscode-icon>
      </button>
      <span class="named"><span class="name">${row.group}</span>${about(row)}</span>
    </span>
    <span role="cell" class="num rows">${formatCount(row.rows)}</span>
    <span role="cell" class="num tokens">${formatScaled(row.tokens)}</span>
    <span role="cell" class="now"><span class="num percent" data-testid="mix-now">${formatPercent(row.shareNow)}</span>
      <span class="bar" aria-hidden="true"><span style="width: ${row.shareNow * 100}%"></span></span></span>
    <span role="cell" class="wanted">
      <input class="typed num" data-testid="mix-share" aria-label="Share wanted of ${row.group}, in percent" .value=${live(`${percent} %`)} @change=${typed} ?disabled=${fixed} />
      <input class="slider" data-testid="mix-slider" type="range" min="0" max="100" step="0.1" style="--fill: ${percent}%" .value=${live(String(percent))}
        aria-label="Share wanted of ${row.group}" aria-valuetext="${percent} percent of the tokens" ?disabled=${fixed}
        @keydown=${(event: KeyboardEvent) => step(event, row.shareWanted, actions)}
        @input=${(event: Event) => actions.move(value(event), false)} @change=${(event: Event) => actions.move(value(event), true)} />
    </span>
    <span role="cell" class="num mixed">${formatScaled(actions.mix.budgetTokens * row.shareWanted)}</span>
    <span role="cell" class="num epochs ${over ? "over" : ""}" data-testid="mix-epochs" title=${over ? `More than max_epochs ${actions.maxEpochs}: the budget is cut so that ${row.group} is seen ${actions.maxEpochs} times` : row.most === undefined ? "How often each row is seen" : "How often a row is seen in the mean, and the row of the largest weight"}>
      ${formatTimes(wished)}${row.most === undefined ? nothing : html`<span class="most" data-testid="mix-most"> up to ${formatTimes(most)}</span>`}${over ? html` <vscode-icon name="warning" aria-label="above max_epochs"></vscode-icon>` : nothing}
    </span>
  </div>`;
}

/** What sets a group's rows apart from plain ones: the mean of their weights, by tokens, and how many of the tokens are synthetic. */
function about({ tokens, parts }: MixRow): TemplateResult | typeof nothing {
  if (!parts || tokens === 0) return nothing;
  const weight = (parts.plain.weighted + parts.synthetic.weighted) / tokens;
  const words = [
    ...(Math.abs(weight - 1) > 1e-9 || parts.plain.heaviest > 1 || parts.synthetic.heaviest > 1 ? [`weight ${formatTimes(weight)}`] : []),
    ...(parts.synthetic.tokens > 0 ? [`${formatPercent(parts.synthetic.tokens / tokens)} synthetic`] : []),
  ];
  return words.length === 0 ? nothing : html`<span class="about" data-testid="mix-about" title="Mean weight of its tokens, and its synthetic tokens">${words.join(" · ")}</span>`;
}

/** A ratio with the digits that matter: `0.03`, `0.8`, `9.7`, `14`. */
export function formatTimes(epochs: number): string {
  if (epochs === 0) return "0";
  if (epochs < 0.095) return epochs < 0.005 ? "< 0.01" : epochs.toFixed(2);
  return epochs < 9.95 ? epochs.toFixed(1) : Math.round(epochs).toString();
}

/** Whole percents by arrow, ten by page: the slider's own tenth is too fine for keys. */
function step(event: KeyboardEvent, share: number, actions: RowActions): void {
  const by: Record<string, number> = { ArrowRight: 0.01, ArrowUp: 0.01, ArrowLeft: -0.01, ArrowDown: -0.01, PageUp: 0.1, PageDown: -0.1 };
  const change = by[event.key];
  if (change === undefined) return;
  event.preventDefault();
  actions.move(event.shiftKey ? share + change / 10 : share + change, true);
}
