import { existsSync } from "node:fs";

/** The first name that nothing has yet: `tune-f16.gguf`, `tune-f16-2.gguf`, … */
export function freePlace(stem: string, end: string, taken: (file: string) => boolean = existsSync): string {
  for (let number = 1; ; number++) {
    const file = `${stem}${number === 1 ? "" : `-${number}`}${end}`;
    if (!taken(file)) return file;
  }
}
