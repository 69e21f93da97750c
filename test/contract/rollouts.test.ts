/** A policy that a program rewards, from its run file to the answers as evidence, through the `tillage` command as it ships. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import { root } from "../../scripts/lib/run.mjs";
import { lastJson, tillageIn } from "../harness/cli";

let workspace: string;
const at = (...names: string[]): string => path.join(workspace, ...names);

beforeAll(() => {
  workspace = mkdtempSync(path.join(tmpdir(), "tillage-rollouts-"));
  mkdirSync(at(".tillage"));
  mkdirSync(at("model"));
  for (const file of ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]) cpSync(path.join(root, "test/fixtures/engine/llama", file), at("model", file));
  writeFileSync(at("rows.jsonl"), ["tree", "town", "river"].map((word) => JSON.stringify({ prompt: `Name a ${word}`, completion: "elm" })).join("\n"));
  writeFileSync(at("rows.recipe.yaml"), "tillage: 1\nsources:\n  s: { files: rows.jsonl, as: prompt/completion }\n");
  // Worth the number of letters e.
  writeFileSync(at("grade.mjs"), 'import { createInterface } from "node:readline";\nfor await (const line of createInterface({ input: process.stdin })) console.log(JSON.stringify({ reward: JSON.parse(line).answer.split("e").length - 1 }));\n');
});
afterAll(() => rmSync(workspace, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }));

const answer = z.looseObject({ step: z.number(), row_id: z.string(), text: z.string(), reward: z.number(), rewards: z.record(z.string(), z.number()) });

it("keeps what was drawn and why it was worth what it was", async () => {
  writeFileSync(at("grow.run.yaml"), `tillage: 1
objective: ppo
model: model
adapter: { r: 2, alpha: 4 }
data: rows.recipe.yaml
policy:
  group: 2
  max_new: 6
  rewards:
    - { kind: command, command: [${JSON.stringify(process.execPath)}, grade.mjs], weight: 0.5 }
    - { kind: length, target: 6 }
train: { epochs: 3, batch_tokens: 256, context: 48, lr: 1e-3 }
`);
  const trained = await tillageIn(workspace, "--json", "train", "grow.run.yaml");
  const { runDir } = z.object({ runDir: z.string() }).parse(lastJson(trained));
  const all = z.array(answer).parse(readFileSync(path.join(runDir, "rollouts.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line) as unknown));
  for (const { text, reward, rewards } of all) {
    expect(rewards["command"]).toBe(0.5 * (text.split("e").length - 1));
    expect(reward).toBeCloseTo((rewards["command"] ?? 0) + (rewards["length"] ?? 0));
  }
  const last = all.filter((item) => item.step === all.at(-1)?.step);
  expect(lastJson(await tillageIn(workspace, "--json", "rollouts", runDir))).toEqual(last);
  const row = all[0]?.row_id ?? "";
  expect(lastJson(await tillageIn(workspace, "--json", "rollouts", runDir, "--row", row))).toEqual(all.filter((item) => item.row_id === row));
  const said = await tillageIn(workspace, "rollouts", runDir, "--step", "1");
  expect(said.stdout).toContain(`step 1, ${row}`);
  expect(said.stdout).toMatch(/command [\d.]+, length [\d.]+/u);
  const none = await tillageIn(workspace, "--json", "rollouts", runDir, "--step", "x");
  expect(none.code).toBe(1);
  expect(lastJson(none)).toMatchObject({ error: { code: "bad_option" } });
});
