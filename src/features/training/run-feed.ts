import * as vscode from "vscode";
import { emptyRun, foldEvents } from "../../core/run/state";
import type { RunState } from "../../core/run/state";
import type { RunSpec } from "../../protocol/native.gen";
import { followRun } from "../../runtime/follow";
import type { BadLine } from "../../runtime/follow";
import { settle } from "../../runtime/run-folder";
import { readSpec } from "../../runtime/spec";
import { Owner } from "../../vscode/disposable";

/** Changes are told at most this often. */
const TELL_MS = 100;
/** How often it is looked whether the process still lives. */
const LIVE_MS = 1000;

/** One run as it goes on: its folder followed and folded; told at most ten times a second. */
export class RunFeed extends Owner {
  private folded: RunState = emptyRun();
  private settled: RunState = this.folded;
  private readonly changed = this.register(new vscode.EventEmitter<RunState>());
  readonly onDidChange = this.changed.event;
  private readonly lines: BadLine[] = [];
  private timer: NodeJS.Timeout | undefined;
  private toldAt = 0;

  private constructor(readonly dir: string, readonly spec: RunSpec, private readonly onError: (error: unknown) => void) {
    super();
  }

  /** @throws what `readSpec` throws: the folder holds no run that can be read */
  static async open(dir: string, onError: (error: unknown) => void): Promise<RunFeed> {
    const feed = new RunFeed(dir, readSpec(dir), onError);
    await feed.follow();
    return feed;
  }

  get state(): RunState {
    return this.settled;
  }

  /** Lines of the events file that are not events. */
  get bad(): readonly BadLine[] {
    return this.lines;
  }

  /** Looks again at once, for instance after a stop was asked for. */
  refresh(): void {
    this.settleNow();
    this.tell();
  }

  private async follow(): Promise<void> {
    const follower = followRun(this.dir, (batch) => {
      if (batch.reset) this.lines.length = 0;
      this.lines.push(...batch.bad);
      this.folded = foldEvents(batch.reset ? emptyRun() : this.folded, batch.events);
      this.tell();
    }, { onError: this.onError });
    this.register({ dispose: () => follower.dispose() });
    await follower.caughtUp;
    this.settleNow();
    const timer = setInterval(() => {
      const before = this.settled.phase;
      this.settleNow();
      if (this.settled.phase !== before) this.tell();
    }, LIVE_MS);
    this.register({ dispose: () => clearInterval(timer) });
    this.register({ dispose: () => clearTimeout(this.timer) });
  }

  private settleNow(): void {
    this.settled = settle(this.dir, this.folded);
  }

  private tell(): void {
    if (this.timer || this.disposed) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.toldAt = Date.now();
      this.settleNow();
      this.changed.fire(this.settled);
    }, Math.max(0, TELL_MS - (Date.now() - this.toldAt)));
  }
}

/** Feeds shared by those who look at the same run; the last to leave ends it. */
export class RunFeeds implements vscode.Disposable {
  private readonly open = new Map<string, { feed: Promise<RunFeed>; users: number }>();

  constructor(private readonly log: vscode.LogOutputChannel) {}

  async acquire(dir: string): Promise<{ feed: RunFeed; release: vscode.Disposable }> {
    const entry = this.open.get(dir) ?? { feed: RunFeed.open(dir, (error) => this.log.error(`run ${dir}: ${String(error)}`)), users: 0 };
    this.open.set(dir, entry);
    entry.users += 1;
    let held = true;
    const release = { dispose: (): void => {
      if (!held) return;
      held = false;
      entry.users -= 1;
      if (entry.users > 0) return;
      if (this.open.get(dir) === entry) this.open.delete(dir);
      entry.feed.then((feed) => feed.dispose(), () => undefined);
    } };
    try {
      return { feed: await entry.feed, release };
    } catch (error) {
      release.dispose();
      throw error;
    }
  }

  dispose(): void {
    for (const entry of this.open.values()) entry.feed.then((feed) => feed.dispose(), () => undefined);
    this.open.clear();
  }
}
