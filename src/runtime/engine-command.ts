import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { problemSchema, TillageError } from "../protocol/errors";

/** A line that a command of the engine prints with `--json`: progress, or at the end its result. */
interface Line {
  type: string;
  progress?: unknown;
  result?: unknown;
}

/**
 * Runs a command of the engine in a process of its own and gives its result. For what must not share a process with the server, such as
 * measurements. Aborting ends the process.
 */
export function runEngineCommand(binary: string, args: readonly string[], options: { signal?: AbortSignal; onProgress?: (progress: unknown) => void } = {}): Promise<unknown> {
  return new Promise((resolve, reject) => {
    if (options.signal?.aborted) {
      reject(cancelled());
      return;
    }
    const child = spawn(binary, [...args, "--json"], { stdio: ["ignore", "pipe", "pipe"], windowsHide: true });
    const abort = (): void => void child.kill("SIGINT");
    options.signal?.addEventListener("abort", abort);
    let result: { value: unknown } | undefined;
    let errors = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (errors = (errors + text).slice(-4000)));
    createInterface({ input: child.stdout }).on("line", (text) => {
      const line = parse(text);
      if (line?.type === "progress") options.onProgress?.(line.progress);
      else if (line?.result !== undefined) result = { value: line.result };
    });
    child.once("error", (error) => reject(TillageError.environment("engine_start", `The engine could not be started: ${error.message}.`, "Check that tillage-native is there and may be executed.")));
    child.once("close", (code, signal) => {
      options.signal?.removeEventListener("abort", abort);
      if (options.signal?.aborted) reject(cancelled());
      else if (code === 0 && result) resolve(result.value);
      else reject(failure(errors, signal ?? `exit code ${code}`));
    });
  });
}

function parse(text: string): Line | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && "type" in value ? (value as Line) : undefined;
  } catch {
    return undefined;
  }
}

/** The engine's own error is the last line of its stderr. */
function failure(errors: string, why: string): TillageError {
  const last = errors.trim().split("\n").at(-1) ?? "";
  try {
    const parsed = problemSchema.safeParse(JSON.parse(last));
    if (parsed.success) return new TillageError(parsed.data);
  } catch {
    // Not an error of the engine's own.
  }
  return TillageError.internal("engine_died", `The engine ended unexpectedly (${why}). ${last}`.trim());
}

function cancelled(): TillageError {
  return TillageError.user("cancelled", "Cancelled.", "Start it again when you wish.");
}
