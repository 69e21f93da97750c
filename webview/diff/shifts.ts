import { html } from "lit";
import type { TemplateResult } from "lit";
import type { DatasetDiff, DiffShare } from "../../src/protocol/dataset-diff";
import { formatCount, formatPercent, formatScaled } from "../shared/format";

const names = ["5 %", "25 %", "median", "75 %", "95 %"];

/** How the sources' shares of the tokens shifted, as pairs of bars. */
export function sharesView({ shares }: DatasetDiff): TemplateResult {
  const widest = Math.max(0.01, ...shares.flatMap((share) => [share.shareBefore, share.shareAfter]));
  return html`<section class="shift" aria-labelledby="shares-title">
    <h2 id="shares-title">Shares of the tokens <span class="key"><i class="swatch before"></i> before <i class="swatch after"></i> after</span></h2>
    <table class="shares" data-testid="diff-shares">
      <thead><tr><th scope="col">source</th><th scope="col" class="bars"><span class="sr">bars</span></th><th scope="col" class="num">share</th><th scope="col" class="num">tokens</th><th scope="col" class="num">rows</th></tr></thead>
      <tbody>${shares.map((share) => shareRow(share, widest))}</tbody>
    </table>
  </section>`;
}

function shareRow(share: DiffShare, widest: number): TemplateResult {
  const bar = (side: string, value: number): TemplateResult => html`<span class="bar ${side}" style="width: ${(100 * value) / widest}%"></span>`;
  return html`<tr data-testid="diff-share" data-source=${share.source}>
    <th scope="row">${share.source}</th>
    <td class="bars" aria-hidden="true">${bar("before", share.shareBefore)}${bar("after", share.shareAfter)}</td>
    <td class="num">${formatPercent(share.shareBefore)} → <b>${formatPercent(share.shareAfter)}</b></td>
    <td class="num">${formatScaled(share.tokensBefore)} → ${formatScaled(share.tokensAfter)}</td>
    <td class="num">${formatCount(share.rowsBefore)} → ${formatCount(share.rowsAfter)}</td>
  </tr>`;
}

/** How long rows are, before and after: the line is from 5 to 95 % of them, the box from 25 to 75 %, the mark in it the median. */
export function lengthsView({ lengths }: DatasetDiff): TemplateResult {
  const most = Math.max(1, ...lengths.before, ...lengths.after);
  const top = niceTop(most);
  const at = (value: number): string => `${(100 * value) / top}%`;
  const box = (side: "before" | "after"): TemplateResult => {
    const [p5 = 0, p25 = 0, median = 0, p75 = 0, p95 = 0] = lengths[side];
    const title = names.map((name, i) => `${name}: ${formatCount(lengths[side][i] ?? 0)}`).join(", ");
    return html`<span class="side">${side}</span>
      <span class="plot" role="img" aria-label=${`Tokens of a row ${side}: ${title}`} title=${title}>
        <i class="line" style="left: ${at(p5)}; width: ${at(p95 - p5)}"></i><i class="box ${side}" style="left: ${at(p25)}; width: ${at(p75 - p25)}"></i><i class="median" style="left: ${at(median)}"></i>
      </span>
      <span class="num" data-testid=${`diff-lengths-${side}`}>${lengths[side].map(formatCount).join(" · ")}</span>`;
  };
  return html`<section class="shift" aria-labelledby="lengths-title">
    <h2 id="lengths-title">Length of the rows</h2>
    <div class="lengths">
      ${box("before")}${box("after")}
      <span></span><span class="axis muted" aria-hidden="true"><span>0</span><span>${formatCount(top / 2)}</span><span>${formatCount(top)} tokens</span></span><span class="num muted">5 · 25 · 50 · 75 · 95 %</span>
    </div>
  </section>`;
}

/** The least of 1, 2, 4, 5 and 8 times a power of ten that holds the value. */
function niceTop(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 4, 5, 8, 10].find((step) => step * power >= value) ?? 10) * power;
}
