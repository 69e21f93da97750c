import * as vscode from "vscode";
import { z } from "zod";
import { resumeRun, stopRun } from "../../app/start-run";
import { isLive, isResumable } from "../../core/run/state";
import { rootOf } from "../../vscode/root";
import { lastRunOf } from "../../runtime/run-folder";
import type { Feature, Services } from "../../vscode/services";
import { showProblem } from "../../vscode/show-problem";
import { trusted } from "../../vscode/trust";
import { exportRun } from "./export";
import { forkRun } from "./fork";
import { depsFor } from "./panel-actions";
import type { TrainingHost } from "./panel-actions";
import { pickRun, pickRunFile } from "./pick";
import { RunFeeds } from "./run-feed";
import { registerRunFiles } from "./run-files";
import { RunWatch } from "./run-watch";
import { TrainingPanel } from "./training-panel";
import type { Target } from "./training-panel";

const REFUSED = "no run is started, paused or resumed in it";

/** What a panel remembers across a reload of the window. */
const remembered = z.union([z.object({ dir: z.string() }), z.object({ file: z.string() })]);

/** Runs: preflight, live panel, status bar, and the help that run files get in the editor. */
export const register: Feature = (services) => new Training(services);

class Training implements vscode.Disposable {
  private readonly panels = new Set<TrainingPanel>();
  private readonly feeds: RunFeeds;
  private readonly watch: RunWatch;
  private readonly host: TrainingHost;
  private readonly owned: vscode.Disposable[];

  constructor(services: Services) {
    this.feeds = new RunFeeds(services.log);
    this.watch = new RunWatch(this.feeds, services.log, (dir) => vscode.window.state.focused && [...this.panels].some((panel) => panel.visible && panel.shows({ dir })));
    this.host = { services, feeds: this.feeds, onStarted: (dir) => this.watch.add(dir) };
    this.owned = [
      this.command("tillage.run.start", (argument) => this.preflight(argument, false)),
      this.command("tillage.run.startNow", (argument) => this.preflight(argument, true)),
      this.command("tillage.run.open", async (argument) => {
        const dir = await pickRun(argument, "Which run?");
        if (dir !== undefined) this.show({ dir });
      }),
      this.command("tillage.run.openLast", async (argument) => {
        const file = await pickRunFile(argument);
        if (file === undefined) return;
        const run = await lastRunOf(rootOf(file), file);
        if (run) this.show({ dir: run.dir });
        else void vscode.window.showInformationMessage("This run file has not been started yet.");
      }),
      this.command("tillage.run.stop", async (argument) => {
        if (!trusted(REFUSED)) return;
        const dir = await pickRun(argument, "Pause which run? It finishes its step, writes a checkpoint and ends; Resume goes on from there.", isLive);
        if (dir !== undefined) stopRun(dir);
      }),
      this.command("tillage.run.resume", async (argument) => {
        if (!trusted(REFUSED)) return;
        const dir = await pickRun(argument, "Resume which run?", isResumable);
        if (dir === undefined) return;
        await resumeRun(dir, depsFor(services, dir));
        this.watch.add(dir);
        this.show({ dir });
      }),
      this.command("tillage.run.fork", async (argument) => {
        if (!trusted(REFUSED)) return;
        const dir = await pickRun(argument, "Fork which run? A new run goes on from one of its checkpoints, under other settings.");
        if (dir !== undefined) await forkRun(dir);
      }),
      this.command("tillage.run.export", async (argument) => {
        if (!trusted("nothing is exported from it")) return;
        const dir = await pickRun(argument, "Export the result of which run?", (phase) => phase === "completed");
        if (dir !== undefined) await exportRun(services, dir);
      }),
      vscode.window.registerWebviewPanelSerializer("tillage.training", {
        deserializeWebviewPanel: (panel, state) => {
          const target = remembered.safeParse(state);
          if (target.success) this.add(target.data, panel);
          else panel.dispose();
          return Promise.resolve();
        },
      }),
      registerRunFiles(),
      this.watch,
      this.feeds,
    ];
  }

  dispose(): void {
    for (const panel of [...this.panels]) panel.dispose();
    for (const item of this.owned.splice(0).reverse()) item.dispose();
  }

  private command(name: string, run: (argument: unknown) => Promise<void>): vscode.Disposable {
    return vscode.commands.registerCommand(name, (argument: unknown) => run(argument).catch(showProblem));
  }

  private async preflight(argument: unknown, startAtOnce: boolean): Promise<void> {
    if (!trusted(REFUSED)) return;
    const file = await pickRunFile(argument);
    if (file === undefined) return;
    // The file on disk is what is planned; an editor with changes would show something else.
    await vscode.workspace.textDocuments.find((document) => document.uri.fsPath === file && document.isDirty)?.save();
    const open = [...this.panels].find((panel) => panel.shows({ file }));
    const panel = open ?? this.add({ file });
    if (open) {
      open.reveal();
      await open.replan();
    }
    if (startAtOnce) await panel.startWhenClear();
  }

  private show(target: Target): TrainingPanel {
    const open = [...this.panels].find((panel) => panel.shows(target));
    if (!open) return this.add(target);
    open.reveal();
    return open;
  }

  private add(target: Target, restored?: vscode.WebviewPanel): TrainingPanel {
    const panel: TrainingPanel = new TrainingPanel(this.host, target, restored, () => this.panels.delete(panel));
    this.panels.add(panel);
    return panel;
  }
}
