/** Reads the answers that a policy drew, `rollouts.jsonl` in a run's folder, while the engine appends to it. */
import { createReadStream, existsSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { mismatch } from "../protocol/native";
import type { Rollout } from "../protocol/native.gen";

const ROLLOUTS_FILE = "rollouts.jsonl";

export interface RolloutQuery {
  /** Of this step alone. */
  step?: number;
  /** Of this row alone. */
  rowId?: string;
}

/**
 * The answers that a query asks for, in the order in which they were drawn; none where the run drew none. A last line that is
 * still being written is left out.
 */
export async function rolloutsOf(dir: string, query: RolloutQuery): Promise<Rollout[]> {
  const file = path.join(dir, ROLLOUTS_FILE);
  if (!existsSync(file)) return [];
  const found: Rollout[] = [];
  const lines = createInterface({ input: createReadStream(file, "utf8"), crlfDelay: Infinity });
  // The engine writes the step first, so that other steps' lines need not be read as JSON.
  const start = query.step === undefined ? "{" : `{"step":${query.step},`;
  for await (const line of lines) {
    if (!line.startsWith(start)) continue;
    const rollout = parse(line);
    if (rollout && (query.rowId === undefined || rollout.row_id === query.rowId)) found.push(rollout);
  }
  return found;
}

function parse(line: string): Rollout | undefined {
  try {
    const value = JSON.parse(line) as unknown;
    return mismatch("rollout", value) === undefined ? (value as Rollout) : undefined;
  } catch {
    return undefined;
  }
}
