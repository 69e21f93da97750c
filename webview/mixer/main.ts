import "@vscode-elements/elements/dist/vscode-button/index.js";
import "@vscode-elements/elements/dist/vscode-icon/index.js";
import "@vscode-elements/elements/dist/vscode-option/index.js";
import "@vscode-elements/elements/dist/vscode-progress-bar/index.js";
import "@vscode-elements/elements/dist/vscode-single-select/index.js";
import "@vscode-elements/elements/dist/vscode-textfield/index.js";
import { html, LitElement, nothing } from "lit";
import type { TemplateResult } from "lit";
import { customElement, state } from "lit/decorators.js";
import { live } from "lit/directives/live.js";
import { computeMix } from "../../src/core/mix";
import type { MixResult } from "../../src/core/mix";
import { budgetLimit } from "../../src/core/mix/words";
import { rebalance, roundToOne } from "../../src/core/mix/rebalance";
import { parseTokens } from "../../src/core/recipe/quantity";
import type { MixerApi, MixerState, MixerUpdate } from "../../src/protocol/mixer-panel";
import { formatCount, formatScaled } from "../shared/format";
import { emptyView, problemStyles, problemView } from "../shared/problem-view";
import { reporting } from "../shared/reporting";
import { HostConnection, viewState } from "../shared/rpc";
import { theme } from "../shared/theme";
import { budgetView, syntheticView } from "./budget";
import { formatTimes, rowView } from "./row";
import { styles } from "./styles";

/** While a slider moves the text follows at this rhythm. */
const WRITE_MS = 120;
/** A pause this long after the last key ends a change made by keyboard. */
const KEYS_MS = 500;

@customElement("tillage-mixer")
export class TillageMixer extends LitElement {
  static override styles = [theme, problemStyles, styles];

  @state() private host: MixerState | undefined;
  /** Shares of a drag that is going on; they win over the text's until the text has followed. */
  @state() private dragged: number[] | undefined;
  @state() private locked = new Set<string>();
  private lastWrite = 0;
  private pending: ReturnType<typeof setTimeout> | undefined;
  private readonly connection = new HostConnection<MixerState, MixerUpdate, MixerApi>(
    (snapshot) => {
      this.host = snapshot;
      viewState.set({ path: snapshot.path });
    },
    (update) => this.receive(update),
    (error) => this.report.fail(error),
  );

  private receive(update: MixerUpdate): void {
    if (this.host) this.host = { ...this.host, ...update };
  }

  private readonly report = reporting((problem) => (this.host = { ...(this.host ?? BLANK), problem, updating: false }));

  private mix(): MixResult {
    const { groups, wish } = this.host ?? BLANK;
    const shares = this.dragged ? Object.fromEntries((groups ?? []).map((group, i) => [group.group, this.dragged?.[i] ?? 0])) : wish.shares;
    return computeMix(groups ?? [], { ...wish, shares });
  }

  private move(index: number, wanted: number, done: boolean): void {
    const groups = this.host?.groups ?? [];
    const before = this.dragged ?? roundToOne(this.mix().rows.map((row) => row.shareWanted));
    this.dragged = rebalance(before, groups.map((group) => this.locked.has(group.group)), index, wanted);
    clearTimeout(this.pending);
    if (done) {
      this.pending = setTimeout(() => this.write(true), KEYS_MS);
      return;
    }
    const wait = Math.max(0, this.lastWrite + WRITE_MS - Date.now());
    this.pending = setTimeout(() => this.write(false), wait);
  }

  private write(last: boolean): void {
    const groups = this.host?.groups ?? [];
    const shares = this.dragged;
    if (!shares) return;
    this.lastWrite = Date.now();
    const written = this.connection.calls.setShares({ shares: Object.fromEntries(groups.map((group, i) => [group.group, shares[i] ?? 0])), last });
    // The drag ends when the text has it: from then on the text is what the sliders show.
    this.report.call(written.finally(() => {
      if (last && this.dragged === shares) this.dragged = undefined;
    }));
  }

  private toggleLock(group: string): void {
    const next = new Set(this.locked);
    if (!next.delete(group)) next.add(group);
    this.locked = next;
  }

