import { html, LitElement, nothing } from "lit";
import type { TemplateResult } from "lit";
import { customElement, state } from "lit/decorators.js";
import "@vscode-elements/elements/dist/vscode-button/index.js";
import "@vscode-elements/elements/dist/vscode-icon/index.js";
import "@vscode-elements/elements/dist/vscode-progress-bar/index.js";
import "@vscode-elements/elements/dist/vscode-toolbar-button/index.js";
import type { CorpusPanelApi, CorpusState, CorpusUpdate } from "../../src/protocol/corpus-panel";
import { HostConnection } from "../shared/rpc";
import { theme } from "../shared/theme";
import "./page.css";
import "./bad-rows";
import "./columns-menu";
import "./detail";
import "./facet-rail";
import "./grid";
import "./header";
import "./search-box";
import "./splitter";
import { layout, restoreLayout, saveLayout } from "./layout";
import { styles } from "./main.styles";
import { failedView, openingView } from "./stages";
import { CorpusStore } from "./store";
import { chips } from "./view-state";
import type { Search, ViewAction } from "./view-state";
import { formatCount, plural } from "../shared/format";

/** Below this width in px the panes stack. */
const NARROW = 820;

/** The corpus editor: header, search, facets, grid, detail. */
@customElement("tillage-corpus")
export class TillageCorpus extends LitElement {
  static override styles = [theme, styles];

  @state() private version = 0;
  @state() private layout = layout;
  @state() private width = window.innerWidth;
  private readonly store: CorpusStore;

  constructor() {
    super();
    const connection = new HostConnection<CorpusState, CorpusUpdate, CorpusPanelApi>(
      (state) => this.store.receive(state),
      (update) => this.store.update(update),
      (error) => this.store.update({ kind: "stage", stage: { kind: "failed", problem: error.problem }, bytes: 0 }),
    );
    this.store = new CorpusStore(connection.calls, () => (this.version += 1));
    const restored = restoreLayout();
    this.layout = restored.layout;
    this.store.view = restored.view;
  }

