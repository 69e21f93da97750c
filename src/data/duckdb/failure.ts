import { systemProblem, TillageError } from "../../protocol/errors";

/** The one error of a call that was cancelled. */
export function cancelled(): TillageError {
  return TillageError.user("cancelled", "Cancelled.", "Start it again when you want it.");
}

export function isCancelled(error: unknown): boolean {
  return error instanceof TillageError && error.problem.code === "cancelled";
}

/** Throws when the call was cancelled; for loops in JavaScript, which DuckDB's interrupt does not reach. */
export function throwIfCancelled(signal?: AbortSignal): void {
  if (signal?.aborted) throw cancelled();
}

/** How long a cancelled call is given to end by itself. */
const graceMs = 50;

/**
 * Settles as `work` does, but soon after a cancellation in any case: DuckDB's interrupt is heard between chunks of 2,048 rows, which a slow
 * function may take longer for. The work then ends, and tidies up, behind the caller's back.
 */
export function settleOnCancel<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  return new Promise<T>((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    const abort = () => {
      timer = setTimeout(() => reject(cancelled()), graceMs);
    };
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    };
    work.then(resolve, reject).finally(end);
  });
}

const environment: readonly { pattern: RegExp; code: string; message: string; remedy: string }[] = [
  { pattern: /out of memory/i, code: "out_of_memory", message: "DuckDB ran out of memory.", remedy: "Close other programs, or work on fewer rows." },
  { pattern: /no space left|disk.*full|could not write/i, code: "disk_full", message: "There is no room left on the disk.", remedy: "Free some space and start again; nothing half-written is kept." },
];

/** What DuckDB threw, as an error of ours: interrupted is cancelled, the machine's limits are the environment's, the rest is a defect. */
export function fromDuckDB(error: unknown): TillageError {
  if (error instanceof TillageError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (/^INTERRUPT Error|Interrupted!/.test(message)) return cancelled();
  const known = environment.find((entry) => entry.pattern.test(message));
  if (known) return TillageError.environment(known.code, `${known.message} (${message.split("\n")[0] ?? ""})`, known.remedy);
  return TillageError.internal("duckdb", `DuckDB refused a query: ${message}`, { cause: error });
}

/** What Node's file system threw, as the environment's error; everything else as it is. */
export function fromSystem(error: unknown): unknown {
  const problem = error instanceof TillageError ? undefined : systemProblem(error);
  return problem ? new TillageError(problem, { cause: error }) : error;
}
