import "@vscode-elements/elements/dist/vscode-button/index.js";
import "@vscode-elements/elements/dist/vscode-icon/index.js";
import { html, LitElement, nothing } from "lit";
import type { TemplateResult } from "lit";
import { customElement, state } from "lit/decorators.js";
import { isSourceShape, missingRoles, readingText, shapeRoles, type ShapeRole, type SourceShape } from "../../src/core/dataset/mapping";
import type { SourceMapping } from "../../src/protocol/corpus";
import type { MappingApi, MappingState, MappingUpdate } from "../../src/protocol/mapping-panel";
import { formatCount, plural } from "../shared/format";
import { problemStyles, problemView } from "../shared/problem-view";
import { progressStyles, progressView } from "../shared/progress-view";
import { reporting } from "../shared/reporting";
import { HostConnection, viewState } from "../shared/rpc";
import { theme } from "../shared/theme";
import { previewView } from "./preview";
import { styles } from "./styles";
import { rolesShown, withRole, withShape } from "./wish";

@customElement("tillage-mapping")
export class TillageMapping extends LitElement {
  static override styles = [theme, problemStyles, progressStyles, styles];

  @state() private host: MappingState | undefined;
  private readonly connection = new HostConnection<MappingState, MappingUpdate, MappingApi>((snapshot) => this.receive(snapshot), (update) => this.receive(update), (error) => this.report.fail(error));

  private receive(update: MappingUpdate): void {
    this.host = { ...this.host, ...update } as MappingState;
    viewState.set({ path: this.host.path, source: this.host.source });
  }

  private readonly report = reporting((problem) => {
    if (this.host) this.host = { ...this.host, problem };
  });

  override render(): TemplateResult {
    const host = this.host;
    const { calls } = this.connection;
    const cancel = (): void => this.report.call(calls.cancel(null));
    if (!host) return progressView({ stage: "opening", done: 0, of: 0 }, cancel);
    return html`<header class="head">
        <h1>Columns of <span class="mono">${host.source}</span></h1>
        ${host.file === "" ? nothing : html`<button class="link" data-testid="open-file" @click=${() => this.report.call(calls.openFile(null))}>${host.file}</button>`}
        ${host.mapping && host.mapping.files > 1 ? html`<span class="muted">the first of ${plural(host.mapping.files, "file")}</span>` : nothing}
      </header>
      ${host.problem ? problemView(host.problem, { label: "Try again", run: () => this.report.call(calls.retry(null)) }) : nothing}
      ${host.mapping ? this.editor(host, host.mapping) : host.updating ? progressView({ stage: "reading the first rows", done: 0, of: 0 }, cancel) : nothing}`;
  }

  private editor(host: MappingState, mapping: SourceMapping): TemplateResult {
    const shape = host.as ?? (mapping.read && isSourceShape(mapping.read.shape) ? mapping.read.shape : null);
    const { calls } = this.connection;
    return html`${detectionView(mapping)}
      <div class="sides">
        <section aria-labelledby="columns-title">
          <h2 id="columns-title">What the file has</h2>
          <table data-testid="columns"><thead><tr><th scope="col">column</th><th scope="col">holds</th><th scope="col">the first values</th></tr></thead>
            <tbody>${mapping.columns.map((column) => html`<tr data-testid="column" data-column=${column.name} class=${usedAs(mapping, column.name) === "" ? "" : "used"}>
              <th scope="row" class="mono">${column.name}${usedAs(mapping, column.name) === "" ? nothing : html` <span class="as">→ ${usedAs(mapping, column.name)}</span>`}</th>
              <td class="muted">${column.holds === "other" ? column.type.toLowerCase() : column.holds}</td>
              <td class="values">${column.examples.map((value) => html`<div title=${value}>${value.replace(/\s+/g, " ")}</div>`)}${column.examples.length === 0 ? html`<div class="muted">empty</div>` : nothing}</td></tr>`)}</tbody></table>
          ${mapping.columnsLeft > 0 ? html`<p class="muted">and ${plural(mapping.columnsLeft, "more column")}</p>` : nothing}
        </section>
        <section aria-labelledby="roles-title">
          <h2 id="roles-title">What its rows are</h2>
          <label class="field"><span>shape</span>
            <select data-testid="shape" @change=${(event: Event) => this.choose(withShape(mapping, (event.target as HTMLSelectElement).value as SourceShape))}>
              ${shape === null ? html`<option value="" selected disabled>choose one</option>` : nothing}
              ${(Object.keys(shapeRoles) as SourceShape[]).map((name) => html`<option value=${name} ?selected=${name === shape}>${name}</option>`)}
            </select></label>
          ${shape === null ? html`<p class="muted">The columns do not say. Choose what a row is.</p>` : shapeRoles[shape].map((role) => this.roleView(host, mapping, shape, role))}
          <div class="actions">
            <vscode-button data-testid="save" ?disabled=${host.updating || mapping.read === null || (!host.unsaved && host.as !== null)} @click=${() => this.report.call(calls.save(null))}>Write into ${host.recipe}</vscode-button>
            <vscode-button secondary data-testid="reset" ?disabled=${!host.unsaved} @click=${() => this.report.call(calls.reset(null))}>Reset</vscode-button>
            <vscode-button secondary @click=${() => this.report.call(calls.showText(null))}>Show the recipe</vscode-button>
          </div>
          <p class="muted" role="status" data-testid="status">${host.updating ? "Reading…" : host.unsaved ? "Not written yet: the recipe says something else." : host.as === null ? "The recipe does not say: this is what the columns were taken for." : "As the recipe says."}</p>
        </section>
      </div>
      <section class=${host.updating ? "preview stale" : "preview"} aria-labelledby="preview-title">
        <h2 id="preview-title">How its rows are read <span class="sample" data-testid="sample">${sampleText(mapping)}</span></h2>
        ${this.read(host, mapping, shape)}
      </section>`;
  }

