import "@vscode-elements/elements/dist/vscode-button/index.js";
import "@vscode-elements/elements/dist/vscode-icon/index.js";
import "@vscode-elements/elements/dist/vscode-option/index.js";
import "@vscode-elements/elements/dist/vscode-progress-bar/index.js";
import "@vscode-elements/elements/dist/vscode-single-select/index.js";
import "@vscode-elements/elements/dist/vscode-textfield/index.js";
import { html, LitElement, nothing } from "lit";
import type { TemplateResult } from "lit";
import { customElement, state } from "lit/decorators.js";
import { toolCallsOf, toolNames } from "../../src/core/dataset/tool-calls";
import type { Problem } from "../../src/protocol/errors";
import type { Message, Row, Token, TokenisedText, TokensResult } from "../../src/protocol/native.gen";
import type { TokensApi, TokensState, TokensUpdate } from "../../src/protocol/tokens-panel";
import { formatCount, formatPercent, plural } from "../shared/format";
import { emptyView, problemStyles, problemView } from "../shared/problem-view";
import { reporting } from "../shared/reporting";
import { HostConnection, viewState } from "../shared/rpc";
import { theme } from "../shared/theme";
import { settingsView } from "./settings";
import { styles } from "./styles";
import { charactersPerToken, countTokens, describeToken, pieces } from "./token-text";

/** Typing pauses this long before the text is tokenised. */
const TYPING_MS = 300;
/** More chips than this make a page slow; the rest is asked for. */
const FIRST_CHIPS = 3000;

@customElement("tillage-tokens")
export class TillageTokens extends LitElement {
  static override styles = [theme, problemStyles, styles];

  @state() private host: TokensState | undefined;
  /** Why the host gave no state at all. */
  @state() private unanswered: Problem | undefined;
  @state() private active = 0;
  @state() private chips = FIRST_CHIPS;
  private typing: ReturnType<typeof setTimeout> | undefined;
  private readonly connection = new HostConnection<TokensState, TokensUpdate, TokensApi>(
    (snapshot) => (this.host = snapshot),
    (update) => {
      if (this.host) this.host = { ...this.host, ...update };
      if (update.result !== undefined) this.active = 0;
    },
    (error) => this.report.fail(error),
  );

  private readonly report = reporting((problem) => {
    if (this.host) this.host = { ...this.host, problem, loading: false };
    else this.unanswered = problem;
  });

  /** What brings the panel back after the window was reloaded. */
  override updated(): void {
    const { host } = this;
    // While it looks for what was shown before, what is remembered stays.
    if (!host || host.loading) return;
    const subject = host.origin ? { path: host.origin.path, row: host.origin.row } : { row: host.row };
    viewState.set({ ...subject, ...(host.model ? { model: host.model.path } : {}), ...(host.settingsFrom === null && host.model ? { settings: host.settings } : {}) });
  }

  override render(): TemplateResult {
    const host = this.host;
    if (!host) return this.unanswered ? problemView(this.unanswered) : html`<vscode-progress-bar indeterminate></vscode-progress-bar>`;
    const calls = this.connection.calls;
    if (!host.model && !host.loading) {
      return emptyView("No model to tokenise with", "A model is a folder with a tokenizer.json: a run's result under .tillage/runs, or one of your own.", { label: "Choose a model folder", run: () => this.report.call(calls.browseModel(null)) });
    }
    return html`
      <div class="busy">${host.loading ? html`<vscode-progress-bar indeterminate></vscode-progress-bar>` : nothing}</div>
      ${settingsView(host, calls, this.report.call)}
      ${this.origin(host)}
      ${this.inputs(host.row)}
      ${host.problem ? problemView(host.problem, { label: "Try again", run: () => this.report.call(calls.retry(null)) }) : nothing}
      ${host.result ? this.tokens(host, host.result) : host.loading || host.problem ? nothing : emptyView("Nothing to tokenise", "Type a text above, or choose Show Tokens on a row of a corpus.")}`;
  }

