import path from "node:path";
import * as vscode from "vscode";
import { formatCount, formatDuration } from "../../core/format";
import { isLive } from "../../core/run/state";
import type { RunState } from "../../core/run/state";
import { Owner } from "../../vscode/disposable";
import { allRuns } from "./pick";
import type { RunFeed, RunFeeds } from "./run-feed";

/** After activation, so that looking for runs costs it nothing. */
const FIRST_LOOK_MS = 1500;

/** Keeps an eye on the runs that are at work: their progress stands in the status bar, their end is told where no panel shows it. */
export class RunWatch extends Owner {
  private readonly live = new Map<string, { feed: RunFeed; end: vscode.Disposable }>();
  private readonly item = this.register(vscode.window.createStatusBarItem("tillage.run", vscode.StatusBarAlignment.Left, 10));

  constructor(private readonly feeds: RunFeeds, private readonly log: vscode.LogOutputChannel, private readonly isSeen: (dir: string) => boolean) {
    super();
    this.item.name = "Tillage: run";
    const timer = setTimeout(() => void this.look(), FIRST_LOOK_MS);
    this.register({ dispose: () => clearTimeout(timer) });
    // Runs that the command line or another window starts.
    const watcher = this.register(vscode.workspace.createFileSystemWatcher("**/.tillage/runs/*/events.jsonl"));
    this.register(watcher.onDidCreate((uri) => this.add(path.dirname(uri.fsPath))));
    this.register({ dispose: () => {
      for (const { end } of this.live.values()) end.dispose();
      this.live.clear();
    } });
  }

  /** Follows a run until it ends. */
  add(dir: string): void {
    if (this.live.has(dir) || this.disposed) return;
    this.feeds.acquire(dir).then(({ feed, release }) => {
      if (this.live.has(dir) || this.disposed) {
        release.dispose();
        return;
      }
      const listening = feed.onDidChange((state) => this.changed(dir, state));
      this.live.set(dir, { feed, end: vscode.Disposable.from(listening, release) });
      this.show();
    }, (error: unknown) => this.log.warn(`run ${dir}: ${String(error)}`));
  }

  /** Finds the runs that are at work already, after a reload of the window, say. */
  private async look(): Promise<void> {
    for (const run of await allRuns()) if (isLive(run.phase)) this.add(run.dir);
  }

  private changed(dir: string, state: RunState): void {
    this.show();
    const entry = this.live.get(dir);
    if (!entry || isLive(state.phase)) return;
    this.live.delete(dir);
    entry.end.dispose();
    this.show();
    if (!this.isSeen(dir)) void this.tellEnd(entry.feed, state);
  }

  private async tellEnd(feed: RunFeed, state: RunState): Promise<void> {
    const { name } = feed.spec;
    const open = "Open run";
    const last = state.series.loss.at(-1);
    const loss = last === undefined ? "" : `, loss ${last.toFixed(3)}`;
    let choice: string | undefined;
    if (state.phase === "completed") choice = await vscode.window.showInformationMessage(`${name} is trained: ${formatCount(state.step)} steps${loss}.`, open);
    else if (state.phase === "stopped") choice = await vscode.window.showInformationMessage(`${name} is paused at step ${formatCount(state.step)}; Resume goes on from there.`, open);
    else if (state.phase === "failed") choice = await vscode.window.showErrorMessage(`${name} failed at step ${formatCount(state.step)}: ${state.error?.message ?? ""} ${state.error?.remedy ?? ""}`.trim(), open);
    else choice = await vscode.window.showWarningMessage(`${name} ended without a last word at step ${formatCount(state.step)}. It can be resumed from its last checkpoint.`, open);
    if (choice === open) await vscode.commands.executeCommand("tillage.run.open", vscode.Uri.file(feed.dir));
  }

  private show(): void {
    const runs = [...this.live.values()].map(({ feed }) => feed);
    const first = runs[0];
    if (!first) {
      this.item.hide();
      return;
    }
    this.item.text = runs.length === 1 ? `$(sync~spin) ${line(first)}` : `$(sync~spin) ${runs.length} runs`;
    this.item.tooltip = runs.map((feed) => `${line(feed)}${left(feed.state)}`).join("\n");
    this.item.command = { command: "tillage.run.open", title: "Open run", arguments: runs.length === 1 ? [vscode.Uri.file(first.dir)] : [] };
    this.item.accessibilityInformation = { label: runs.map(line).join(", ") };
    this.item.show();
  }
}

function line(feed: RunFeed): string {
  const { state, spec } = feed;
  const loss = state.series.loss.at(-1);
  const at = state.total > 0 ? `${formatCount(state.step)}/${formatCount(state.total)}` : "starting";
  return `${spec.name} ${at}${loss === undefined ? "" : ` · loss ${loss.toFixed(3)}`}${state.phase === "stopping" ? " · pausing" : ""}`;
}

function left(state: RunState): string {
  return state.secondsLeft === undefined ? "" : ` · ${formatDuration(state.secondsLeft)} left`;
}
