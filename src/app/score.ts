import path from "node:path";
import { TillageError } from "../protocol/errors";
import type { LossOn, ModelRef, ScoreProgress, ScoreResult } from "../protocol/native.gen";
import type { Deps } from "./deps";
import { resolveModel } from "./models";

/** How the weights are held. */
export type Dtype = NonNullable<ModelRef["dtype"]>;

/** What to score, and how. */
export interface ScoreRequest {
  /** Parquet or JSONL. */
  rows: string;
  /** A folder, `run:NAME` or `run:NAME@STEP`. */
  model: string;
  /** `.parquet` or `.jsonl`; by default beside the rows, as `NAME.scores.parquet`. */
  out?: string;
  lossOn?: LossOn;
  context?: number;
  batchTokens?: number;
  dtype?: Dtype;
  embed?: "none" | "mean" | "normalized";
}

/** The scores of a file: the summary, the file with a line a row, and the model's label. */
export interface Scored {
  result: ScoreResult;
  out: string;
  label: string;
}

/** Scores a file's rows with a model, in the template that the model was trained with. */
export async function scoreRows(request: ScoreRequest, deps: Pick<Deps, "root" | "engine">, options: { signal?: AbortSignal; onProgress?: (progress: ScoreProgress) => void } = {}): Promise<Scored> {
  const rows = path.resolve(request.rows);
  const model = resolveModel(deps.root, request.model, process.cwd());
  const out = path.resolve(request.out ?? `${rows.slice(0, rows.length - path.extname(rows).length)}.scores.parquet`);
  if (![".parquet", ".jsonl"].includes(path.extname(out))) {
    throw TillageError.user("bad_arguments", `The scores cannot be written to ${out}.`, "Name a file that ends in .parquet or .jsonl.");
  }
  const result = await deps.engine.score(
    {
      model: { base: model.base, ...(model.adapter === undefined ? {} : { adapter: model.adapter }), dtype: request.dtype ?? "f32" },
      rows,
      out,
      template: model.template,
      ...(request.lossOn === undefined ? {} : { loss_on: request.lossOn }),
      ...(request.context === undefined ? {} : { context: request.context }),
      ...(request.batchTokens === undefined ? {} : { batch_tokens: request.batchTokens }),
      embed: request.embed ?? "none",
    },
    options,
  );
  return { result, out, label: model.label };
}
