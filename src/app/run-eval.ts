import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { grade } from "../core/eval/grade";
import { evalResultSchema } from "../core/eval/result";
import type { EvalResult } from "../core/eval/result";
import { parseEvalFile } from "../core/eval/schema";
import type { TokenNotification } from "../protocol/native.gen";
import { writeAtomic } from "../disk/atomic";
import { evalsDir, stem } from "../disk/layout";
import type { Deps } from "./deps";
import { readText } from "../disk/read-text";
import { readYaml } from "./files";
import { resolveModel } from "./models";
import { textHash, toTemplate } from "./resolve-run";

export interface EvalRequest {
  /** The `*.eval.yaml`. */
  file: string;
  /** A folder, `run:NAME` or `run:NAME@STEP`. */
  model: string;
}

/** Asks a model every prompt of an eval file, grades the answers, and keeps them with the hashes of all that made them. */
export async function runEval(request: EvalRequest, deps: Deps, options: { signal?: AbortSignal; onToken?: (token: TokenNotification) => void } = {}): Promise<EvalResult> {
  const file = path.resolve(request.file);
  const text = readText(file, "eval file");
  const spec = readYaml(file, "eval file", parseEvalFile);
  const model = resolveModel(deps.root, request.model, path.dirname(file));
  const template = spec.template ? toTemplate(spec.template) : model.template;
  const answers = await deps.engine.generate(
    {
      model: { base: model.base, adapter: model.adapter ?? null },
      template,
      prompts: spec.prompts.map(({ id, prompt }) => ({ id, prompt })),
      max_new: spec.max_new_tokens,
      temperature: spec.temperature,
      seed: spec.seed,
    },
    options,
  );
  const byId = new Map(answers.generations.map((item) => [item.id, item]));
  const cases = spec.prompts.flatMap((prompt) => {
    const made = byId.get(prompt.id);
    if (!made) return [];
    return [{ id: prompt.id, prompt: prompt.prompt, answer: prompt.answer ?? null, output: made.text, verdict: grade(made.text, prompt.expect), tokens: made.tokens, ended: made.ended, seconds: made.seconds, logprobs: made.logprobs }];
  });
  const result: EvalResult = {
    tillage: 1,
    id: `${evalName(deps.root, file)}-${model.ref.replace(/[^\w@.-]+/gu, "-")}`,
    file: path.relative(deps.root, file),
    fileHash: textHash(text),
    model: { ref: model.ref, label: model.label, base: model.base, adapter: model.adapter ?? null, modelHash: answers.model_hash, adapterHash: answers.adapter_hash ?? null },
    template,
    maxNewTokens: spec.max_new_tokens,
    temperature: spec.temperature,
    seed: spec.seed,
    time: new Date().toISOString(),
    cases,
    correct: cases.filter((item) => item.verdict.pass).length,
    of: cases.length,
  };
  writeAtomic(path.join(evalsDir(deps.root), result.id, "result.json"), `${JSON.stringify(result, null, 2)}\n`);
  return result;
}

/** An eval file's name among all of a workspace: two of the same name in two folders keep their results apart. */
function evalName(root: string, file: string): string {
  const folder = path.relative(root, path.dirname(file));
  return [...folder.split(path.sep).filter((part) => part !== "" && part !== ".."), stem(file)].join("-");
}

/** Results that were kept, newest first; of one eval file when it is given. A result that cannot be read is left out and named in `broken`. */
export function listResults(root: string, evalFile?: string): { results: EvalResult[]; broken: string[] } {
  const dir = evalsDir(root);
  const results: EvalResult[] = [];
  const broken: string[] = [];
  for (const entry of existsSync(dir) ? readdirSync(dir) : []) {
    const file = path.join(dir, entry, "result.json");
    if (!existsSync(file)) continue;
    try {
      results.push(evalResultSchema.parse(JSON.parse(readFileSync(file, "utf8"))));
    } catch {
      broken.push(file);
    }
  }
  const wanted = evalFile === undefined ? undefined : path.relative(root, path.resolve(evalFile));
  return { results: results.filter((item) => wanted === undefined || item.file === wanted).sort((a, b) => (a.time < b.time ? 1 : -1)), broken };
}
