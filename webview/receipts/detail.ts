import { html, nothing } from "lit";
import type { TemplateResult } from "lit";
import type { ReceiptRow } from "../../src/protocol/corpus";
import type { Problem } from "../../src/protocol/errors";
import type { ReceiptTexts } from "../../src/protocol/receipts-panel";
import { formatCount, formatPercent } from "../shared/format";
import { markFound, wordDiff } from "../shared/word-diff";
import type { Part } from "../shared/word-diff";

export interface DetailActions {
  open: () => void;
  /** Absent where no dataset was built that could answer. */
  why?: () => void;
}

/** One receipt: why the row left or was changed, the whole text, and the row it matched. */
export function detailView(row: ReceiptRow, texts: ReceiptTexts | undefined, problem: Problem | undefined, actions: DetailActions): TemplateResult {
  const text = texts?.text ?? row.text;
  const matched = texts?.matchedText ?? row.matchedText;
  return html`<div class="detail-head">
      <h2 data-testid="detail-reason">${row.reason}</h2>
      ${row.value === null ? nothing : html`<span class="mono value" data-testid="detail-value">${row.value}</span>`}
    </div>
    <div class="facts">
      <span class="muted">${row.effect ?? "dropped"} by</span> <span>${row.step}</span>
      <span class="muted">row</span> <span class="mono" data-testid="detail-id">${row.rowId}</span>
      <span class="muted">from</span> <span><button class="link" data-testid="open-row" @click=${actions.open}>${row.file}, row ${formatCount(row.fileRow + 1)}</button> (${row.source})</span>
      ${row.matchedRowId === null ? nothing : html`<span class="muted">matches</span> <span class="mono" data-testid="detail-matched">${row.matchedRowId}</span>`}
    </div>
    <div class="detail-actions">
      <vscode-button secondary icon="go-to-file" @click=${actions.open}>Open the row</vscode-button>
      ${actions.why ? html`<vscode-button secondary icon="question" data-testid="why-row" @click=${actions.why}>Tell its whole story</vscode-button>` : nothing}
    </div>
    ${problem ? html`<p class="muted" role="status" data-testid="detail-problem">Only the start of the text is shown: ${problem.message}</p>` : nothing}
    ${matched ? compare(text, matched) : html`<div class="text" data-testid="detail-text">${parts(markFound(text, texts?.found ?? []))}</div>`}`;
}

function compare(text: string, matched: string): TemplateResult {
  const diff = wordDiff(text, matched);
  return html`<div class="pair" data-testid="diff">
    <div><h3>this row</h3><div class="text" data-testid="diff-left">${parts(diff.left, "gone")}</div></div>
    <div><h3>what it matched <span class="muted">${formatPercent(diff.shared)} of the text in common</span></h3><div class="text" data-testid="diff-right">${parts(diff.right, "kept")}</div></div>
  </div>`;
}

function parts(list: readonly Part[], mark = "found"): TemplateResult[] {
  return list.map((part) => (part.kind === "same" ? html`${part.text}` : html`<mark class=${mark}>${part.text}</mark>`));
}
