import path from "node:path";
import * as vscode from "vscode";
import type { Deps } from "../../app/deps";
import { resolveRun } from "../../app/resolve-run";
import type { PlannedRun } from "../../app/resolve-run";
import { startRun } from "../../app/start-run";
import { TillageError, toProblem } from "../../protocol/errors";
import type { PreflightView } from "../../protocol/training-panel";
import { stem } from "../../disk/layout";
import { Owner } from "../../vscode/disposable";
import { requireTrust } from "../../vscode/trust";
import { headOf } from "./describe";

/** A run before its start: plans it, measures it, and starts it when asked. */
export class Preflight extends Owner {
  private view: PreflightView;
  private planned: PlannedRun | undefined;
  private abort = new AbortController();
  private readonly changed = this.register(new vscode.EventEmitter<PreflightView>());
  readonly onDidChange = this.changed.event;

  constructor(readonly file: string, private readonly deps: Deps) {
    super();
    this.view = this.fresh();
    this.register({ dispose: () => this.abort.abort() });
  }

  get state(): PreflightView {
    return this.view;
  }

  /** Reads the run file, builds what is stale, measures one step. Settles always; what went wrong is in the state. */
  async plan(): Promise<void> {
    this.abort.abort();
    this.abort = new AbortController();
    const { signal } = this.abort;
    const over = (): boolean => signal.aborted;
    this.planned = undefined;
    this.view = this.fresh();
    this.tell({});
    try {
      requireTrust();
      const planned = await resolveRun(this.file, this.deps, {
        signal,
        progress: ({ stage, done, of }) => {
          if (!over()) this.tell({ doing: { text: `Building the dataset: ${stage}`, done, of } });
        },
      });
      if (over()) return;
      this.planned = planned;
      this.tell({
        stage: "measuring",
        doing: { text: "Measuring the longest batch" },
        head: headOf(planned.runDir, planned.spec),
        guards: planned.guards.map((guard) => {
          const override = planned.spec.overrides?.[guard.guard];
          return { ...guard, ...(override === undefined ? {} : { override }) };
        }),
        blocked: planned.blocked.length > 0,
      });
      const result = await this.deps.engine.preflight(planned.spec, signal);
      if (over()) return;
      this.tell({ stage: "ready", result, doing: undefined });
    } catch (error) {
      if (over()) return;
      this.tell({ stage: "failed", problem: toProblem(error), doing: undefined });
    }
  }

  /** Whether nothing stands in the way of a start. */
  get clear(): boolean {
    return this.view.stage === "ready" && !this.view.blocked && !tooLarge(this.view);
  }

  /** @returns the run's folder */
  async start(): Promise<string> {
    const { planned } = this;
    if (!planned || this.view.stage !== "ready") throw TillageError.user("not_ready", "The preflight has not ended yet.", "Wait until it has, then start.");
    this.tell({ stage: "starting", doing: { text: "Starting the engine" } });
    try {
      return (await startRun(planned, this.deps)).runDir;
    } catch (error) {
      this.tell({ stage: "ready", problem: toProblem(error), doing: undefined });
      throw error;
    }
  }

  cancel(): void {
    this.abort.abort();
    this.tell({ stage: "cancelled", doing: undefined });
  }

  private fresh(): PreflightView {
    return { mode: "preflight", file: this.file, name: stem(this.file), stage: "planning", doing: { text: `Reading ${path.basename(this.file)}` }, guards: [], blocked: false };
  }

  private tell(change: Partial<PreflightView>): void {
    if (this.disposed) return;
    this.view = { ...this.view, ...change };
    this.changed.fire(this.view);
  }
}

function tooLarge(view: PreflightView): boolean {
  return view.result !== undefined && view.result.planned_bytes > view.result.free_bytes;
}
