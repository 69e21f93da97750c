import { html, LitElement, nothing } from "lit";
import type { TemplateResult } from "lit";
import { customElement, state } from "lit/decorators.js";
import "@vscode-elements/elements/dist/vscode-icon/index.js";
import { applyPoints } from "../../src/core/run/points";
import type { Problem } from "../../src/protocol/errors";
import { toProblem } from "../../src/protocol/errors";
import type { BatchRows, RunView, TrainingApi, TrainingState, TrainingUpdate } from "../../src/protocol/training-panel";
import { HostConnection, viewState } from "../shared/rpc";
import { theme } from "../shared/theme";
import "./batch";
import "./curves";
import { header } from "./header";
import { styles } from "./main.styles";
import { notes } from "./notes";
import { preflight } from "./preflight";
import { problemBox } from "./problem";
import "./samples";
import "./small-curves";

/** How the user looks at a run; kept across reloads of the window. */
export interface View {
  x: "step" | "tokens" | "seconds";
  log: boolean;
  smoothing: number;
  overlays: string[];
}

const FIRST_VIEW: View = { x: "step", log: false, smoothing: 0.8, overlays: [] };

/** The training panel: a run before its start, and a run. */
@customElement("tillage-training")
export class TillageTraining extends LitElement {
  static override styles = [theme, styles];

  @state() private shown: TrainingState | undefined;
  @state() private problem: Problem | undefined;
  @state() private view: View = restored();
  @state() private batch: { step: number; rows?: BatchRows; problem?: Problem } | undefined;
  private asking: AbortController | undefined;
  private readonly host = new HostConnection<TrainingState, TrainingUpdate, TrainingApi>(
    (shown) => void this.receive(shown),
    (update) => this.update_(update),
    (error) => (this.problem = error.problem),
  );

  override render(): TemplateResult {
    const { shown } = this;
    if (!shown) return this.problem ? problemBox(this.problem) : html`<p class="muted waiting" role="status">Reading the run…</p>`;
    return html`
      ${this.problem ? problemBox(this.problem, { label: "Dismiss", run: () => (this.problem = undefined) }) : nothing}
      ${shown.mode === "run" ? this.run(shown) : shown.mode === "preflight" ? preflight(shown, this.ask) : problemBox(shown.problem, { label: "Try again", run: () => this.ask.again(null) })}
    `;
  }

  private run(run: RunView): TemplateResult {
    return html`
      ${header(run, this.ask)}
      <div class="main">
        <training-curves .run=${run} .view=${this.view} .marked=${this.batch?.step}
          @view=${(event: CustomEvent<Partial<View>>) => void this.look(event.detail)}
          @pick=${(event: CustomEvent<{ x: number }>) => void this.showBatch(event.detail.x)}
          @overlays=${() => void this.ask.chooseOverlays(null)}></training-curves>
        <training-samples .samples=${run.lists.samples} .step=${run.numbers.step}></training-samples>
      </div>
      ${this.batch
        ? html`<training-batch .step=${this.batch.step} .rows=${this.batch.rows} .problem=${this.batch.problem}
            @close=${() => this.closeBatch()} @why=${(event: CustomEvent<string>) => void this.ask.why({ rowId: event.detail })}></training-batch>`
        : nothing}
      ${run.points.step.length === 0 ? nothing : html`<training-small-curves .run=${run} .view=${this.view} .marked=${this.batch?.step} @pick=${(event: CustomEvent<{ x: number }>) => void this.showBatch(event.detail.x)}></training-small-curves>`}
      ${notes(run, this.ask, (step) => void this.showBatch(step))}
    `;
  }

  /** The host's API; what goes wrong is shown above everything. */
  private readonly ask = new Proxy({} as { [K in keyof TrainingApi]: (params: Parameters<TrainingApi[K]>[0], signal?: AbortSignal) => Promise<Awaited<ReturnType<TrainingApi[K]>> | undefined> }, {
    get: (_target, method: keyof TrainingApi) => async (params: never, signal?: AbortSignal) => {
      try {
        return await this.host.calls[method](params, signal);
      } catch (error) {
        this.problem = toProblem(error);
        return undefined;
      }
    },
  });

  private async receive(shown: TrainingState): Promise<void> {
    const first = this.shown === undefined;
    this.shown = shown;
    this.remember();
    if (shown.mode !== "run") return;
    // What the user chose before the window was reloaded; the host begins anew.
    if (first && this.view.overlays.length > 0 && shown.overlays.length === 0) await this.ask.setOverlays({ dirs: this.view.overlays });
    if (this.view.smoothing !== shown.smoothing) await this.smooth(this.view.smoothing);
  }

  private update_(update: TrainingUpdate): void {
    if (update.kind === "state") {
      this.shown = update.state;
      if (update.state.mode === "run") this.view = { ...this.view, overlays: update.state.overlays.map((run) => run.dir) };
      this.remember();
      return;
    }
    const { shown } = this;
    if (shown?.mode !== "run") return;
    this.shown = {
      ...shown, numbers: update.numbers, lists: { ...shown.lists, ...update.lists },
      points: update.points ? applyPoints(shown.points, update.points) : shown.points,
    };
  }

  private async look(change: Partial<View>): Promise<void> {
    this.view = { ...this.view, ...change };
    this.remember();
    if (change.smoothing !== undefined) await this.smooth(change.smoothing);
  }

  private async smooth(weight: number): Promise<void> {
    const answer = await this.ask.smoothing({ weight });
    if (answer && this.shown?.mode === "run") this.shown = { ...this.shown, ...answer, smoothing: weight };
  }

  private async showBatch(step: number): Promise<void> {
    this.asking?.abort();
    const asking = new AbortController();
    this.asking = asking;
    this.batch = { step };
    try {
      const rows = await this.host.calls.rows({ step }, asking.signal);
      if (!asking.signal.aborted) this.batch = { step, rows };
    } catch (error) {
      if (!asking.signal.aborted) this.batch = { step, problem: toProblem(error) };
    }
  }

  private closeBatch(): void {
    this.asking?.abort();
    this.batch = undefined;
  }

  /** What brings the panel back after the window was reloaded. */
  private remember(): void {
    const target = this.shown?.mode === "preflight" ? { file: this.shown.file } : { dir: this.shown?.dir };
    viewState.set({ ...target, view: this.view });
  }
}

function restored(): View {
  const kept = viewState.get();
  if (typeof kept !== "object" || kept === null || !("view" in kept)) return FIRST_VIEW;
  return { ...FIRST_VIEW, ...(kept.view as Partial<View>) };
}

export type Ask = TillageTraining["ask"];