  private origin(host: TokensState): TemplateResult | typeof nothing {
    const origin = host.origin;
    if (!origin) return nothing;
    const go = (row: number | null): void => {
      if (row !== null) this.report.call(this.connection.calls.goTo({ row }));
    };
    return html`<div class="origin" data-testid="tokens-origin">
      <vscode-button secondary icon="chevron-left" title="Row before" data-testid="tokens-previous" ?disabled=${origin.previous === null} @click=${() => go(origin.previous)}></vscode-button>
      <vscode-button secondary icon="chevron-right" title="Next row" data-testid="tokens-next" ?disabled=${origin.next === null} @click=${() => go(origin.next)}></vscode-button>
      <span>row ${formatCount(origin.position + 1)} of ${formatCount(origin.rows)} · <button class="link" @click=${() => this.report.call(this.connection.calls.openSource(null))}>${origin.path.split(/[\\/]/).at(-1)}</button></span>
    </div>`;
  }

  private inputs(row: Row): TemplateResult {
    const area = (label: string, value: string, change: (text: string) => Row): TemplateResult => html`<label>${label}
      <textarea spellcheck="false" data-testid="tokens-input-${label}" .value=${value} @input=${(event: Event) => this.typed(change((event.target as HTMLTextAreaElement).value))}></textarea></label>`;
    if ("text" in row) return html`<div class="inputs">${area("text", row.text, (text) => ({ text }))}</div>`;
    const turns = (messages: Message[], side: string, change: (messages: Message[]) => Row): TemplateResult[] =>
      messages.map((message, i) => {
        const calls = toolCallsOf(message);
        const written = calls.length > 0 && (message.content ?? "") === "" ? nothing : area(side + message.role, message.content ?? "", (content) => change(messages.map((other, j) => (i === j ? { ...other, content } : other))));
        return calls.length === 0 ? html`${written}` : html`${written}<div class="calls" data-testid="tokens-calls">${side}${message.role} calls${calls.map((call) => html`<span class="mono">${call}</span>`)}</div>`;
      });
    const offered = "tools" in row && Array.isArray(row.tools) ? row.tools : [];
    const tools = offered.length === 0 ? nothing : html`<div class="calls" data-testid="tokens-tools">${plural(offered.length, "tool")} offered<span class="mono">${toolNames(offered).join(", ")}</span></div>`;
    if ("prompt" in row && "rejected" in row) {
      return html`<div class="inputs">${area("prompt", row.prompt, (prompt) => ({ ...row, prompt }))}${area("chosen", row.chosen, (chosen) => ({ ...row, chosen }))}${area("rejected", row.rejected, (rejected) => ({ ...row, rejected }))}</div>`;
    }
    if ("prompt" in row) return html`<div class="inputs">${area("prompt", row.prompt, (prompt) => ({ ...row, prompt }))}${area("completion", row.completion, (completion) => ({ ...row, completion }))}</div>`;
    if ("messages" in row) return html`<div class="inputs">${tools}${turns(row.messages, "", (messages) => ({ ...row, messages }))}</div>`;
    return html`<div class="inputs">${tools}${turns(row.chosen, "chosen ", (chosen) => ({ ...row, chosen }))}${turns(row.rejected, "rejected ", (rejected) => ({ ...row, rejected }))}</div>`;
  }

