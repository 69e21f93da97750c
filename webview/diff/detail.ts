import { html, nothing } from "lit";
import type { TemplateResult } from "lit";
import type { DiffRow } from "../../src/protocol/dataset-diff";
import type { DiffSideName, DiffTexts } from "../../src/protocol/diff-panel";
import type { Problem } from "../../src/protocol/errors";
import { formatCount } from "../shared/format";
import { wordDiff } from "../shared/word-diff";
import type { Part } from "../shared/word-diff";
import { reasonText } from "./changes";

export interface DetailActions {
  open: () => void;
  why: (side: DiffSideName) => void;
}

const words: Record<DiffRow["change"], string> = { added: "was kept out by", removed: "left at", changed: "was changed at" };

/** One row that differs: why, its text on both sides, and the ways to its story and its source. */
export function detailView(row: DiffRow, texts: DiffTexts | undefined, problem: Problem | undefined, actions: DetailActions): TemplateResult {
  const before = texts ? texts.before : row.before;
  const after = texts ? texts.after : row.after;
  // The dataset in which the row is missing knows why; of a changed one the newer.
  const first: DiffSideName = row.change === "added" && row.step !== "sources" ? "before" : "after";
  const other: DiffSideName = first === "before" ? "after" : "before";
  return html`<div class="detail-head">
      <h2 data-testid="diff-reason">${reasonText(row)}</h2>${row.value === null ? nothing : html`<span class="mono">${row.value}</span>`}
    </div>
    <div class="facts">
      <span class="muted">${row.step === "sources" ? "decided by" : words[row.change]}</span> <span>${row.step}</span>
      <span class="muted">row</span> <span class="mono" data-testid="diff-row-id">${row.rowId}</span>
      <span class="muted">from</span> <span><button class="link" data-testid="diff-open" @click=${actions.open}>${row.file}, row ${formatCount(row.fileRow + 1)}</button> (${row.source})</span>
      ${row.matchedRowId === null ? nothing : html`<span class="muted">matches</span> <span class="mono">${row.matchedRowId}</span>`}
    </div>
    <div class="detail-actions">
      <vscode-button icon="question" data-testid="diff-why" @click=${() => actions.why(first)}>Its story ${first}</vscode-button>
      <vscode-button secondary icon="question" @click=${() => actions.why(other)}>Its story ${other}</vscode-button>
      <vscode-button secondary icon="go-to-file" @click=${actions.open}>Open the row</vscode-button>
    </div>
    ${problem ? html`<p class="muted" role="status">Only a part of the text is shown: ${problem.message}</p>` : nothing}
    ${before !== null && after !== null ? pair(before, after) : html`<div class="text" data-testid="diff-text">${before ?? after ?? ""}</div>`}`;
}

function pair(before: string, after: string): TemplateResult {
  const diff = wordDiff(before, after);
  return html`<div class="pair">
    <div><h3>before</h3><div class="text" data-testid="diff-before">${parts(diff.left, "gone")}</div></div>
    <div><h3>after</h3><div class="text" data-testid="diff-after">${parts(diff.right, "came")}</div></div>
  </div>`;
}

function parts(list: readonly Part[], mark: string): TemplateResult[] {
  return list.map((part) => (part.kind === "same" ? html`${part.text}` : html`<mark class=${mark}>${part.text}</mark>`));
}
