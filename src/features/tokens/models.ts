import path from "node:path";
import * as vscode from "vscode";
import { z } from "zod";
import type { TokensModel, TokensSettings } from "../../protocol/tokens-panel";

const DEFAULT_CONTEXT = 2048;

const templateSchema = z.union([z.object({ kind: z.literal("plain") }), z.object({ kind: z.literal("chat") }), z.object({ kind: z.literal("format"), prompt: z.string() })]);
export const settingsSchema = z.object({ template: templateSchema, lossOn: z.enum(["all", "completion", "assistant"]), context: z.number().int().positive() });
const runSchema = z.object({
  name: z.string(),
  file: z.string().nullish(),
  template: templateSchema,
  loss_on: z.enum(["all", "completion", "assistant"]),
  train: z.object({ context: z.number().int().positive() }),
});
const configSchema = z.object({ max_position_embeddings: z.number().int().positive().optional() });
const tokenizerConfigSchema = z.object({ chat_template: z.unknown().optional() });

/** Folders of the workspace that have a tokenizer; results of runs first, checkpoints left out. */
export async function findModels(): Promise<TokensModel[]> {
  const found = await vscode.workspace.findFiles("**/tokenizer.json", "**/{node_modules,checkpoints}/**", 200);
  const folders = found.map((uri) => path.dirname(uri.fsPath));
  folders.sort((a, b) => Number(b.includes(".tillage")) - Number(a.includes(".tillage")) || a.localeCompare(b));
  return folders.map(modelAt);
}

export function modelAt(folder: string): TokensModel {
  const relative = vscode.workspace.asRelativePath(folder);
  const run = /\.tillage[\\/]runs[\\/]([^\\/]+)[\\/]model$/.exec(folder)?.[1];
  return { label: run === undefined ? relative : runLabel(run), path: folder };
}

/** `pretrain-20260102-030405-00ff` as `pretrain · 2026-01-02 03:04`. */
export function runLabel(id: string): string {
  const [, name, date = "", time = ""] = /^(.+)-(\d{8})-(\d{6})-[0-9a-f]{4}$/u.exec(id) ?? [];
  if (name === undefined) return `run ${id}`;
  return `${name} · ${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)} ${time.slice(0, 2)}:${time.slice(2, 4)}`;
}

/** The settings under which a model sees its rows: those of the run that made it, else those of its own files. */
export async function settingsOf(folder: string): Promise<{ settings: TokensSettings; from: string | null }> {
  const run = runSchema.safeParse(await readJson(path.join(folder, "..", "run.json")));
  if (run.success) {
    const { template, loss_on: lossOn, train, file, name } = run.data;
    return { settings: { template, lossOn, context: train.context }, from: file ? path.basename(file) : name };
  }
  const config = configSchema.safeParse(await readJson(path.join(folder, "config.json")));
  const tokenizer = tokenizerConfigSchema.safeParse(await readJson(path.join(folder, "tokenizer_config.json")));
  const chat = (tokenizer.success && tokenizer.data.chat_template !== undefined) || (await exists(path.join(folder, "chat_template.jinja")));
  const context = (config.success ? config.data.max_position_embeddings : undefined) ?? DEFAULT_CONTEXT;
  return { settings: { template: { kind: chat ? "chat" : "plain" }, lossOn: "completion", context }, from: null };
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(new TextDecoder().decode(await vscode.workspace.fs.readFile(vscode.Uri.file(file))));
  } catch {
    // Absent or unreadable: the next place is tried, and the engine names what is wrong with a model.
    return undefined;
  }
}

async function exists(file: string): Promise<boolean> {
  return vscode.workspace.fs.stat(vscode.Uri.file(file)).then(() => true, () => false);
}
