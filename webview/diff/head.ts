import { html, nothing } from "lit";
import type { TemplateResult } from "lit";
import type { DatasetDiff, RowChange } from "../../src/protocol/dataset-diff";
import type { DiffPick, DiffSideName, DiffState } from "../../src/protocol/diff-panel";
import { formatCount, formatScaled, plural } from "../shared/format";
import { changes, signs } from "./changes";

export interface HeadActions {
  choose: (side: DiffSideName) => void;
  swap: () => void;
}

/** Which two datasets are compared. */
export function headView({ before, after, diff }: DiffState, actions: HeadActions): TemplateResult {
  return html`<header class="head">
    <h1 class="sr">Comparison of ${before.name} with ${after.name}</h1>
    ${side("before", before, diff, actions)}
    <vscode-button secondary icon="arrow-swap" title="Swap before and after" aria-label="Swap before and after" data-testid="swap" @click=${actions.swap}></vscode-button>
    ${side("after", after, diff, actions)}
  </header>`;
}

function side(name: DiffSideName, pick: DiffPick, diff: DatasetDiff | null, { choose }: HeadActions): TemplateResult {
  const facts = diff?.[name];
  return html`<div class="side-of ${name}" data-testid=${`side-${name}`}>
    <span class="muted">${name}</span>
    <button class="link name" title="Compare another dataset" @click=${() => choose(name)}>${pick.name}</button>
    <span class="muted">${facts ? `${plural(facts.rows, "row")}, ${formatScaled(facts.tokens)} tokens` : ""}${pick.built === null ? "" : ` · built ${new Date(pick.built).toLocaleString()}`}</span>
  </div>`;
}

/** How many rows came, went and changed; each is a filter. */
export function countsView(diff: DatasetDiff, chosen: RowChange | undefined, choose: (change: RowChange | undefined) => void): TemplateResult {
  const moves = [
    diff.moved > 0 ? `${formatCount(diff.moved)} on the other side of the split` : "",
    diff.more > 0 ? `${formatCount(diff.more)} seen more often` : "",
    diff.less > 0 ? `${formatCount(diff.less)} seen less often` : "",
  ].filter((text) => text !== "");
  return html`<div class="counts">
    ${changes.map((change) => html`<button class="count ${change}" aria-pressed=${chosen === change} ?disabled=${diff[change] === 0} data-testid=${`count-${change}`} @click=${() => choose(chosen === change ? undefined : change)}>
      <b>${signs[change]} ${formatCount(diff[change])}</b> ${change}</button>`)}
    <span class="same" data-testid="count-same"><b>= ${formatCount(diff.same)}</b> the same</span>
    ${moves.length > 0 ? html`<span class="muted" data-testid="moves">${moves.join(" · ")}</span>` : nothing}
  </div>`;
}
