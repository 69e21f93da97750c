import { css, html, LitElement, nothing } from "lit";
import type { TemplateResult } from "lit";
import { customElement, property, query } from "lit/decorators.js";
import type { OpenResult } from "../../src/protocol/corpus";
import { formatCount, plural } from "../shared/format";
import { theme } from "../shared/theme";

/** The badge of the rows that could not be read; it opens their list with line and reason. Fires `open-text` (bubbling). */
@customElement("tillage-bad-rows")
export class BadRows extends LitElement {
  static override styles = [theme, css`
    .badge { display: inline-flex; align-items: center; gap: 4px; padding: 0 8px; height: 20px; border-radius: 10px; cursor: pointer; font: inherit; font-size: 12px;
      color: var(--vscode-foreground); background: none; border: 1px solid var(--t-warn); }
    .badge:hover { background: var(--t-hover); }
    .badge vscode-icon { color: var(--t-warn); }
    dialog { width: min(720px, 90vw); max-height: 70vh; padding: 0; color: var(--vscode-foreground); background: var(--vscode-editorWidget-background);
      border: 1px solid var(--vscode-editorWidget-border, var(--t-line)); border-radius: 6px; box-shadow: 0 4px 16px var(--vscode-widget-shadow, transparent); }
    dialog[open] { display: flex; flex-direction: column; }
    dialog::backdrop { background: rgba(0, 0, 0, 0.25); }
    header { display: flex; align-items: flex-start; gap: 8px; padding: 12px 12px 8px 16px; border-bottom: 1px solid var(--t-line); }
    header div { flex: 1; }
    h2 { margin: 0; font-size: 13px; }
    p { margin: 4px 0 0; color: var(--t-muted); }
    ul { margin: 0; padding: 4px 0; list-style: none; overflow: auto; }
    li button { display: grid; grid-template-columns: 88px 1fr; gap: 12px; width: 100%; padding: 4px 16px; border: 0; background: none; color: inherit; font: inherit; text-align: left; cursor: pointer; }
    li button:hover { background: var(--t-hover); }
    .line { color: var(--vscode-textLink-foreground); white-space: nowrap; }
    .reason { overflow-wrap: anywhere; }
    li.more { padding: 4px 16px; }
  `];

  @property({ attribute: false }) open!: OpenResult;
  @query("dialog") private dialog!: HTMLDialogElement;

  override render(): TemplateResult {
    const { bad, badRows, format } = this.open;
    const text = format !== "parquet";
    return html`
      <button class="badge" data-testid="corpus-bad-badge" title="Rows that could not be read and are kept out" @click=${() => this.dialog.showModal()}>
        <vscode-icon name="warning" size="14"></vscode-icon>${plural(badRows, "bad row")}</button>
      <dialog data-testid="corpus-bad-list" aria-label="Rows that could not be read" @click=${(event: MouseEvent) => event.target === this.dialog && this.dialog.close()}>
        <header>
          <div><h2>${plural(badRows, "row")} could not be read</h2><p>They are kept out of everything here; the file itself is not changed.</p></div>
          <vscode-toolbar-button icon="close" label="Close" title="Close" @click=${() => this.dialog.close()}></vscode-toolbar-button>
        </header>
        <ul>
          ${bad.map((row) => html`<li><button data-testid="corpus-bad-row" title=${text ? `${row.file}:${row.line}` : row.file} @click=${() => this.go(row.line)}>
            <span class="line">line ${formatCount(row.line)}</span><span class="reason">${row.reason}</span></button></li>`)}
          ${badRows > bad.length ? html`<li class="more muted">and ${formatCount(badRows - bad.length)} more</li>` : nothing}
        </ul>
      </dialog>`;
  }

  private go(line: number): void {
    this.dialog.close();
    this.dispatchEvent(new CustomEvent("open-text", { detail: { line }, bubbles: true, composed: true }));
  }
}
