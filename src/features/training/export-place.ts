/** Files that an export replaces. */
import { existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";

/** Does the work with a file and its Modelfile out of the way; they come back when it fails or is cancelled. */
export async function replacing<T>(file: string, work: () => PromiseLike<T>): Promise<T> {
  const old = [file, file.replace(/\.gguf$/iu, ".Modelfile")].filter((path) => existsSync(path)).map((path) => ({ path, aside: `${path}.old-${process.pid}` }));
  for (const { path, aside } of old) await rename(path, aside);
  try {
    const done = await work();
    for (const { aside } of old) await rm(aside, { force: true });
    return done;
  } catch (error) {
    for (const { path, aside } of old) await rename(aside, path);
    throw error;
  }
}
