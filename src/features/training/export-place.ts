/** Where an export goes: names that are free, and files that are replaced. */
import { existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";

/** The first name that nothing has yet: `tune-f16.gguf`, `tune-f16-2.gguf`, … */
export function freePlace(stem: string, end: string, taken: (file: string) => boolean = existsSync): string {
  for (let number = 1; ; number++) {
    const file = `${stem}${number === 1 ? "" : `-${number}`}${end}`;
    if (!taken(file)) return file;
  }
}

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
