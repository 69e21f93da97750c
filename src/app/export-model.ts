import { existsSync } from "node:fs";
import path from "node:path";
import type { ExportFormat, ExportNotification, ExportResult, Quantize } from "../protocol/native.gen";
import { readSpec } from "../runtime/spec";
import { TillageError } from "../protocol/errors";
import type { Deps } from "./deps";
import { resolveModel } from "./models";

/** What to write, and where. */
export interface ExportRequest {
  /** A folder of a model, an adapter or a run, `run:NAME` or `run:NAME@STEP`. */
  ref: string;
  to: ExportFormat;
  /** A new folder; for gguf a new `.gguf` file. */
  out: string;
  /** For gguf only. */
  quantize?: Quantize;
  name?: string;
}

/** Writes a model for other programs. */
export async function exportModel(request: ExportRequest, deps: Pick<Deps, "root" | "engine">, options: { signal?: AbortSignal; onProgress?: (progress: ExportNotification) => void } = {}): Promise<ExportResult> {
  const { base, adapter, label } = modelOf(deps.root, request.ref);
  const name = request.name ?? (request.to === "gguf" ? label : undefined);
  return deps.engine.export(
    {
      base,
      ...(adapter === undefined ? {} : { adapter }),
      to: request.to,
      out: path.resolve(request.out),
      ...(request.quantize === undefined ? {} : { quantize: request.quantize }),
      ...(name === undefined ? {} : { name }),
    },
    options,
  );
}

/** A model to write: of a run's folder its result. */
function modelOf(root: string, ref: string): { base: string; adapter?: string; label: string } {
  const dir = path.resolve(ref);
  if (ref.startsWith("run:") || !existsSync(path.join(dir, "run.json"))) return resolveModel(root, ref, process.cwd());
  const result = resultOf(dir);
  const { name, model } = readSpec(dir);
  if (!existsSync(path.join(result, "adapter_config.json"))) return { base: result, label: name };
  if (model.kind !== "folder") throw TillageError.user("broken_run", `${dir} holds an adapter but its run.json names no base model.`, "Delete the run's folder and run it again.");
  return { base: path.resolve(dir, model.path), adapter: result, label: name };
}

/** The folder of a run's result: a whole model or an adapter. */
function resultOf(run: string): string {
  const found = ["model", "adapter"].map((name) => path.join(run, name)).find((dir) => existsSync(dir));
  if (found !== undefined) return found;
  throw TillageError.user("no_result", `${path.basename(run)} has not finished yet.`, "Resume it, or name one of its checkpoints as run:NAME@STEP.", { file: run });
}

/** Whether a finished run's result is an adapter, which alone can be written for PEFT. */
export function isAdapterRun(run: string): boolean {
  return existsSync(path.join(resultOf(run), "adapter_config.json"));
}
