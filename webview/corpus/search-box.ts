import { css, html, LitElement, nothing } from "lit";
import type { TemplateResult } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import type { Column } from "../../src/protocol/corpus";
import type { Problem } from "../../src/protocol/errors";
import { theme } from "../shared/theme";
import type { Search } from "./view-state";

const DEBOUNCE_MS = 250;

/** Literal, regular-expression or SQL search. Text searches as it is typed; SQL at Enter, when it is whole. Fires `search`. */
@customElement("tillage-search-box")
export class SearchBox extends LitElement {
  static override styles = [theme, css`
    :host { display: block; position: relative; min-width: 180px; flex: 1 1 220px; max-width: 560px; }
    .box { display: flex; align-items: center; gap: 2px; height: 26px; padding: 0 2px 0 6px; border-radius: 3px;
      background: var(--vscode-input-background); border: 1px solid var(--vscode-input-border, var(--t-line)); }
    .box:focus-within { border-color: var(--vscode-focusBorder); }
    .box.invalid { border-color: var(--vscode-inputValidation-errorBorder, var(--t-bad)); }
    input { flex: 1; min-width: 0; border: 0; background: none; font: inherit; color: var(--vscode-input-foreground); }
    input, input:focus-visible { outline: none; }
    input::placeholder { color: var(--vscode-input-placeholderForeground); }
    input.sql { font-family: var(--t-mono); font-size: var(--vscode-editor-font-size, 12px); }
    .toggle { height: 20px; min-width: 22px; padding: 0 3px; border: 1px solid transparent; border-radius: 3px; background: none; color: inherit; cursor: pointer;
      font: 600 11px/1 var(--t-mono); }
    .toggle:hover { background: var(--vscode-inputOption-hoverBackground, var(--t-hover)); }
    .toggle[aria-pressed="true"] { background: var(--vscode-inputOption-activeBackground); border-color: var(--vscode-inputOption-activeBorder);
      color: var(--vscode-inputOption-activeForeground); }
    .toggle:disabled { opacity: 0.4; cursor: default; }
    .message { padding: 4px 8px; font-size: 12px; border: 1px solid; border-top: 0; border-radius: 0 0 3px 3px; overflow-wrap: anywhere; max-height: 96px; overflow: auto; }
    .message.error { background: var(--vscode-inputValidation-errorBackground, var(--vscode-editorWidget-background)); border-color: var(--vscode-inputValidation-errorBorder, var(--t-bad));
      color: var(--vscode-inputValidation-errorForeground, inherit); }
    .message.hint { position: absolute; z-index: 20; top: 100%; left: 0; right: 0; background: var(--vscode-editorWidget-background); border-color: var(--vscode-editorWidget-border, var(--t-line)); color: var(--t-muted); }
    code { font-family: var(--t-mono); color: var(--vscode-foreground); }
  `];

  @property({ attribute: false }) search: Search = { text: "", mode: "literal", caseSensitive: false };
  @property({ attribute: false }) columns: readonly Column[] = [];
  @property({ attribute: false }) problem: Problem | undefined;
  @state() private text = "";
  @state() private focused = false;
  @query("input") private input!: HTMLInputElement;
  private timer: number | undefined;

  focusInput(): void {
    this.input.focus();
    this.input.select();
  }

  protected override willUpdate(changed: Map<string, unknown>): void {
    // The state wins when it changed from outside (a chip removed, all cleared), not while a person types.
    if (changed.has("search") && this.timer === undefined) this.text = this.search.text;
  }

  override disconnectedCallback(): void {
    window.clearTimeout(this.timer);
    super.disconnectedCallback();
  }

  override render(): TemplateResult {
    const { mode, caseSensitive } = this.search;
    const sql = mode === "sql";
    const pending = sql && this.text !== this.search.text;
    return html`
      <div class="box ${this.problem ? "invalid" : ""}">
        <vscode-icon name="search"></vscode-icon>
        <input class=${sql ? "sql" : ""} data-testid="corpus-search" spellcheck="false" aria-label="Search the rows" aria-invalid=${this.problem ? "true" : "false"}
          aria-describedby="message" placeholder=${sql ? "SQL predicate, such as words > 100" : mode === "regex" ? "Search by regular expression" : "Search the rows"}
          .value=${this.text} @input=${this.typed} @keydown=${this.key} @focus=${() => (this.focused = true)} @blur=${() => (this.focused = false)}>
        ${this.text === "" ? nothing : html`<button class="toggle" aria-label="Clear the search" title="Clear" @click=${() => this.set({ text: "" })}><vscode-icon name="close" size="14"></vscode-icon></button>`}
        <button class="toggle" data-testid="corpus-search-case" title="Match case" aria-label="Match case" aria-pressed=${String(caseSensitive && !sql)} ?disabled=${sql}
          @click=${() => this.set({ caseSensitive: !caseSensitive })}>Aa</button>
        <button class="toggle" data-testid="corpus-search-regex" title="Regular expression" aria-label="Regular expression" aria-pressed=${String(mode === "regex")}
          @click=${() => this.set({ mode: mode === "regex" ? "literal" : "regex" })}>.*</button>
        <button class="toggle" data-testid="corpus-search-sql" title="SQL predicate over the columns" aria-label="SQL predicate" aria-pressed=${String(sql)}
          @click=${() => this.set({ mode: sql ? "literal" : "sql" })}>SQL</button>
      </div>
      <div id="message" aria-live="polite">${this.problem
        ? html`<div class="message error" data-testid="corpus-search-error">${this.problem.message} ${this.problem.remedy}</div>`
        : sql && this.focused && (pending || this.text === "")
          ? html`<div class="message hint">Enter runs it. Columns: ${this.columns.map((column, index) => html`${index > 0 ? ", " : ""}<code>${column.name}</code>`)}</div>`
          : nothing}</div>`;
  }

  private typed(event: InputEvent): void {
    this.text = (event.target as HTMLInputElement).value;
    window.clearTimeout(this.timer);
    if (this.search.mode === "sql") return;
    this.timer = window.setTimeout(() => this.submit(), DEBOUNCE_MS);
  }

  private key(event: KeyboardEvent): void {
    if (event.key === "Enter") this.submit();
    else if (event.key === "Escape" && this.text !== "") {
      event.stopPropagation();
      this.set({ text: "" });
    }
  }

  private set(change: Partial<Search>): void {
    if (change.text !== undefined) this.text = change.text;
    this.submit(change);
    this.input.focus();
  }

  private submit(change: Partial<Search> = {}): void {
    window.clearTimeout(this.timer);
    this.timer = undefined;
    this.dispatchEvent(new CustomEvent<Search>("search", { detail: { ...this.search, text: this.text, ...change } }));
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "tillage-search-box": SearchBox;
  }
}