  private typed(row: Row): void {
    if (this.host) this.host.row = row;
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.report.call(this.connection.calls.setRow({ row })), TYPING_MS);
  }

  private tokens(host: TokensState, result: TokensResult): TemplateResult {
    const { context } = host.settings;
    const active = result.tokens[this.active];
    const longest = Math.max(result.tokens.length, result.rejected?.tokens.length ?? 0);
    const answer = result.rejected ? "chosen" : result.label === true ? "good answer" : result.label === false ? "bad answer" : undefined;
    return html`
      ${answer === undefined ? nothing : html`<h2 data-testid="tokens-answer">${answer}</h2>`}
      ${countsOf(result, context, "tokens-counts")}
      ${result.tokens.length > 0 && !result.tokens.some((token) => token.trained) ? html`<div role="status" data-testid="tokens-all-masked"><vscode-icon name="warning"></vscode-icon> Every token is masked: a run learns nothing from this row.</div>` : nothing}
      <div class="legend" aria-hidden="true">
        <span><span class="token trained sample">abc</span> trained on</span>
        <span><span class="token masked sample">abc</span> masked</span>
        <span><span class="token special masked sample">&lt;s&gt;</span> special</span>
        <span><span class="token cut sample">abc</span> cut</span>
      </div>
      <div class="tokens" role="listbox" tabindex="0" aria-label="Tokens" aria-activedescendant="t${this.active}" data-testid="tokens-list" @keydown=${(event: KeyboardEvent) => this.onKey(event, result.tokens.length)}>
        ${this.chipsOf(result, context, (token, index) => html`<span id="t${index}" class="${faceOf(token, index, context)}${index === this.active ? " active" : ""}" role="option" aria-selected=${index === this.active} data-testid="token" data-kind=${kindOf(token, index, context)} data-id=${token.id} title=${describeToken(token, index, context)} @mouseenter=${() => (this.active = index)}>${piecesOf(token)}</span>`)}
      </div>
      ${longest > this.chips ? html`<vscode-button secondary @click=${() => (this.chips = Number.POSITIVE_INFINITY)}>Show all ${formatCount(longest)} tokens</vscode-button>` : nothing}
      ${result.rejected ? this.rejected(host, result.rejected, result.parts_at ?? 0) : nothing}
      <details><summary>Text with the template</summary><pre data-testid="tokens-template-text">${result.text}</pre></details>
      <div class="about mono" data-testid="tokens-about" aria-live="polite">${active ? describeToken(active, this.active, context) : nothing}</div>`;
  }

  /** A pair's other answer below the chosen one, with the place where the two part. */
  private rejected(host: TokensState, text: TokenisedText, partsAt: number): TemplateResult {
    const { context } = host.settings;
    return html`<h2>rejected</h2>
      ${countsOf(text, context, "tokens-rejected-counts")}
      <div class="tokens" aria-label="Tokens of the rejected answer" data-testid="tokens-rejected">${this.chipsOf(text, context, (token, index) => html`${index === partsAt ? html`<div class="edge" data-testid="tokens-parts-at" data-at=${partsAt}>up to here as the chosen answer: ${plural(partsAt, "token")}</div>` : nothing}<span class=${faceOf(token, index, context)} data-kind=${kindOf(token, index, context)} title=${describeToken(token, index, context)}>${piecesOf(token)}</span>`)}</div>`;
  }

  /** As many of a text's tokens as are shown, and where the context ends. */
  private chipsOf(text: TokenisedText, context: number, chip: (token: Token, index: number) => TemplateResult): TemplateResult[] {
    const edge = (index: number): TemplateResult | typeof nothing =>
      index === context ? html`<div class="edge" data-testid="tokens-cut">the context ends here: ${plural(text.tokens.length - context, "token")} cut</div>` : nothing;
    return text.tokens.slice(0, this.chips).map((token, index) => html`${edge(index)}${chip(token, index)}`);
  }

  private onKey(event: KeyboardEvent, count: number): void {
    const by: Record<string, number> = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 10, ArrowUp: -10, Home: -count, End: count };
    const change = by[event.key];
    if (change === undefined) return;
    event.preventDefault();
    this.active = Math.max(0, Math.min(count - 1, this.active + change));
    this.renderRoot.querySelector(`#t${this.active}`)?.scrollIntoView({ block: "nearest" });
  }
}

function countsOf(text: TokenisedText, context: number, id: string): TemplateResult {
  const counts = countTokens(text.tokens, context);
  return html`<div class="counts" data-testid=${id}>
    <span><b>${formatCount(counts.all)}</b> tokens</span>
    <span><b>${formatCount(counts.trained)}</b> trained on (${formatPercent(counts.all > 0 ? counts.trained / counts.all : 0)})</span>
    <span><b>${formatCount(counts.masked)}</b> masked</span>
    <span><b>${formatCount(counts.special)}</b> special</span>
    <span><b>${formatCount(counts.cut)}</b> cut by the context of ${formatCount(context)}</span>
    <span class="muted">${charactersPerToken(text.text, text.tokens).toFixed(1)} characters a token</span>
  </div>`;
}

function kindOf(token: Token, index: number, context: number): "cut" | "trained" | "masked" {
  return index >= context ? "cut" : token.trained ? "trained" : "masked";
}

function faceOf(token: Token, index: number, context: number): string {
  return `token ${kindOf(token, index, context)}${token.special ? " special" : ""}${index % 2 ? " odd" : ""}`;
}

/** A token's text, with what cannot be seen as symbols. */
function piecesOf(token: Token): TemplateResult[] {
  return pieces(token.text).map((piece) => html`${piece.symbol ? html`<span class="symbol">${piece.text}</span>` : piece.text}${piece.breaks ? html`<br>` : nothing}`);
}
