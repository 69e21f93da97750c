import { readdirSync, rmSync, statSync } from "node:fs";
import path from "node:path";

/** Days for which what nobody asked for since is kept. */
const keptDays = 30;
const swept = new Set<string>();

/** Once a process: removes what is old from a cache folder, and what killed processes left unfinished in it. */
export function sweepCache(folder: string): void {
  if (swept.has(folder)) return;
  swept.add(folder);
  const age = (file: string) => (Date.now() - statSync(file).mtimeMs) / 86_400_000;
  const unfinished = (file: string) => file.endsWith(".tmp") && age(file) > 1;
  for (const name of readdirSync(folder)) {
    const entry = path.join(folder, name);
    try {
      if (age(entry) > keptDays || unfinished(entry)) rmSync(entry, { recursive: true, force: true });
      else for (const file of readdirSync(entry)) if (unfinished(path.join(entry, file))) rmSync(path.join(entry, file), { force: true });
    } catch {
      // Another process is at it, or it is not ours to remove: the cache works all the same.
    }
  }
}
