import { existsSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { readText } from "../disk/read-text";
import { TillageError } from "../protocol/errors";
import type { AskedOutput, AttributeProgress, AttributeResult, RankBy, Row } from "../protocol/native.gen";
import type { Deps } from "./deps";
import { runsNamed } from "./models";

/** Which outputs of which run to explain. */
export interface AttributeRequest {
  /** A run's folder, or `run:NAME` for the newest run of that run file. */
  run: string;
  outputs: AskedOutput[];
  top?: number;
  by?: RankBy;
  dims?: number;
  onlyLast?: boolean;
}

/** Ranks a run's training rows by their influence on outputs. */
export async function attributeRows(request: AttributeRequest, deps: Pick<Deps, "root" | "engine">, options: { signal?: AbortSignal; onProgress?: (progress: AttributeProgress) => void } = {}): Promise<{ result: AttributeResult; run: string }> {
  const run = findRun(deps.root, request.run);
  const result = await deps.engine.attribute(
    {
      run,
      outputs: request.outputs,
      ...(request.top === undefined ? {} : { top: request.top }),
      ...(request.by === undefined ? {} : { by: request.by }),
      ...(request.dims === undefined ? {} : { dims: request.dims }),
      ...(request.onlyLast === undefined ? {} : { only_last: request.onlyLast }),
    },
    options,
  );
  return { result, run };
}

function findRun(root: string, ref: string): string {
  const name = /^run:(.+)$/u.exec(ref)?.[1];
  const found = name === undefined ? path.resolve(ref) : runsNamed(root, name).find((run) => existsSync(path.join(run, "checkpoints")));
  if (found !== undefined && existsSync(path.join(found, "run.json"))) return found;
  throw TillageError.user("no_run", `${ref} is no run that has a checkpoint.`, "Name a run's folder, or run:NAME of a run file whose run has trained.");
}

const lineSchema = z.record(z.string(), z.unknown());
const word = z.union([z.string(), z.number()]).optional();

/** The outputs of a JSONL file: rows, or objects with the `row_id` of a training row; `id` names them, or the line's number does. */
export function readOutputs(file: string): AskedOutput[] {
  return readText(file, "file of outputs")
    .split("\n")
    .flatMap((line, index) => (line.trim() === "" ? [] : [readOutput(line, index + 1, file)]));
}

function readOutput(line: string, number: number, file: string): AskedOutput {
  const bad = (): TillageError => new TillageError({ blame: "user", code: "bad_output", message: `Line ${number} of ${file} is no output.`, remedy: "Write one JSON object a line, with a `text`, a `prompt` and its `completion`, `messages`, or a `row_id`.", file, line: number });
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw bad();
  }
  const row = lineSchema.safeParse(value);
  if (!row.success) throw bad();
  const [id, rowId] = [word.safeParse(row.data["id"]), word.safeParse(row.data["row_id"])];
  if (!id.success || !rowId.success) throw bad();
  const named = { id: String(id.data ?? number) };
  // The engine checks the row's shape, and names the output that has none.
  return rowId.data === undefined ? { ...named, row: row.data as unknown as Row } : { ...named, row_id: String(rowId.data) };
}
