/** Reads a run's `events.jsonl` while the engine appends to it. */
import { watch } from "node:fs";
import type { FSWatcher } from "node:fs";
import { open } from "node:fs/promises";
import path from "node:path";
import { mismatch } from "../protocol/native";
import type { Event } from "../protocol/native.gen";

export const EVENTS_FILE = "events.jsonl";
const CHUNK = 1 << 20;

/** A line that is whole but is not an event. */
export interface BadLine {
  /** 1-based. */
  line: number;
  reason: string;
}

export interface EventBatch {
  /** The file was replaced or cut (a resume does that): forget what came before. */
  reset: boolean;
  events: Event[];
  bad: BadLine[];
}

/** Splits bytes into lines as they come; a line without its end waits for the rest. */
export class EventLines {
  private rest: Buffer = Buffer.alloc(0);
  private line = 0;

  push(bytes: Buffer): { events: Event[]; bad: BadLine[] } {
    const data = this.rest.length > 0 ? Buffer.concat([this.rest, bytes]) : bytes;
    const events: Event[] = [];
    const bad: BadLine[] = [];
    let from = 0;
    for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10, from)) {
      this.line += 1;
      const text = data.toString("utf8", from, end).trim();
      from = end + 1;
      if (text === "") continue;
      const parsed = parseEvent(text);
      if (typeof parsed === "string") bad.push({ line: this.line, reason: parsed });
      else events.push(parsed);
    }
    this.rest = Buffer.from(data.subarray(from));
    return { events, bad };
  }

  reset(): void {
    this.rest = Buffer.alloc(0);
    this.line = 0;
  }
}

function parseEvent(text: string): Event | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return mismatch("event", value) ?? (value as Event);
}

/** Reads on from where it stopped; starts again when the file was cut or replaced. */
export class EventReader {
  private readonly lines = new EventLines();
  private offset = 0;
  private inode: bigint | undefined;

  constructor(private readonly runDir: string) {}

  /** Everything new, in batches of about a megabyte so that nobody waits long. Gives nothing when the file is not there yet. */
  async read(onBatch: (batch: EventBatch) => void): Promise<void> {
    let handle;
    try {
      handle = await open(path.join(this.runDir, EVENTS_FILE), "r");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      if (this.inode !== undefined) onBatch(this.restart());
      return;
    }
    try {
      const stat = await handle.stat({ bigint: true });
      if (this.inode !== undefined && (stat.ino !== this.inode || stat.size < BigInt(this.offset))) onBatch(this.restart());
      this.inode = stat.ino;
      const buffer = Buffer.alloc(Math.min(CHUNK, Math.max(0, Number(stat.size) - this.offset)));
      while (this.offset < Number(stat.size)) {
        const { bytesRead } = await handle.read(buffer, 0, buffer.length, this.offset);
        if (bytesRead === 0) break;
        this.offset += bytesRead;
        const { events, bad } = this.lines.push(buffer.subarray(0, bytesRead));
        if (events.length > 0 || bad.length > 0) onBatch({ reset: false, events, bad });
      }
    } finally {
      await handle.close();
    }
  }

  private restart(): EventBatch {
    this.lines.reset();
    this.offset = 0;
    this.inode = undefined;
    return { reset: true, events: [], bad: [] };
  }
}

export interface Follower {
  /** Resolves once everything that is in the file now was given. */
  readonly caughtUp: Promise<void>;
  dispose(): void;
}

/**
 * Gives a run's events as they are written: first all that are there, then new ones within `pollMs`.
 * The watch only hastens the poll, which stays because network file systems do not tell of changes.
 * @param onBatch never called again after dispose
 */
export function followRun(runDir: string, onBatch: (batch: EventBatch) => void, options: { pollMs?: number; onError?: (error: unknown) => void } = {}): Follower {
  const reader = new EventReader(runDir);
  let gone = false;
  let reading: Promise<void> | undefined;
  let again = false;
  const read = (): Promise<void> => {
    if (reading) {
      again = true;
      return reading;
    }
    reading = reader
      .read((batch) => {
        if (!gone) onBatch(batch);
      })
      .catch((error: unknown) => {
        if (!gone) options.onError?.(error);
      })
      .finally(() => {
        reading = undefined;
        if (!again || gone) return;
        again = false;
        void read();
      });
    return reading;
  };
  const caughtUp = read();
  const timer = setInterval(() => void read(), options.pollMs ?? 250);
  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(runDir, (_kind, name) => {
      if (name === null || name === EVENTS_FILE) void read();
    });
    watcher.on("error", () => watcher?.close());
  } catch {
    // Without a watch the poll alone finds the changes.
  }
  return {
    caughtUp,
    dispose: () => {
      gone = true;
      clearInterval(timer);
      watcher?.close();
    },
  };
}
