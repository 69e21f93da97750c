import { css, html, LitElement, nothing } from "lit";
import type { TemplateResult } from "lit";
import { customElement, property } from "lit/decorators.js";
import type { OpenResult } from "../../src/protocol/corpus";
import { formatBytes, formatCount, formatScaled, plural } from "../shared/format";
import { theme } from "../shared/theme";

/** Name, rows, shape, words; the badge of bad rows; the search stands in its slot. Fires `open-text` and `reload`. */
@customElement("tillage-corpus-header")
export class CorpusHeader extends LitElement {
  static override styles = [theme, css`
    :host { display: flex; flex-wrap: wrap; align-items: flex-start; gap: 6px 16px; padding: 8px 12px; border-bottom: 1px solid var(--t-line); }
    .facts { display: flex; flex-wrap: wrap; align-items: center; gap: 2px 8px; min-width: 0; min-height: 26px; }
    h1 { margin: 0; font-size: 13px; font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; max-width: 40ch; }
    .fact { color: var(--t-muted); white-space: nowrap; }
    .fact::before { content: "·"; margin-right: 8px; }
    .right { display: flex; flex: 1 1 auto; align-items: flex-start; justify-content: flex-end; gap: 4px; }
  `];

  @property() name = "";
  @property() path = "";
  @property({ attribute: false }) open!: OpenResult;
  @property({ attribute: false }) words: number | undefined;

  override render(): TemplateResult {
    const { open, words } = this;
    const ofFile = open.columns.filter((column) => !column.derived).length;
    return html`
      <div class="facts" data-testid="corpus-header">
        <h1 title=${this.path}>${this.name}</h1>
        ${open.files === undefined ? nothing : html`<span class="fact" data-testid="corpus-files">${plural(open.files, "file")}</span>`}
        <span class="fact" data-testid="corpus-rows">${plural(open.rows, "row")}</span>
        <span class="fact" data-testid="corpus-shape" title="The shape that the columns have">${open.shape === "table" ? plural(ofFile, "column") : open.shape}</span>
        ${words === undefined ? nothing : html`<span class="fact" data-testid="corpus-words" title="${formatCount(words)} words in all text columns">${formatScaled(words)} words</span>`}
        <span class="fact" title="${formatCount(open.bytes)} bytes">${formatBytes(open.bytes)}</span>
        ${open.badRows === 0 ? nothing : html`<tillage-bad-rows .open=${open}></tillage-bad-rows>`}
      </div>
      <div class="right">
        <slot></slot>
        ${open.format === "parquet" || open.files !== undefined ? nothing : html`<vscode-toolbar-button icon="go-to-file" label="Open as text" title="Open as text" data-testid="corpus-as-text"
          @click=${() => this.dispatchEvent(new CustomEvent("open-text", { detail: {} }))}></vscode-toolbar-button>`}
        <vscode-toolbar-button icon="refresh" label="Read the file again" title="Read the file again" data-testid="corpus-reload"
          @click=${() => this.dispatchEvent(new CustomEvent("reload"))}></vscode-toolbar-button>
      </div>`;
  }
}
