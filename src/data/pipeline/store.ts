import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statfsSync, statSync, utimesSync } from "node:fs";
import path from "node:path";
import type { z } from "zod";
import { writeAtomic } from "../../disk/atomic";
import { cacheFolder } from "../../disk/layout";
import { sweepCache } from "../../disk/sweep-cache";

/** Version of what is stored and of how sources are read; another one is computed again. Steps are told apart by their SQL, text functions by the extension's bytes. */
export const storeVersion = 2;

const metaFile = "meta.json";
/** Hours for which what was used last is never removed: somebody may still be looking at it. */
const heldHours = 24;

/** What a step left behind: a folder with its files, and what is known of it. */
export interface Stored<T> {
  folder: string;
  meta: T;
}

/**
 * The rows of recipes and what their steps did, each in a folder named by a hash of all that it follows from. A folder appears whole, by one
 * rename, or not at all, and never changes afterwards: so several processes may share it, and what was done before a crash is done.
 */
export class StageStore {
  private constructor(readonly folder: string) {}

  /** The store of the workspace that a recipe belongs to. */
  static of(recipePath: string): StageStore {
    const folder = cacheFolder(recipePath, "steps");
    sweepCache(folder);
    const store = new StageStore(folder);
    store.makeRoom();
    return store;
  }

  /** What is stored under a key. What cannot be read is not there, and makes way. */
  find<T>(key: string, schema: z.ZodType<T>): Stored<T> | undefined {
    const folder = path.join(this.folder, key);
    if (!existsSync(folder)) return undefined;
    try {
      const meta = schema.parse(JSON.parse(readFileSync(path.join(folder, metaFile), "utf8")));
      utimesSync(folder, new Date(), new Date());
      return { folder, meta };
    } catch {
      rmSync(folder, { recursive: true, force: true });
      return undefined;
    }
  }

  /** Stores what `work` writes into the folder that it is given. Where another process was faster, its result is taken. */
  async write<T>(key: string, work: (folder: string) => Promise<unknown>, schema: z.ZodType<T>): Promise<Stored<T>> {
    const folder = path.join(this.folder, key);
    const temporary = `${folder}.${randomUUID()}.tmp`;
    mkdirSync(temporary);
    try {
      const meta = JSON.stringify(await work(temporary));
      writeAtomic(path.join(temporary, metaFile), meta);
      try {
        renameSync(temporary, folder);
      } catch (error) {
        if (!existsSync(path.join(folder, metaFile))) throw error;
      }
      return { folder, meta: schema.parse(JSON.parse(meta)) };
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  }

  /**
   * Removes what was not used for longest, while all takes more than `limit` bytes: unless it is given, a quarter of what would be free on the disk
   * without the store. What was used in the last day stays.
   */
  makeRoom(limit?: number): void {
    const entries = readdirSync(this.folder).map((name) => {
      const folder = path.join(this.folder, name);
      return { folder, used: statSync(folder).mtimeMs, bytes: readdirSync(folder).reduce((sum, file) => sum + statSync(path.join(folder, file)).size, 0) };
    });
    let total = entries.reduce((sum, entry) => sum + entry.bytes, 0);
    const disk = statfsSync(this.folder);
    const most = limit ?? (disk.bavail * disk.bsize + total) / 4;
    for (const { folder, used, bytes } of entries.sort((a, b) => a.used - b.used)) {
      if (total <= most || Date.now() - used < heldHours * 3_600_000) return;
      rmSync(folder, { recursive: true, force: true });
      total -= bytes;
    }
  }
}
