import "@vscode-elements/elements/dist/vscode-icon/index.js";
import { html, LitElement, nothing, svg } from "lit";
import type { TemplateResult } from "lit";
import { customElement, state } from "lit/decorators.js";
import type { LineageApi, LineageGraph, LineageKind, LineageNode, LineageState, LineageUpdate } from "../../src/protocol/lineage-panel";
import { formatCount } from "../shared/format";
import { problemStyles, problemView } from "../shared/problem-view";
import { reporting } from "../shared/reporting";
import { HostConnection, viewState } from "../shared/rpc";
import { theme } from "../shared/theme";
import { edgePath } from "./edges";
import type { Box } from "./edges";
import { beside } from "./move";
import { styles } from "./styles";

const icons: Record<LineageKind, string> = { file: "file", source: "database", eval: "checklist", step: "filter", mix: "settings", split: "package", run: "graph-line", model: "circuit-board" };
const opens: Record<LineageKind, string> = { file: "Open the file", source: "Open the recipe at the source", eval: "Open the evaluation", step: "Open the recipe at the step", mix: "Open the recipe at the mix", split: "Open the rows", run: "Open the run", model: "Show where the model is" };

@customElement("tillage-lineage")
export class TillageLineage extends LitElement {
  static override styles = [theme, problemStyles, styles];

  @state() private host: LineageState | undefined;
  /** Edges as paths over the nodes as they are laid out now. */
  @state() private paths: { from: string; to: string; d: string }[] = [];
  @state() private size = { width: 0, height: 0 };
  /** The node whose edges stand out. */
  @state() private lit: string | undefined;
  private readonly resized = new ResizeObserver(() => this.measure());
  private readonly connection = new HostConnection<LineageState, LineageUpdate, LineageApi>((snapshot) => this.receive(snapshot), (update) => this.receive(update), (error) => this.report.fail(error));

  private receive(update: LineageUpdate): void {
    this.host = { ...this.host, ...update } as LineageState;
    viewState.set({ dataset: this.host.dataset });
  }

  private readonly report = reporting((problem) => {
    if (this.host) this.host = { ...this.host, problem };
  });

  override disconnectedCallback(): void {
    this.resized.disconnect();
    super.disconnectedCallback();
  }

  override updated(changed: Map<PropertyKey, unknown>): void {
    if (!changed.has("host")) return;
    const graph = this.renderRoot.querySelector(".graph");
    if (graph) this.resized.observe(graph);
    this.measure();
  }

  override render(): TemplateResult {
    const host = this.host;
    if (!host) return html``;
    return html`<header class="head"><h1 data-testid="lineage-title">${host.title}</h1><span class="muted">${host.subtitle}</span></header>
      ${host.problem ? problemView(host.problem, { label: "Try again", run: () => this.report.call(this.connection.calls.retry(null)) }) : nothing}
      ${host.graph ? this.graph(host.graph) : nothing}`;
  }

  private graph(graph: LineageGraph): TemplateResult {
    const { width, height } = this.size;
    return html`<div class="graph" data-testid="lineage" @keydown=${(event: KeyboardEvent) => this.onKey(event, graph)}>
      <svg class="edges" width=${width} height=${height} viewBox="0 0 ${width} ${height}" aria-hidden="true">
        ${this.paths.map(({ from, to, d }) => svg`<path class=${this.lit === from || this.lit === to ? "lit" : ""} d=${d}></path>`)}
      </svg>
      ${graph.layers.map(({ title, nodes }) => html`<div class="layer" role="group" aria-label=${title === "" ? "steps" : title}>
        <span class="title" aria-hidden="true">${title}</span>
        <div class="nodes">${nodes.map((node) => this.node(node, graph))}</div>
      </div>`)}
      ${graph.layers.some(({ title }) => title === "runs") ? nothing : html`<p class="muted none" data-testid="no-runs">No run of this workspace was trained on it yet.</p>`}
    </div>`;
  }

  private node(node: LineageNode, { rowsIn, edges }: LineageGraph): TemplateResult {
    const from = edges.filter((edge) => edge.to === node.id).length;
    const told = [node.label, ...node.facts, ...(node.warning === undefined ? [] : [node.warning]), from > 0 ? `made from ${from} above` : ""].filter((text) => text !== "").join(". ");
    const light = (): void => void (this.lit = node.id);
    return html`<div class="node ${node.kind}" data-testid="node" data-id=${node.id} data-kind=${node.kind} @mouseenter=${light} @mouseleave=${() => (this.lit = undefined)} @focusin=${light} @focusout=${() => (this.lit = undefined)}>
      <button class="main" title=${node.opens ? opens[node.kind] : ""} aria-label=${node.opens ? `${told}. ${opens[node.kind]}` : told} aria-disabled=${!node.opens} @click=${() => node.opens && this.report.call(this.connection.calls.open({ id: node.id }))}>
        <span class="label"><vscode-icon name=${icons[node.kind]}></vscode-icon> ${node.label}</span>
        ${node.facts.map((fact) => html`<span class="fact">${fact}</span>`)}
        ${node.warning === undefined ? nothing : html`<span class="fact warn"><vscode-icon name="warning"></vscode-icon> ${node.warning}</span>`}
      </button>
      ${node.rows === undefined || rowsIn === 0 ? nothing : bar(node, rowsIn)}
      ${node.receipts ? html`<button class="link receipts" data-testid="node-receipts" title="Show these rows, each with its reason" @click=${() => this.report.call(this.connection.calls.receipts({ step: node.receipts?.step ?? "" }))}>${node.receipts.label}</button>` : nothing}
    </div>`;
  }

  private onKey(event: KeyboardEvent, graph: LineageGraph): void {
    const at = (event.target as HTMLElement).closest<HTMLElement>(".node")?.dataset["id"];
    const next = at === undefined ? undefined : beside(graph, at, event.key);
    if (next === undefined) return;
    event.preventDefault();
    this.renderRoot.querySelector<HTMLElement>(`.node[data-id="${CSS.escape(next)}"] .main`)?.focus();
  }

  /** Edges are drawn between the nodes as the page has laid them out. */
  private measure(): void {
    const element = this.renderRoot.querySelector<HTMLElement>(".graph");
    const graph = this.host?.graph;
    if (!element || !graph) return;
    const base = element.getBoundingClientRect();
    const boxes = new Map<string, Box>();
    for (const node of element.querySelectorAll<HTMLElement>(".node")) {
      const { left, top, width, height } = node.getBoundingClientRect();
      boxes.set(node.dataset["id"] ?? "", { left: left - base.left, top: top - base.top, width, height });
    }
    this.size = { width: base.width, height: base.height };
    this.paths = graph.edges.flatMap(({ from, to }) => {
      const [a, b] = [boxes.get(from), boxes.get(to)];
      return a && b ? [{ from, to, d: edgePath(a, b) }] : [];
    });
  }
}

/** The rows that are left, out of all that were read; what a step drops is hatched. */
function bar({ rows = 0, rowsIn = rows }: LineageNode, all: number): TemplateResult {
  return html`<span class="bar" title=${`${formatCount(rows)} of ${formatCount(all)} rows read`} aria-hidden="true"><span class="kept" style="width: ${(100 * rows) / all}%"></span>${rowsIn > rows ? html`<span class="gone" style="width: ${(100 * (rowsIn - rows)) / all}%"></span>` : nothing}</span>`;
}
