import { html, LitElement, nothing } from "lit";
import type { TemplateResult } from "lit";
import { customElement, state } from "lit/decorators.js";
import "@vscode-elements/elements/dist/vscode-icon/index.js";
import type { CompareApi, CompareCase, CompareModel, CompareUpdate, CompareView } from "../../src/protocol/compare-panel";
import { toProblem } from "../../src/protocol/errors";
import type { Problem } from "../../src/protocol/errors";
import { formatCount, plural } from "../shared/format";
import { HostConnection, viewState } from "../shared/rpc";
import { theme } from "../shared/theme";
import { caseCard } from "./case";
import { styles } from "./main.styles";

const FILTERS = ["all", "fixed", "broken", "changed", "same"] as const;
type Filter = (typeof FILTERS)[number];
const ADD = "add a folder";

/** The compare panel: the same prompts through two models, side by side. */
@customElement("tillage-compare")
export class TillageCompare extends LitElement {
  static override styles = [theme, styles];

  @state() private view: CompareView | undefined;
  @state() private problem: Problem | undefined;
  @state() private filter: Filter = "all";
  @state() private current = 0;
  private readonly host = new HostConnection<CompareView, CompareUpdate, CompareApi>(
    (view) => this.receive(view),
    (update) => this.receive(update.view),
    (error) => (this.problem = error.problem),
  );

  override render(): TemplateResult {
    const { view } = this;
    if (!view) return this.problem ? this.problemBox(this.problem) : html`<p class="muted waiting" role="status">Reading the answers…</p>`;
    const problem = this.problem ?? view.problem;
    return html`
      <header>
        <div class="title">
          <h1>${view.title ?? view.name}</h1>
          <button class="link" data-testid="compare-file" @click=${() => void this.call("openPrompt", {})}>${view.name}</button>
          <span class="actions">
            ${view.cases ? html`
              <button class="action" data-testid="compare-changes" @click=${() => void this.call("openChanges", null)}><vscode-icon name="diff-multiple"></vscode-icon>Open as diff</button>
              <button class="action" data-testid="compare-again" ?disabled=${Boolean(view.asking)} @click=${() => void this.call("again", null)}><vscode-icon name="refresh"></vscode-icon>Ask again</button>` : nothing}
          </span>
        </div>
        <div class="models">
          ${this.picker(view, "before", view.before)}
          <button class="icon" title="Swap" aria-label="Swap the models" data-testid="compare-swap" @click=${() => void this.call("swap", null)}><vscode-icon name="arrow-swap"></vscode-icon></button>
          ${this.picker(view, "after", view.after)}
        </div>
        ${view.asking ? this.progress(view.asking) : nothing}
        ${problem ? this.problemBox(problem) : nothing}
        ${this.notes(view)}
      </header>
      ${view.cases ? this.list(view.cases, view) : this.empty(view)}
    `;
  }

  private picker(view: CompareView, side: "before" | "after", chosen: string | undefined): TemplateResult {
    const model = view.models.find((item) => item.ref === chosen);
    return html`<label><span class="muted">${side}</span>
      <select data-testid=${`compare-${side}`} @change=${(event: Event) => this.choose(side, event.target as HTMLSelectElement)}>
        ${model ? nothing : html`<option value="" selected>choose a model…</option>`}
        ${view.models.map((item) => html`<option value=${item.ref} ?selected=${item.ref === chosen}>${modelLabel(item)}</option>`)}
        <option value=${ADD}>a model folder…</option>
      </select></label>`;
  }

  private choose(side: "before" | "after", select: HTMLSelectElement): void {
    if (select.value === ADD) void this.call("addModel", { side });
    else if (select.value !== "") void this.call("choose", side === "before" ? { before: select.value } : { after: select.value });
  }

  private progress(asking: NonNullable<CompareView["asking"]>): TemplateResult {
    const share = asking.of > 0 ? asking.done / asking.of : 0;
    return html`<div class="asking" role="status" data-testid="compare-asking">
      <vscode-icon name="loading" spin></vscode-icon><span>Asking ${asking.label}: ${asking.done === 0 ? "reading the model" : `question ${formatCount(asking.done)} of ${formatCount(asking.of)}`}</span>
      <button class="link" data-testid="compare-cancel" @click=${() => void this.call("cancel", null)}>Cancel</button>
      <div class="bar"><div style="width:${share * 100}%"></div></div></div>`;
  }