  /** The rows, or what is still to be chosen before there are some, or why they cannot be read. */
  private read(host: MappingState, mapping: SourceMapping, shape: SourceShape | null): TemplateResult {
    if (!mapping.problem) return previewView(mapping);
    const missing = shape === null ? [] : missingRoles(shape, rolesShown(host, mapping));
    if (shape !== null && missing.length === 0) return problemView(mapping.problem);
    return html`<p class="muted" data-testid="to-choose">${shape === null ? "Choose what a row is, and which column is what." : `Choose a column for ${missing.join(" and ")}.`}</p>`;
  }

  private roleView(host: MappingState, mapping: SourceMapping, shape: SourceShape, { role, needed, doc }: ShapeRole): TemplateResult {
    const chosen = rolesShown(host, mapping)[role] ?? "";
    const must = needed === true ? "" : needed === false ? " (may be left out)" : " (one of both ways)";
    return html`<label class="field"><span class="mono">${role}</span>
      <select data-testid=${`role-${role}`} @change=${(event: Event) => this.choose(withRole(host, mapping, shape, role, (event.target as HTMLSelectElement).value))}>
        <option value="" ?selected=${chosen === ""}>–</option>
        ${chosen !== "" && !mapping.columns.some(({ name }) => name === chosen) ? html`<option value=${chosen} selected>${chosen}, which is not there</option>` : nothing}
        ${mapping.columns.map(({ name }) => html`<option value=${name} ?selected=${name === chosen}>${name}</option>`)}
      </select>
      <span class="muted doc">${doc}${must}</span></label>`;
  }

  private choose(wish: Pick<MappingState, "as" | "map">): void {
    this.report.call(this.connection.calls.set(wish));
  }
}

function usedAs({ read }: SourceMapping, column: string): string {
  return Object.entries(read?.columns ?? {}).filter(([, name]) => name === column).map(([role]) => role).join(", ");
}

function detectionView({ detection }: SourceMapping): TemplateResult {
  const sure = detection.confidence === "sure";
  const others = detection.alternatives.length > 0 ? ` It may be ${detection.alternatives.map(readingText).join(" or ")} as well.` : "";
  const text = detection.shape === "table" ? `The columns do not say what a row is: ${detection.reason}.${others.replace(" as well", "")}` : `By its columns it is ${readingText(detection)}${sure ? "" : ", which is not sure"}: ${detection.reason}.${others}`;
  return html`<p class="detection" data-testid="detection"><vscode-icon name=${sure ? "pass" : "question"} class=${sure ? "ok" : "warn"}></vscode-icon> ${text}</p>`;
}

function sampleText({ sampled, bad, whole, problem }: SourceMapping): string {
  if (problem) return "";
  const rows = whole ? `all ${plural(sampled, "row")}` : `the first ${plural(sampled, "row")}`;
  return bad === 0 ? `of ${rows} none is bad` : `of ${rows} ${formatCount(bad)} ${bad === 1 ? "is" : "are"} bad and would be kept out`;
}
