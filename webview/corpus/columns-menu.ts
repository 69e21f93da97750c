import { css, html, LitElement, nothing } from "lit";
import type { TemplateResult } from "lit";
import { customElement, property, query } from "lit/decorators.js";
import "@vscode-elements/elements/dist/vscode-checkbox/index.js";
import type { Column } from "../../src/protocol/corpus";
import { theme } from "../shared/theme";

/** The menu of columns to show: those of the file, then those that Tillage computes. Fires `toggle-column`. */
@customElement("tillage-columns-menu")
export class ColumnsMenu extends LitElement {
  static override styles = [theme, css`
    :host { position: relative; }
    .menu { position: fixed; inset: auto; margin: 0; padding: 8px 12px; min-width: 200px; max-height: 60vh; overflow: auto; color: var(--vscode-menu-foreground, inherit);
      background: var(--vscode-menu-background, var(--vscode-editorWidget-background)); border: 1px solid var(--vscode-menu-border, var(--t-line)); border-radius: 6px;
      box-shadow: 0 2px 8px var(--vscode-widget-shadow, transparent); }
    h3 { margin: 8px 0 2px; font-size: 11px; font-weight: 600; color: var(--t-muted); }
    h3:first-child { margin-top: 0; }
    vscode-checkbox { display: flex; }
  `];

  @property({ attribute: false }) columns: readonly Column[] = [];
  @property({ attribute: false }) hiddenColumns: readonly string[] = [];
  @query(".menu") private menu!: HTMLElement;
  @query("vscode-toolbar-button") private button!: HTMLElement;

  override render(): TemplateResult {
    return html`
      <vscode-toolbar-button icon="settings" label="Columns to show" title="Columns to show" data-testid="corpus-columns" @click=${this.toggle}></vscode-toolbar-button>
      <div class="menu" popover data-testid="corpus-columns-menu">
        ${this.group("In the file", this.columns.filter((column) => !column.derived))}
        ${this.group("Computed by Tillage", this.columns.filter((column) => column.derived))}
      </div>`;
  }

  private group(title: string, columns: readonly Column[]): TemplateResult | typeof nothing {
    if (columns.length === 0) return nothing;
    return html`<h3>${title}</h3>${columns.map((column) => html`<vscode-checkbox label=${column.name} title=${column.type} .checked=${!this.hiddenColumns.includes(column.name)}
      @change=${() => this.dispatchEvent(new CustomEvent("toggle-column", { detail: column.name }))}></vscode-checkbox>`)}`;
  }

  private toggle(): void {
    this.menu.togglePopover();
    if (!this.menu.matches(":popover-open")) return;
    const anchor = this.button.getBoundingClientRect();
    this.menu.style.top = `${anchor.bottom + 4}px`;
    this.menu.style.left = `${Math.max(4, anchor.right - this.menu.offsetWidth)}px`;
  }
}
