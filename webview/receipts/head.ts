import { html, nothing } from "lit";
import type { TemplateResult } from "lit";
import type { ReceiptsState } from "../../src/protocol/receipts-panel";
import { formatCount, formatDuration, formatPercent, formatScaled, plural } from "../shared/format";

/** What the dataset is: rows in and out, its parts, and its guards. */
export function headView(host: ReceiptsState): TemplateResult {
  const { build } = host;
  const kept = host.rowsIn > 0 ? host.rowsOut / host.rowsIn : 1;
  return html`<header class="head">
    <h1 data-testid="receipts-title">${host.title}</h1>
    ${host.steps.length > 0 || host.rowsIn > 0 ? html`<span data-testid="receipts-total"><b>${formatCount(host.rowsIn)}</b> rows read → <b>${formatCount(host.rowsOut)}</b> kept (${formatPercent(kept)})</span>` : nothing}
    ${build?.made ? html`<span class="muted">${build.made.fresh ? `built in ${formatDuration(build.made.seconds)}` : "was built already"}</span>` : nothing}
    ${build?.split.map((part) => html`<span class="muted" data-testid="split" data-part=${part.name}>${part.name}: ${plural(part.rows, "row")}, ${formatScaled(part.tokens)} tokens</span>`)}
  </header>
  ${build && build.guards.length > 0 ? html`<ul class="guards" data-testid="guards">
    ${build.guards.map((guard) => html`<li data-testid="guard" data-guard=${guard.guard} data-ok=${guard.ok}>
      <vscode-icon name=${guard.ok ? "pass" : "warning"} class=${guard.ok ? "ok" : "warn"} aria-label=${guard.ok ? "passed" : "warns"}></vscode-icon>
      <span>${guard.message}</span>
      ${guard.ok || guard.rows.length === 0 ? nothing : html`<details><summary>${plural(guard.rows.length, "row")}</summary><ul>${guard.rows.slice(0, 50).map((row) => html`<li><span class="mono">${row.rowId.slice(0, 12)}</span> ${row.detail}</li>`)}</ul></details>`}
    </li>`)}
  </ul>` : nothing}`;
}