  private onKey(event: KeyboardEvent): void {
    if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "z") {
      event.preventDefault();
      this.report.call(this.connection.calls.undo(null));
    }
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.addEventListener("keydown", (event) => this.onKey(event));
  }

  override render(): TemplateResult {
    const host = this.host;
    if (!host) return html`<vscode-progress-bar indeterminate></vscode-progress-bar>`;
    const retry = { label: "Try again", run: () => this.report.call(this.connection.calls.retry(null)) };
    if (!host.groups) {
      if (host.problem) return problemView(host.problem, retry);
      return html`<vscode-progress-bar indeterminate></vscode-progress-bar><p class="muted waiting" data-testid="mixer-waiting">Counting the rows and tokens that ${host.title} leaves…</p>`;
    }
    if (host.groups.length === 0) return emptyView("No rows to mix", "The recipe's steps leave no row.", { label: "Show the recipe", run: () => this.report.call(this.connection.calls.showText(null)) });
    const mix = this.mix();
    return html`
      <div class="busy">${host.updating ? html`<vscode-progress-bar indeterminate></vscode-progress-bar>` : nothing}</div>
      ${budgetView(host, mix, {
        setBudget: (text) => this.setTokens(text),
        setParameters: (text) => this.setParameters(text),
      })}
      ${host.problem ? problemView(host.problem, retry) : nothing}
      ${this.limit(host, mix)}
      ${syntheticView(host, mix)}
      <div class="table" role="table" aria-label="Mix by ${host.by}" data-testid="mixer-table">
        <div class="head row" role="row">
          <span role="columnheader" class="group">${host.by}</span>
          <span role="columnheader" class="num rows">rows</span>
          <span role="columnheader" class="num tokens">tokens</span>
          <span role="columnheader" class="now">share now</span>
          <span role="columnheader" class="wanted wanted-head">share wanted</span>
          <span role="columnheader" class="num mixed">mixed tokens</span>
          <span role="columnheader" class="num epochs">epochs</span>
        </div>
        ${mix.rows.map((row, index) => rowView(row, {
          index, mix, maxEpochs: host.wish.maxEpochs, locked: this.locked.has(row.group),
          move: (wanted, done) => this.move(index, wanted, done),
          toggleLock: () => this.toggleLock(row.group),
        }))}
        ${this.total(mix)}
      </div>
      <p class="muted limits" data-testid="mixer-limits">${limits(host, mix)}</p>
      ${this.footer(host)}`;
  }

  private total(mix: MixResult): TemplateResult {
    const rows = mix.rows.reduce((sum, row) => sum + row.rows, 0);
    const tokens = mix.rows.reduce((sum, row) => sum + row.tokens, 0);
    return html`<div class="row total" role="row" data-testid="mixer-total">
      <span role="cell" class="group">all</span>
      <span role="cell" class="num rows">${formatCount(rows)}</span>
      <span role="cell" class="num tokens">${formatScaled(tokens)}</span>
      <span role="cell" class="now"></span><span role="cell" class="wanted"></span>
      <span role="cell" class="num mixed">${formatScaled(mix.budgetTokens)}</span>
      <span role="cell" class="num epochs">${tokens > 0 ? formatTimes(mix.budgetTokens / tokens) : "–"}</span>
    </div>`;
  }

  private limit(host: MixerState, mix: MixResult): TemplateResult | typeof nothing {
    const found = budgetLimit(mix, host.wish.maxEpochs);
    if (!found) return nothing;
    const epochs = Math.ceil(found.needed * 10) / 10;
    return html`<div class="notice" role="status" data-testid="mixer-limit">
      <vscode-icon name="warning"></vscode-icon>
      <span><b>${found.group}</b> ${found.text}</span>
      <vscode-button secondary data-testid="allow-epochs" @click=${() => this.report.call(this.connection.calls.setMaxEpochs({ epochs }))}>Allow ${epochs} epochs</vscode-button>
      <vscode-button secondary data-testid="fit-budget" @click=${() => this.report.call(this.connection.calls.setBudget({ tokens: mix.budgetTokens }))}>Set the budget to ${formatScaled(mix.budgetTokens)}</vscode-button>
    </div>`;
  }

  private footer(host: MixerState): TemplateResult {
    const choices = host.byChoices.includes(host.by) ? host.byChoices : [host.by, ...host.byChoices];
    return html`<div class="footer">
      <label class="by">by
        <vscode-single-select data-testid="mixer-by" .value=${live(host.by)} @change=${(event: Event) => this.report.call(this.connection.calls.setBy({ by: (event.target as HTMLInputElement).value }))}>
          ${choices.map((name) => html`<vscode-option value=${name} ?selected=${name === host.by}>${name}</vscode-option>`)}
        </vscode-single-select>
      </label>
      <span class="muted note" data-testid="mixer-note">${host.exact ? "Tokens are counted with the recipe's tokenizer." : "Tokens are estimated at 1.3 a word; name a tokenizer in the recipe's mix for exact counts."}</span>
      <vscode-button secondary icon="discard" data-testid="mixer-undo" @click=${() => this.report.call(this.connection.calls.undo(null))}>Undo</vscode-button>
      <vscode-button secondary icon="go-to-file" data-testid="mixer-text" @click=${() => this.report.call(this.connection.calls.showText(null))}>Show the text</vscode-button>
    </div>`;
  }

  private setTokens(text: string): void {
    const tokens = parseTokens(text);
    if (tokens !== undefined && tokens !== this.host?.wish.budget) this.report.call(this.connection.calls.setBudget({ tokens }));
    else this.requestUpdate();
  }

  private setParameters(text: string): void {
    if (text.trim() === "") this.report.call(this.connection.calls.setParameters({ parameters: null }));
    const parameters = parseTokens(text);
    if (parameters !== undefined && parameters !== this.host?.model?.parameters) this.report.call(this.connection.calls.setParameters({ parameters }));
  }
}

/** What decides how many tokens the mix has. */
function limits({ wish }: MixerState, mix: MixResult): string {
  if (mix.limitedBy !== undefined) return `Budget: ${formatScaled(mix.budgetTokens)} of ${formatScaled(mix.wantedTokens)} tokens. It is limited by ${mix.limitedBy}, of which no row may be seen more than ${wish.maxEpochs} times (max_epochs).`;
  if (wish.budget !== undefined) return `Budget: the ${formatScaled(mix.wantedTokens)} tokens that the recipe asks for; nothing limits it.`;
  const weighed = mix.rows.some(({ tokens, parts }) => parts !== undefined && Math.abs(parts.plain.weighted + parts.synthetic.weighted - tokens) > tokens * 1e-9);
  return `Budget: the tokens that there are${weighed ? ", each times its row's weight" : ""}; the recipe names none.`;
}

const BLANK: MixerState = {
  title: "", path: "", groups: null, exact: false, wish: { shares: {}, maxEpochs: 4 }, by: "source", byChoices: ["source"], model: null, updating: false, problem: null,
};
