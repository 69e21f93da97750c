import path from "node:path";
import * as vscode from "vscode";
import { resumeRun, stopRun } from "../../app/start-run";
import { downsampled, PointFeed } from "../../core/run/points";
import type { RunState } from "../../core/run/state";
import { toProblem } from "../../protocol/errors";
import type { Overlay, RunLists, RunView, TrainingApi, TrainingState, TrainingUpdate } from "../../protocol/training-panel";
import { readRun } from "../../runtime/run-folder";
import { Owner } from "../../vscode/disposable";
import { requireTrust } from "../../vscode/trust";
import { WebviewPanel } from "../../vscode/webview-panel";
import { batchRows } from "./batch-rows";
import { headOf, listsOf, numbersOf, SMOOTHING } from "./describe";
import { chooseOverlays, depsFor, openAt, revealOverride } from "./panel-actions";
import type { TrainingHost } from "./panel-actions";
import { Preflight } from "./preflight";
import type { RunFeed } from "./run-feed";

/** What a panel shows: a run file's preflight, or a run. */
export type Target = { file: string } | { dir: string };

/** One training panel: a preflight that becomes a run when it is started. */
export class TrainingPanel extends Owner {
  private readonly panel: WebviewPanel<TrainingState, TrainingUpdate>;
  private preflight: Preflight | undefined;
  private feed: RunFeed | undefined;
  private current: vscode.Disposable | undefined;
  private problem: { dir: string; error: unknown } | undefined;
  private overlays: Overlay[] = [];
  private smoothing = SMOOTHING;
  private points = new PointFeed(SMOOTHING);
  private told = { samples: 0, validation: 0, warnings: 0, checkpoints: 0 };
  /** Settles once the target is open, so that the first snapshot already shows it. */
  private opening: Promise<void>;

  constructor(private readonly host: TrainingHost, private target: Target, restored: vscode.WebviewPanel | undefined, onClosed: () => void) {
    super();
    this.opening = "dir" in target ? this.showRun(target.dir) : this.showPreflight(target.file);
    this.panel = new WebviewPanel<TrainingState, TrainingUpdate>({
      extensionUri: host.services.context.extensionUri,
      panel: "training",
      title: "file" in target ? `Preflight: ${path.basename(target.file)}` : path.basename(target.dir),
      column: vscode.ViewColumn.Active,
      api: this.api(),
      snapshot: async () => {
        await this.opening;
        return this.snapshot();
      },
      ...(restored ? { restored } : {}),
    }, () => {
      this.dispose();
      onClosed();
    });
    this.register({ dispose: () => {
      this.current?.dispose();
    } });
    this.register(this.panel);
    this.retitle();
  }

  /** Whether it can be seen now. */
  get visible(): boolean {
    return this.panel.view.visible;
  }

  shows(target: Target): boolean {
    return "dir" in target ? "dir" in this.target && this.target.dir === target.dir : "file" in this.target && this.target.file === target.file;
  }

  reveal(): void {
    this.panel.reveal();
  }

  /** Plans again what the panel shows before a start. */
  async replan(): Promise<void> {
    await this.preflight?.plan();
  }

  /** Starts as soon as the preflight has found nothing that stands in the way; otherwise leaves it to be looked at. */
  async startWhenClear(): Promise<void> {
    await this.opening;
    await this.planning;
    if (this.preflight?.clear) await this.start();
  }

  private planning: Promise<void> = Promise.resolve();

  private showPreflight(file: string): Promise<void> {
    const preflight = new Preflight(file, depsFor(this.host.services, file));
    this.preflight = preflight;
    this.current = vscode.Disposable.from(preflight, preflight.onDidChange((state) => this.panel.push({ kind: "state", state })), vscode.workspace.onDidSaveTextDocument((document) => {
      if (document.uri.fsPath === file && preflight.state.stage !== "starting") void preflight.plan();
    }));
    // After this turn of the loop the panel is there to be told.
    this.planning = Promise.resolve().then(() => preflight.plan());
    return Promise.resolve();
  }

  private async showRun(dir: string): Promise<void> {
    this.target = { dir };
    try {
      const { feed, release } = await this.host.feeds.acquire(dir);
      this.current?.dispose();
      this.preflight = undefined;
      this.feed = feed;
      this.problem = undefined;
      this.current = vscode.Disposable.from(release, feed.onDidChange((state) => this.tell(state)));
      if (this.disposed) this.current.dispose();
    } catch (error) {
      this.problem = { dir, error };
    }
    this.retitle();
  }

  private retitle(): void {
    // Called first while the panel is being made.
    const view = (this.panel as typeof this.panel | undefined)?.view;
    if (view) view.title = this.feed ? this.feed.spec.name : "file" in this.target ? `Preflight: ${path.basename(this.target.file)}` : path.basename(this.target.dir);
  }

  private snapshot(): TrainingState {
    if (this.problem) return { mode: "problem", dir: this.problem.dir, problem: toProblem(this.problem.error) };
    if (this.preflight) return this.preflight.state;
    const { feed } = this;
    if (!feed) throw new Error("The panel shows nothing.");
    const { state } = feed;
    const lists = listsOf(state, feed.bad);
    this.remember(lists);
    const view: RunView = {
      mode: "run", dir: feed.dir, id: feed.spec.id, head: headOf(feed.dir, feed.spec), numbers: numbersOf(feed.dir, state), lists,
      points: this.points.whole(state.series), smoothing: this.smoothing, overlays: this.overlays,
    };
    return view;
  }

