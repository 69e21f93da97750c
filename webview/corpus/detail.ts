import { css, html, LitElement, nothing } from "lit";
import type { TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import type { Cell, Column, RowDetail } from "../../src/protocol/corpus";
import type { Problem } from "../../src/protocol/errors";
import { formatCount } from "../shared/format";
import { theme } from "../shared/theme";
import { splitMatches } from "./columns";
import { conversation } from "./conversation";
import { plainNumber } from "./view-state";
import type { Search } from "./view-state";

/** One row in full: its texts, its signals, the rules that it fails and why, the personal data in it. Fires `show-tokens`, `copy-text` and `close`. */
@customElement("tillage-row-detail")
export class RowDetailPane extends LitElement {
  static override styles = [theme, css`
    :host { display: flex; flex-direction: column; min-width: 0; min-height: 0; }
    header { display: flex; align-items: center; gap: 4px; min-height: 36px; padding: 4px 8px 4px 12px; border-bottom: 1px solid var(--t-line); }
    h2 { flex: 1; margin: 0; font-size: 13px; font-weight: 600; }
    .content { flex: 1; overflow: auto; padding: 4px 12px 16px; outline: none; }
    .content.stale { opacity: 0.6; }
    h3 { display: flex; align-items: baseline; gap: 8px; margin: 12px 0 4px; font-size: 11px; font-weight: 600; color: var(--t-muted); }
    h3 span { font-weight: 400; }
    .text { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; font: inherit; line-height: 1.5; }
    .text.nested { font-family: var(--t-mono); font-size: 12px; }
    .turn { margin: 0 0 8px; padding: 0 0 0 8px; border-left: 2px solid var(--t-line); }
    .turn.assistant { border-left-color: var(--t-accent); }
    .turn b { display: block; font-size: 11px; font-weight: 600; color: var(--t-muted); }
    ul { margin: 0; padding: 0; list-style: none; }
    li { display: flex; gap: 8px; padding: 2px 0; }
    li vscode-icon { flex: none; color: var(--t-warn); }
    li b { font-weight: 600; }
    li div { min-width: 0; overflow-wrap: anywhere; }
    .ok { display: flex; align-items: center; gap: 8px; margin: 0; }
    .ok vscode-icon { color: var(--t-good); }
    dl { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 2px 12px; margin: 0; }
    dt { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; color: var(--t-muted); }
    dd { margin: 0; text-align: right; }
    mark { color: inherit; background: var(--vscode-editor-findMatchHighlightBackground); outline: 1px solid var(--vscode-editor-findMatchHighlightBorder, transparent); }
    .kind { display: inline-block; padding: 0 6px; border-radius: 8px; font-size: 11px; background: var(--vscode-badge-background); color: var(--vscode-badge-foreground); }
    .error vscode-icon { color: var(--t-bad); }
  `];

  @property({ type: Number }) row = 0;
  @property({ attribute: false }) detail: RowDetail | undefined;
  @property({ attribute: false }) problem: Problem | undefined;
  @property({ attribute: false }) columns: readonly Column[] = [];
  @property({ attribute: false }) search: Search = { text: "", mode: "literal", caseSensitive: false };
  @state() private allSignals = false;

  override render(): TemplateResult {
    return html`
      <header>
        <h2 data-testid="detail-title">Row ${formatCount(this.row + 1)}</h2>
        <vscode-toolbar-button icon="symbol-string" label="Show tokens" title="Show tokens: the row as a model sees it" data-testid="detail-tokens" @click=${() => this.dispatchEvent(new CustomEvent("show-tokens"))}></vscode-toolbar-button>
        <vscode-toolbar-button icon="copy" label="Copy the row as JSON" title="Copy the row as JSON" data-testid="detail-copy" @click=${this.copy}></vscode-toolbar-button>
        <vscode-toolbar-button icon="close" label="Close the detail" title="Close (Escape)" data-testid="detail-close" @click=${this.close}></vscode-toolbar-button>
      </header>
      <div class="content ${this.detail && this.detail.row !== this.row ? "stale" : ""}" tabindex="0" aria-label="Detail of the row" data-testid="corpus-detail" @keydown=${(event: KeyboardEvent) => event.key === "Escape" && this.close()}>
        ${this.problem ? html`<ul class="error" role="alert"><li><vscode-icon name="error"></vscode-icon><div>${this.problem.message} ${this.problem.remedy}</div></li></ul>` : this.detail ? this.content(this.detail) : html`<p class="muted">Reading the row…</p>`}
      </div>`;
  }

  private content(detail: RowDetail): TemplateResult {
    const own = this.columns.filter((column) => !column.derived && column.name in detail.values);
    const long = own.filter((column) => column.kind === "text" || column.kind === "nested");
    const short = own.filter((column) => !long.includes(column));
    const derived = this.columns.filter((column) => column.derived && column.name in detail.values);
    return html`
      ${long.map((column) => this.value(column, detail.values[column.name] ?? null))}
      ${short.length === 0 ? nothing : html`<h3>values</h3>${this.table(short.map((column) => [column.name, detail.values[column.name] ?? null]))}`}
      <h3>rules</h3>
      ${detail.failed.length === 0
        ? html`<p class="ok" data-testid="detail-rules-ok"><vscode-icon name="pass"></vscode-icon>Passes every quality rule</p>`
        : html`<ul data-testid="detail-failed">${detail.failed.map((rule) => html`<li><vscode-icon name="warning"></vscode-icon><div><b>${rule.rule}</b> <span class="muted">${shortNumbers(rule.reason)}</span></div></li>`)}</ul>`}
      ${detail.pii.length === 0
        ? nothing
        : html`<h3>personal data</h3><ul data-testid="detail-pii">${detail.pii.map((found) => html`<li><span class="kind">${found.kind}</span><div class="mono">${found.value}</div></li>`)}</ul>`}
      ${this.signals(detail, derived)}`;
  }

  private value(column: Column, value: Cell): TemplateResult {
    const turns = column.kind === "nested" || column.kind === "text" ? conversation(value) : undefined;
    const text = value === null ? "" : String(value);
    return html`<h3>${column.name} ${text.length > 400 ? html`<span>${formatCount(text.length)} characters</span>` : nothing}</h3>
      ${value === null
        ? html`<p class="muted">no value</p>`
        : turns
          ? turns.map((turn) => html`<div class="turn ${turn.role}"><b>${turn.role}</b>${turn.content === "" && turn.calls.length > 0 ? nothing : html`<p class="text">${this.marked(turn.content)}</p>`}${turn.calls.map((call) => html`<p class="text nested" data-testid="detail-call"><vscode-icon name="tools" size="12"></vscode-icon> ${this.marked(call)}</p>`)}</div>`)
          : html`<p class="text ${column.kind === "nested" ? "nested" : ""}" data-testid="detail-value" data-column=${column.name}>${this.marked(column.kind === "nested" ? pretty(text) : text)}</p>`}`;
  }

  private marked(text: string): unknown {
    const parts = this.search.mode === "literal" ? splitMatches(text, this.search.text, this.search.caseSensitive) : [text];
    return parts.map((part, index) => (index % 2 === 1 ? html`<mark>${part}</mark>` : part));
  }

  private signals(detail: RowDetail, derived: readonly Column[]): TemplateResult | typeof nothing {
    const counted = derived.map((column): [string, Cell] => [column.name, detail.values[column.name] ?? null]);
    const named = new Set(counted.map(([name]) => name));
    // The signal `n_words` is the column `words` under another name.
    if (named.has("words")) named.add("n_words");
    const all = [...counted, ...Object.entries(detail.signals).filter(([name]) => !named.has(name))] as [string, Cell][];
    if (all.length === 0) return nothing;
    const shown = this.allSignals ? all : all.slice(0, 10);
    return html`<h3>signals</h3><div data-testid="detail-signals">${this.table(shown)}</div>
      ${all.length > 10 ? html`<button class="link" @click=${() => (this.allSignals = !this.allSignals)}>${this.allSignals ? "Fewer" : `All ${all.length}`}</button>` : nothing}`;
  }

  private table(entries: readonly [string, Cell][]): TemplateResult {
    return html`<dl>${entries.map(([name, value]) => html`<dt title=${name}>${name.replaceAll("_", " ")}</dt><dd>${value === null ? "–" : typeof value === "number" ? plainNumber(value) : String(value)}</dd>`)}</dl>`;
  }

  private copy(): void {
    if (!this.detail) return;
    const own = new Set(this.columns.filter((column) => !column.derived).map((column) => column.name));
    const nested = new Set(this.columns.filter((column) => column.kind === "nested").map((column) => column.name));
    const row = Object.fromEntries(Object.entries(this.detail.values).filter(([name]) => own.has(name)).map(([name, value]) => [name, nested.has(name) && typeof value === "string" ? parsed(value) : value]));
    this.dispatchEvent(new CustomEvent("copy-text", { detail: JSON.stringify(row) }));
  }

  private close(): void {
    this.dispatchEvent(new CustomEvent("close"));
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Measured values carry every digit that the computer has; a reader needs four. */
function shortNumbers(text: string): string {
  return text.replace(/\d+\.\d{5,}/gu, (number) => plainNumber(Number(number)));
}

function pretty(text: string): string {
  const value = parsed(text);
  return typeof value === "object" && value !== null ? JSON.stringify(value, null, 2) : text;
}
