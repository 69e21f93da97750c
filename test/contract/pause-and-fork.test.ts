/** A run that is paused from another shell, resumed, and forked, through the `tillage` command as it ships. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import { root } from "../../scripts/lib/run.mjs";
import { lastJson, tillageIn } from "../harness/cli";
import type { Outcome } from "../harness/cli";

let workspace: string;
const at = (...names: string[]): string => path.join(workspace, ...names);
const tillage = (...args: string[]): Promise<Outcome> => tillageIn(workspace, ...args);

beforeAll(() => {
  workspace = mkdtempSync(path.join(tmpdir(), "tillage-pause-"));
  mkdirSync(at(".tillage"));
  cpSync(path.join(root, "test/fixtures/corpora/small.parquet"), at("small.parquet"));
  mkdirSync(at("model"));
  for (const file of ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]) cpSync(path.join(root, "test/fixtures/engine/llama", file), at("model", file));
  writeFileSync(at("rows.recipe.yaml"), "tillage: 1\nsources:\n  s: { files: small.parquet, as: text }\n");
});
afterAll(() => {
  for (const dir of runs()) if (existsSync(path.join(dir, "run.json"))) writeFileSync(path.join(dir, "stop"), "");
  rmSync(workspace, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
});

const runs = (): string[] => (existsSync(at(".tillage/runs")) ? readdirSync(at(".tillage/runs")).map((name) => at(".tillage/runs", name)) : []);
const runFile = (name: string, steps: number, more = ""): void =>
  writeFileSync(at(name), `tillage: 1\nobjective: pretrain\nmodel: model\ndata: rows.recipe.yaml\n${more}train: { epochs: 1000000, max_steps: ${steps}, batch_tokens: 64, context: 32, lr: 1e-4, checkpoint_every: 20, schedule: constant }\n`);
const events = (dir: string): Record<string, unknown>[] => readFileSync(path.join(dir, "events.jsonl"), "utf8").trim().split("\n").map((line) => z.record(z.string(), z.unknown()).parse(JSON.parse(line)));
const result = z.object({ runDir: z.string(), state: z.looseObject({ phase: z.string(), step: z.number() }) });

async function until(what: string, ready: () => boolean): Promise<void> {
  for (let tries = 0; tries < 1000; tries++) {
    if (ready()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`${what} did not come.`);
}

it("is paused at a checkpoint, and a fork goes on behind it under other settings", async () => {
  runFile("long.run.yaml", 500_000);
  const going = tillage("--json", "train", "long.run.yaml");
  await until("a checkpoint", () => runs().some((dir) => existsSync(path.join(dir, "checkpoints/step-000020"))));
  const dir = runs()[0] ?? "";
  const paused = result.parse(lastJson(await tillage("--json", "pause", dir)));
  expect(paused).toMatchObject({ runDir: dir, state: { phase: "stopped" } });
  expect(result.parse(lastJson(await going)).state).toMatchObject({ phase: "stopped", step: paused.state.step });
  const { step } = paused.state;
  expect(existsSync(path.join(dir, "checkpoints", `step-${String(step).padStart(6, "0")}`))).toBe(true);

  const again = await tillage("--json", "pause", dir);
  expect(again.code).toBe(1);
  expect(lastJson(again)).toMatchObject({ error: { code: "run_not_running", message: expect.stringContaining("paused") as unknown } });

  runFile("shorter.run.yaml", step + 5, `fork: long@${step}\n`);
  const forked = result.parse(lastJson(await tillage("--json", "train", "shorter.run.yaml")));
  expect(forked.state).toMatchObject({ phase: "completed", step: step + 5, forkedFrom: { run: path.basename(dir), step } });
  expect(events(forked.runDir)[0]).toMatchObject({ type: "started", step, forked_from: { run: path.basename(dir), step } });
  expect(events(forked.runDir).filter((event) => event["type"] === "step").map((event) => event["step"])).toEqual([1, 2, 3, 4, 5].map((n) => step + n));

  runFile("missing.run.yaml", 9, "fork: long@7\n");
  expect(lastJson(await tillage("--json", "train", "missing.run.yaml"))).toMatchObject({ error: { code: "no_checkpoint" } });
}, 120_000);