  override firstUpdated(): void {
    new ResizeObserver(() => (this.width = this.clientWidth)).observe(this);
    document.addEventListener("keydown", (event) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "f") {
        event.preventDefault();
        this.renderRoot.querySelector("tillage-search-box")?.focusInput();
      }
    });
  }

  override updated(): void {
    const folder = this.store.state?.folder;
    saveLayout({ layout: this.layout, view: this.store.view, ...(folder === undefined ? {} : { folder }) });
  }

  override render(): TemplateResult | typeof nothing {
    const state = this.store.state;
    if (!state) return nothing;
    if (state.stage.kind === "opening") return openingView(state, state.stage.since, () => this.store.run(this.store.calls.cancelOpen(null)));
    if (state.stage.kind === "failed") {
      return failedView(state, state.stage.problem, {
        reload: () => this.store.run(this.store.calls.reload(null)),
        openText: (line) => this.store.run(this.store.calls.openText({ line })),
      });
    }
    const open = state.stage.open;
    return html`
      <tillage-corpus-header
        .name=${state.name} .path=${state.path} .open=${open} .words=${this.store.words}
        @open-text=${(event: CustomEvent<{ line?: number }>) => this.store.run(this.store.calls.openText(event.detail))}
        @reload=${() => this.store.run(this.store.calls.reload(null))}>
        <tillage-search-box
          .search=${this.store.view.search} .columns=${open.columns} .problem=${this.store.queryProblem}
          @search=${(event: CustomEvent<Search>) => this.store.act({ kind: "search", search: event.detail })}></tillage-search-box>
      </tillage-corpus-header>
      ${this.renderNote()}
      ${open.rows === 0 ? this.renderEmpty() : this.renderBody()}
    `;
  }

  private renderNote(): TemplateResult | typeof nothing {
    const note = this.store.note;
    if (!note) return nothing;
    const icon = note.kind === "failed" ? "error" : note.kind === "kept" ? "check" : "info";
    return html`<div class="note ${note.kind}" role="status" data-testid="corpus-note">
      <vscode-icon name=${icon}></vscode-icon><span>${note.text}</span>
      <vscode-toolbar-button icon="close" label="Dismiss" title="Dismiss" @click=${() => this.store.dismissNote()}></vscode-toolbar-button>
    </div>`;
  }

  private renderEmpty(): TemplateResult {
    const open = this.store.open;
    const bad = open?.badRows ?? 0;
    return html`<div class="state" data-testid="corpus-empty">
      <vscode-icon name="inbox" size="32"></vscode-icon>
      <h2>${bad > 0 ? (bad === 1 ? "The only row could not be read" : `None of the ${formatCount(bad)} rows could be read`) : "This file has no rows"}</h2>
      <p>${bad > 0 ? "Every line is broken in some way; the list above says where and how." : "It was read without error and holds nothing. When something is written to it, it appears here."}</p>
      <vscode-button @click=${() => this.store.run(this.store.calls.openText({}))}>Open as text</vscode-button>
    </div>`;
  }

  private renderBody(): TemplateResult {
    const { railOpen } = this.layout;
    const shown = this.store.detail;
    // Beside another editor there is no room for three panes: the detail goes below the rows.
    const narrow = this.width < NARROW;
    const rail = narrow ? Math.min(this.layout.rail, this.width * 0.45) : this.layout.rail;
    const detail = Math.min(this.layout.detail, this.width - (railOpen ? rail : 0) - 240);
    const columns = `${railOpen ? `${rail}px 1px ` : ""}minmax(0, 1fr)${shown && !narrow ? ` 1px ${detail}px` : ""}`;
    return html`<div class="body ${narrow ? "narrow" : ""} ${shown ? "split" : ""}" style="grid-template-columns: ${columns}">
      ${railOpen
        ? html`<tillage-facet-rail
              .facets=${this.store.facets} .columns=${this.store.columns} .view=${this.store.view} .busy=${this.store.facetsBusy} .since=${this.store.facetsSince}
              .counted=${this.store.counted} .rows=${this.store.open?.rows ?? 0} .paused=${this.store.paused} @pause=${(event: CustomEvent<boolean>) => this.store.pause(event.detail)}
              @view=${(event: CustomEvent<ViewAction>) => this.store.act(event.detail)}></tillage-facet-rail>
            <tillage-splitter label="Width of the facets" .size=${rail} min="160" max="480"
              @resize-to=${(event: CustomEvent<number>) => (this.layout = { ...this.layout, rail: event.detail })}></tillage-splitter>`
        : nothing}
      <section class="table" aria-label="Rows">${this.renderBar()} ${this.renderGrid()}</section>
      ${shown
        ? html`${narrow ? nothing : html`<tillage-splitter class="right" label="Width of the row's detail" .size=${detail} min="220" max="900" reversed
              @resize-to=${(event: CustomEvent<number>) => (this.layout = { ...this.layout, detail: event.detail })}></tillage-splitter>`}
            <tillage-row-detail .row=${shown.row} .detail=${shown.detail} .problem=${shown.problem} .columns=${this.store.columns}
              .search=${this.store.view.search}
              @show-tokens=${() => this.store.run(this.store.calls.tokens({ row: shown.row }))}
              @copy-text=${(event: CustomEvent<string>) => this.store.run(this.store.calls.copy({ text: event.detail }))}
              @close=${() => this.closeDetail()}></tillage-row-detail>`
        : nothing}
    </div>`;
  }

  private renderBar(): TemplateResult {
    const { store } = this;
    const rows = store.open?.rows ?? 0;
    const total = store.total;
    const active = chips(store.view);
    const trusted = store.state?.trusted ?? false;
    const keepHint = !trusted
      ? "Writing to a recipe needs a trusted workspace."
      : total === 0 ? "No row matches: such a filter would leave nothing." : store.filtered ? "Write these conditions as a where step of a recipe" : "Filter first: there is nothing to keep yet.";
    return html`<div class="bar">
      <vscode-toolbar-button icon="list-filter" label="Facets" title=${this.layout.railOpen ? "Hide the facets" : "Show the facets"} toggleable
        ?checked=${this.layout.railOpen} data-testid="corpus-toggle-facets"
        @change=${() => (this.layout = { ...this.layout, railOpen: !this.layout.railOpen })}></vscode-toolbar-button>
      <span class=${store.stale ? "count muted" : "count"} role="status" aria-busy=${store.stale} data-testid="corpus-count">${
        total === undefined ? html`<span class="muted">Counting…</span>` : store.filtered ? html`<b>${formatCount(total)}</b> of ${plural(rows, "row")}` : html`<b>${formatCount(rows)}</b> ${rows === 1 ? "row" : "rows"}`
      }${this.renderSearched()}</span>
      <span class="chips">${active.map((chip) => html`<span class="chip" data-testid="corpus-chip"><span title=${chip.label}>${chip.label}</span>
        <button aria-label=${`Remove ${chip.label}`} title="Remove" @click=${() => store.act(chip.remove)}><vscode-icon name="close" size="12"></vscode-icon></button></span>`)}
        ${store.filtered ? html`<button class="link" data-testid="corpus-clear" @click=${() => store.act({ kind: "clear" })}>Clear filters</button>` : nothing}</span>
      <span class="actions">
        <vscode-button secondary icon="filter" title=${keepHint} data-testid="corpus-keep" ?disabled=${!store.filtered || !trusted || total === 0 || store.queryProblem !== undefined}
          @click=${() => void store.keepAsFilter()}>Keep as filter</vscode-button>
        <tillage-columns-menu .columns=${store.columns} .hiddenColumns=${this.layout.hidden}
          @toggle-column=${(event: CustomEvent<string>) => this.toggleColumn(event.detail)}></tillage-columns-menu>
      </span>
    </div>`;
  }

  /** How far a search is that goes on. */
  private renderSearched(): TemplateResult | typeof nothing {
    const { searched } = this.store;
    return searched === undefined ? nothing : html` <span class="muted" data-testid="corpus-searched">so far, ${Math.floor(searched * 100)} % searched</span>`;
  }

  private renderGrid(): TemplateResult {
    const { store } = this;
    const none = store.total === 0 && !store.queryProblem && store.searched === undefined;
    return html`<div class="grid-wrap">
      <tillage-grid .pages=${store.pages} .answered=${store.answered} .failed=${store.queryProblem !== undefined} .version=${this.version} .columns=${store.columns} .hiddenColumns=${this.layout.hidden} .widths=${this.layout.widths}
        .sort=${store.view.sort} .search=${store.view.search} .total=${store.total ?? 0} .fileRows=${store.open?.rows ?? 0} .selected=${store.detail?.row} .scrollWish=${store.scrollTo}
        @sort-by=${(event: CustomEvent<string>) => store.act({ kind: "sort", column: event.detail })}
        @select-row=${(event: CustomEvent<number>) => store.select(event.detail)}
        @resize-column=${(event: CustomEvent<{ column: string; width: number }>) => {
          this.layout = { ...this.layout, widths: { ...this.layout.widths, [event.detail.column]: event.detail.width } };
        }}></tillage-grid>
      ${none
        ? html`<div class="state over" data-testid="corpus-no-match"><vscode-icon name="search" size="32"></vscode-icon><h2>No rows match</h2>
            <p>Every one of the ${formatCount(store.open?.rows ?? 0)} rows is left out by the conditions above.</p>
            <vscode-button data-testid="corpus-clear-empty" @click=${() => store.act({ kind: "clear" })}>Clear filters</vscode-button></div>`
        : nothing}
    </div>`;
  }

  private toggleColumn(name: string): void {
    const hidden = this.layout.hidden.includes(name) ? this.layout.hidden.filter((other) => other !== name) : [...this.layout.hidden, name];
    this.layout = { ...this.layout, hidden };
  }

  private closeDetail(): void {
    this.store.unselect();
    this.renderRoot.querySelector("tillage-grid")?.focusGrid();
  }
}
