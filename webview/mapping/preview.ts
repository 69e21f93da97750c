import { html } from "lit";
import type { TemplateResult } from "lit";
import type { SourceMapping } from "../../src/protocol/corpus";
import { formatCount } from "../shared/format";

/** The first rows as they would come into the dataset; bad ones with the reason. */
export function previewView({ rows }: SourceMapping): TemplateResult {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row.values)))];
  return html`<div class="rows" tabindex="0" role="region" aria-label="The first rows as they are read"><table data-testid="preview">
    <thead><tr><th scope="col" class="num">row</th>${names.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr data-testid="preview-row" class=${row.fault === null ? "" : "bad"}>
      <td class="num muted">${formatCount(row.row + 1)}</td>
      ${row.fault === null ? names.map((name) => html`<td><div class="cell" title=${row.values[name] ?? ""}>${row.values[name] ?? html`<span class="muted">–</span>`}</div></td>`) : html`<td colspan=${names.length}><vscode-icon name="error" class="warn"></vscode-icon> kept out: ${row.fault}</td>`}
    </tr>`)}</tbody></table></div>`;
}
