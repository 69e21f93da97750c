import path from "node:path";
import { exportModel as write } from "../../app/export-model";
import { formatBytes } from "../../core/format";
import { TillageError } from "../../protocol/errors";
import type { ExportFormat, ExportResult, Quantize } from "../../protocol/native.gen";
import type { Context } from "../context";
import { progress } from "../progress";

export interface ExportOptions {
  to: string;
  out: string;
  quantize?: string;
  name?: string;
}

const formats: readonly ExportFormat[] = ["peft", "merged", "gguf"];
const kinds: readonly Quantize[] = ["f32", "f16", "bf16", "q8_0", "q4_0"];

/** `tillage export REF --to FORMAT --out PATH` */
export async function exportModel(context: Context, ref: string, options: ExportOptions): Promise<ExportResult> {
  const to = formats.find((format) => format === options.to);
  if (to === undefined) throw TillageError.user("bad_arguments", `--to cannot be '${options.to}'.`, "Give peft, merged or gguf.");
  const quantize = kinds.find((kind) => kind === options.quantize);
  if (options.quantize !== undefined && quantize === undefined) throw TillageError.user("bad_arguments", `--quantize cannot be '${options.quantize}'.`, `Give one of ${kinds.join(", ")}.`);
  const bar = progress("writing", context.out.json);
  try {
    const result = await write(
      { ref, to, out: options.out, ...(quantize === undefined ? {} : { quantize }), ...(options.name === undefined ? {} : { name: options.name }) },
      context,
      { signal: context.signal, onProgress: (at) => (at.total > 1 ? bar.update(at.done, at.total, "tensors") : undefined) },
    );
    bar.stop();
    for (const file of result.files) context.out.say(`  ${path.relative(process.cwd(), file.path)}  ${formatBytes(file.bytes)}`);
    for (const note of result.notes) context.out.say(`  note: ${note}`);
    return result;
  } finally {
    bar.stop();
  }
}