  private notes(view: CompareView): TemplateResult | typeof nothing {
    const stale = view.models.filter((model) => (model.ref === view.before || model.ref === view.after) && model.result?.stale);
    const notes = [
      ...(stale.length > 0 ? [`${view.name} was changed since ${stale.map((model) => model.label).join(" and ")} ${stale.length === 1 ? "was" : "were"} asked.`] : []),
      ...(view.unmatched > 0 ? [`${plural(view.unmatched, "prompt")} ${view.unmatched === 1 ? "was" : "were"} put to one of the models only, and ${view.unmatched === 1 ? "is" : "are"} left out.`] : []),
    ];
    if (notes.length === 0 || view.asking) return nothing;
    return html`<p class="note" data-testid="compare-note"><vscode-icon name="info"></vscode-icon>${notes.join(" ")} <button class="link" @click=${() => void this.call("again", null)}>Ask again</button></p>`;
  }

  private list(cases: readonly CompareCase[], view: CompareView): TemplateResult {
    const shown = this.shown(cases);
    const count = (filter: Filter): number => (filter === "all" ? cases.length : (view.counts?.[filter] ?? 0));
    const label = (ref: string | undefined): string => view.models.find((model) => model.ref === ref)?.label ?? "";
    return html`
      <div class="filters" role="group" aria-label="Show">
        ${FILTERS.map((filter) => html`<button data-testid=${`filter-${filter}`} aria-pressed=${String(this.filter === filter)} @click=${() => this.setFilter(filter)}><span class="count">${formatCount(count(filter))}</span> ${filter}</button>`)}
        <span class="muted hint">↑ ↓ to move, Enter for the diff</span>
      </div>
      ${shown.length === 0
        ? html`<p class="muted empty">No prompt was ${this.filter}.</p>`
        : html`<div class="cases" data-testid="compare-cases" @keydown=${this.key}>${shown.map((item, index) => caseCard(item, {
          number: cases.indexOf(item) + 1, before: label(view.before), after: label(view.after), focused: index === this.current,
          focus: () => (this.current = index), openDiff: () => void this.call("openDiff", { id: item.id }), openPrompt: () => void this.call("openPrompt", { id: item.id }),
        }))}</div>`}
    `;
  }

  private shown(cases: readonly CompareCase[]): readonly CompareCase[] {
    return this.filter === "all" ? cases : cases.filter((item) => item.change === this.filter);
  }

  private setFilter(filter: Filter): void {
    this.filter = filter;
    this.current = 0;
  }

  private empty(view: CompareView): TemplateResult | typeof nothing {
    if (view.asking) return nothing;
    if (view.models.length < 2) return html`<p class="muted empty">There ${view.models.length === 0 ? "is no model yet" : "is one model only"}. A finished run gives one; start a <span class="mono">.run.yaml</span>, or take <em>a model folder…</em> above.</p>`;
    const missing = view.models.filter((model) => (model.ref === view.before || model.ref === view.after) && !model.result);
    return html`<div class="empty"><p class="muted">${missing.length > 0 ? `${missing.map((model) => model.label).join(" and ")} ${missing.length === 1 ? "was" : "were"} not asked yet.` : "Choose two models above."}</p>
      ${missing.length > 0 ? html`<button class="action primary" data-testid="compare-ask" @click=${() => void this.call("choose", {})}>Ask now</button>` : nothing}</div>`;
  }

  private problemBox(problem: Problem): TemplateResult {
    return html`<section class="problem" role="alert" data-testid="problem"><vscode-icon name="error"></vscode-icon><div><p class="what">${problem.message}</p><p>${problem.remedy}</p></div></section>`;
  }

  private readonly key = (event: KeyboardEvent): void => {
    const cards = [...this.renderRoot.querySelectorAll<HTMLElement>("[data-testid=compare-case]")];
    const step = event.key === "ArrowDown" || event.key === "j" ? 1 : event.key === "ArrowUp" || event.key === "k" ? -1 : 0;
    const target = event.target as HTMLElement;
    if (step !== 0) {
      event.preventDefault();
      this.current = Math.min(cards.length - 1, Math.max(0, this.current + step));
      cards[this.current]?.focus();
    } else if (event.key === "Enter" && target.dataset["testid"] === "compare-case") {
      event.preventDefault();
      void this.call("openDiff", { id: target.dataset["id"] ?? "" });
    }
  };

  private async call<K extends keyof CompareApi>(method: K, params: Parameters<CompareApi[K]>[0]): Promise<void> {
    this.problem = undefined;
    try {
      await (this.host.calls[method] as (params: unknown) => Promise<unknown>)(params);
    } catch (error) {
      this.problem = toProblem(error);
    }
  }

  private receive(view: CompareView): void {
    this.view = view;
    viewState.set({ file: view.file, before: view.before, after: view.after });
  }
}

function modelLabel(model: CompareModel): string {
  return model.result ? `${model.label}  ·  ${model.result.correct}/${model.result.of}` : `${model.label}  ·  not asked yet`;
}
