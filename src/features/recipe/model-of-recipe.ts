import path from "node:path";
import * as vscode from "vscode";
import { z } from "zod";
import { llamaParameters } from "../../core/model-size";
import { parseRunFile } from "../../core/run/schema";
import type { RunFile } from "../../core/run/schema";
import type { MixerModel } from "../../protocol/mixer-panel";

const configSchema = z.object({
  hidden_size: z.number(),
  intermediate_size: z.number(),
  num_hidden_layers: z.number(),
  num_attention_heads: z.number(),
  num_key_value_heads: z.number().optional(),
  head_dim: z.number().nullish(),
  tie_word_embeddings: z.boolean().nullish(),
  vocab_size: z.number(),
});

/** Run files refer to each other by `run:NAME`; a longer chain than this is a circle. */
const LONGEST_CHAIN = 5;

interface FoundRun {
  file: string;
  run: RunFile;
}

/** The model that a recipe's dataset trains, from the run files that name the recipe; a pretraining run is preferred. */
export async function modelOfRecipe(recipePath: string): Promise<MixerModel | null> {
  const runs = await runFiles();
  const users = runs.filter(({ file, run }) => typeof run.data === "string" && path.resolve(path.dirname(file), run.data) === recipePath);
  users.sort((a, b) => Number(b.run.objective === "pretrain") - Number(a.run.objective === "pretrain") || a.file.localeCompare(b.file));
  for (const user of users) {
    const parameters = await parametersOf(user, runs, LONGEST_CHAIN);
    if (parameters !== undefined) return { parameters, from: path.basename(user.file), objective: user.run.objective, epochs: user.run.train.epochs };
  }
  return null;
}

async function runFiles(): Promise<FoundRun[]> {
  const uris = await vscode.workspace.findFiles("**/*.run.{yaml,yml}", "**/{node_modules,.tillage}/**");
  const files = await Promise.all(uris.map(async (uri) => {
    const text = new TextDecoder().decode(await vscode.workspace.fs.readFile(uri));
    const run = parseRunFile(text, uri.fsPath).value;
    return run ? [{ file: uri.fsPath, run }] : [];
  }));
  return files.flat();
}

async function parametersOf(found: FoundRun, runs: FoundRun[], chain: number): Promise<number | undefined> {
  const { model } = found.run;
  const folder = path.dirname(found.file);
  if (typeof model !== "string") {
    const { tokenizer } = model.init;
    const vocabulary = typeof tokenizer === "string" ? (await readConfig(path.resolve(folder, tokenizer)))?.vocab_size : tokenizer.vocab_size;
    return vocabulary === undefined ? undefined : llamaParameters(model.init, vocabulary);
  }
  const name = /^run:([^@]+)/.exec(model)?.[1];
  if (name !== undefined) {
    const base = runs.find(({ file }) => path.basename(file).replace(/\.run\.ya?ml$/, "") === name);
    return base && chain > 0 ? parametersOf(base, runs, chain - 1) : undefined;
  }
  const config = await readConfig(path.resolve(folder, model));
  if (!config) return undefined;
  return llamaParameters({
    ...config,
    num_key_value_heads: config.num_key_value_heads ?? config.num_attention_heads,
    head_dim: config.head_dim ?? undefined,
    tie_word_embeddings: config.tie_word_embeddings ?? false,
  }, config.vocab_size);
}

async function readConfig(folder: string): Promise<z.infer<typeof configSchema> | undefined> {
  try {
    const bytes = await vscode.workspace.fs.readFile(vscode.Uri.file(path.join(folder, "config.json")));
    const parsed = configSchema.safeParse(JSON.parse(new TextDecoder().decode(bytes)));
    return parsed.success ? parsed.data : undefined;
  } catch {
    // A folder that is not there yet, or is no model: the panel asks for the number instead.
    return undefined;
  }
}