  private tell(state: RunState): void {
    const { feed } = this;
    // A hidden panel asks for everything when it returns; a delta would be lost and the feed would believe it was told.
    if (!feed || !this.panel.view.visible) return;
    const lists = listsOf(state, feed.bad);
    const news = this.news(lists);
    const change = this.points.change(state.series);
    this.panel.push({ kind: "run", numbers: numbersOf(feed.dir, state), ...(change ? { points: change } : {}), ...(news ? { lists: news } : {}) });
  }

  /** The lists that have become longer or shorter. */
  private news(lists: RunLists): Partial<RunLists> | undefined {
    const news: Partial<RunLists> = {};
    if (lists.samples.length !== this.told.samples) news.samples = lists.samples;
    if (lists.validation.length !== this.told.validation) news.validation = lists.validation;
    if (lists.warnings.length !== this.told.warnings) news.warnings = lists.warnings;
    if (lists.checkpoints.length !== this.told.checkpoints) news.checkpoints = lists.checkpoints;
    this.remember(lists);
    return Object.keys(news).length > 0 ? news : undefined;
  }

  private remember(lists: RunLists): void {
    this.told = { samples: lists.samples.length, validation: lists.validation.length, warnings: lists.warnings.length, checkpoints: lists.checkpoints.length };
  }

  private async start(): Promise<void> {
    const { preflight } = this;
    if (!preflight) return;
    const dir = await preflight.start();
    this.opening = this.showRun(dir);
    await this.opening;
    this.panel.push({ kind: "state", state: this.snapshot() });
    this.host.onStarted(dir);
  }

  private async overlay(dirs: readonly string[]): Promise<void> {
    const runs = await Promise.all(dirs.filter((dir) => dir !== this.feed?.dir).map(async (dir): Promise<Overlay | undefined> => {
      try {
        const run = await readRun(dir);
        return { dir, label: run.spec.id, points: downsampled(run.state.series, this.smoothing, 600) };
      } catch (error) {
        this.host.services.log.warn(`overlay of ${dir}: ${toProblem(error).message}`);
        return undefined;
      }
    }));
    this.overlays = runs.filter((run) => run !== undefined);
  }

  private api(): TrainingApi {
    const live = (): RunFeed => {
      if (!this.feed) throw new Error("The panel shows no run.");
      return this.feed;
    };
    const command = async (name: string, ...args: unknown[]): Promise<null> => {
      await vscode.commands.executeCommand(name, ...args);
      return null;
    };
    return {
      start: async () => {
        await this.start();
        return null;
      },
      cancel: async () => {
        const stage = this.preflight?.state.stage;
        if (stage === "planning" || stage === "measuring") this.preflight?.cancel();
        else setImmediate(() => this.dispose());
        return Promise.resolve(null);
      },
      again: async () => {
        if ("file" in this.target) await this.replan();
        else {
          this.opening = this.showRun(this.target.dir);
          await this.opening;
          this.panel.push({ kind: "state", state: this.snapshot() });
        }
        return null;
      },
      stop: async () => {
        requireTrust();
        const feed = live();
        stopRun(feed.dir);
        feed.refresh();
        return Promise.resolve(null);
      },
      resume: async () => {
        requireTrust();
        const feed = live();
        await resumeRun(feed.dir, depsFor(this.host.services, feed.dir));
        this.host.onStarted(feed.dir);
        return null;
      },
      openRunFile: async ({ guard }) => {
        const file = "file" in this.target ? this.target.file : headOf(live().dir, live().spec).file;
        if (file !== undefined) await revealOverride(file, guard);
        return null;
      },
      openProblem: async () => {
        const problem = this.preflight?.state.problem;
        if (problem?.file) await openAt(problem.file, problem.line ?? undefined);
        return null;
      },
      openLog: () => command("vscode.open", vscode.Uri.file(path.join(live().dir, "engine.log")), { viewColumn: vscode.ViewColumn.Beside }),
      openRowLosses: () => command("tillage.corpus.open", vscode.Uri.file(path.join(live().dir, "row_loss.parquet"))),
      rows: ({ step }, signal) => batchRows(live().dir, live().spec, step, this.host.services.corpus, signal),
      why: ({ rowId }) => command("tillage.why", { dataset: headOf(live().dir, live().spec).dataset, rowId }),
      chooseOverlays: async () => {
        const dirs = await chooseOverlays(live().dir, this.overlays.map((run) => run.dir));
        if (dirs) {
          await this.overlay(dirs);
          this.panel.push({ kind: "state", state: this.snapshot() });
        }
        return null;
      },
      setOverlays: async ({ dirs }) => {
        await this.overlay(dirs);
        this.panel.push({ kind: "state", state: this.snapshot() });
        return null;
      },
      smoothing: async ({ weight }) => {
        this.smoothing = Math.min(0.99, Math.max(0, weight));
        this.points.setWeight(this.smoothing);
        await this.overlay(this.overlays.map((run) => run.dir));
        return { points: this.points.whole(live().state.series), overlays: this.overlays };
      },
      compare: () => command("tillage.compare.open", vscode.Uri.file(live().dir)),
      exportModel: () => {
        // It asks and goes on by itself: the panel does not wait.
        void command("tillage.run.export", vscode.Uri.file(live().dir));
        return Promise.resolve(null);
      },
    };
  }
}
