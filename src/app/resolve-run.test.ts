import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { BuildResult, CorpusApi, GuardResult } from "../protocol/corpus";
import { mismatch } from "../protocol/native";
import type { Engine } from "../runtime/engine";
import type { Deps } from "./deps";
import { resolveRun } from "./resolve-run";
import { startRun, stopRun } from "./start-run";

let root: string;
let started: string[];
let asked: Parameters<CorpusApi["build"]>[0][];
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "tillage-run-"));
  started = [];
  asked = [];
  mkdirSync(path.join(root, ".tillage"));
  writeFileSync(path.join(root, "p.run.yaml"), `tillage: 1
objective: pretrain
data: corpus.recipe.yaml
model:
  init: { hidden_size: 8, intermediate_size: 16, num_hidden_layers: 1, num_attention_heads: 2, num_key_value_heads: 1, max_position_embeddings: 32, tokenizer: { vocab_size: 300 } }
template: { prompt: "Q: {prompt} A:" }
train: { context: 32, lr: 1e-3, epochs: 2 }
watch: { eval: q.eval.yaml, every: 10 }
seed: 5
`);
  writeFileSync(path.join(root, "q.eval.yaml"), 'tillage: 1\nprompts: [{ id: a, prompt: "Why?", expect: { contains: x } }]\n');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function deps(guards: GuardResult[], more: Partial<BuildResult> = {}): Deps {
  const built: BuildResult = {
    recipe: path.join(root, "corpus.recipe.yaml"), dataset: path.join(root, ".tillage/datasets/corpus@1"), hash: "1", built: true, sources: [], steps: [], guards, seconds: 0,
    mix: { by: "source", rows: [], budgetTokens: 0, exact: true, maxEpochs: 1 },
    split: [{ name: "train", rows: 1, tokens: 1, files: ["train-00000.parquet"] }, { name: "valid", rows: 1, tokens: 1, files: ["valid-00000.parquet"] }],
    ...more,
  };
  const corpus: Partial<CorpusApi> = { build: (params) => (asked.push(params), Promise.resolve(built)) };
  const engine: Partial<Engine> = { startRun: (dir) => Promise.resolve({ pid: started.push(dir) }) };
  return { root, corpus: corpus as CorpusApi, engine: engine as Engine };
}

it("writes a run.json that the engine's contract accepts, and starts the engine on its folder", async () => {
  const planned = await resolveRun(path.join(root, "p.run.yaml"), deps([]));
  expect(mismatch("run_spec", planned.spec)).toBeUndefined();
  expect(planned.spec).toMatchObject({ name: "p", loss_on: "all", template: { kind: "format", prompt: "Q: {prompt} A:" }, watch: [{ id: "a", prompt: "Why?" }] });
  expect(planned.spec.train).toMatchObject({ seed: 5, watch_every: 10, epochs: 2 });
  expect(planned.spec.data.train).toEqual([path.join(root, ".tillage/datasets/corpus@1/train-00000.parquet")]);
  expect(planned.spec.data.valid).toEqual([path.join(root, ".tillage/datasets/corpus@1/valid-00000.parquet")]);
  const { runDir } = await startRun(planned, deps([]));
  const written = JSON.parse(readFileSync(path.join(runDir, "run.json"), "utf8")) as typeof planned.spec;
  expect(mismatch("run_spec", written)).toBeUndefined();
  expect(written).toMatchObject({ id: planned.spec.id, train: planned.spec.train, file: "../../../p.run.yaml" });
  // Relative to the run's folder: a workspace that is moved keeps its runs.
  expect(written.data.train).toEqual(["../../datasets/corpus@1/train-00000.parquet"]);
  expect(started).toEqual([runDir]);
  stopRun(runDir);
  expect(existsSync(path.join(runDir, "stop"))).toBe(true);
});

it("keeps the rows in the order of the dataset's curriculum, unless the run file says otherwise", async () => {
  const file = path.join(root, "p.run.yaml");
  const orderOf = async (more: Partial<BuildResult>) => {
    const { spec } = await resolveRun(file, deps([], more));
    expect(mismatch("run_spec", spec)).toBeUndefined();
    return spec.train.order;
  };
  expect(await orderOf({ curriculum: { order: "length", descending: true } })).toBe("stored");
  // Nothing is written where rows are shuffled, so that the settings of older runs keep their hash.
  for (const more of [{}, { curriculum: { order: "shuffle" } }] as const) expect(Object.keys((await resolveRun(file, deps([], more))).spec.train)).not.toContain("order");
  const text = readFileSync(file, "utf8");
  writeFileSync(file, text.replace("epochs: 2", "epochs: 2, order: shuffled"));
  expect(await orderOf({ curriculum: { order: "length" } })).toBeUndefined();
  writeFileSync(file, text.replace("epochs: 2", "epochs: 2, order: stored"));
  expect(await orderOf({})).toBe("stored");
});

it("has the training rows compared with the prompts that it watches", async () => {
  await resolveRun(path.join(root, "p.run.yaml"), deps([]));
  expect(asked).toMatchObject([{ path: path.join(root, "corpus.recipe.yaml"), skipSteps: false, root, evals: ["q.eval.yaml"] }]);
});

it("forks from a checkpoint of a run, by a path that moves with the workspace", async () => {
  const file = path.join(root, "p.run.yaml");
  const other = path.join(root, ".tillage/runs/before");
  mkdirSync(path.join(other, "checkpoints/step-000040"), { recursive: true });
  const { spec } = await resolveRun(file, deps([]));
  writeFileSync(path.join(other, "run.json"), JSON.stringify(spec));
  expect(spec).not.toHaveProperty("fork");
  writeFileSync(file, `${readFileSync(file, "utf8")}fork: p@40\n`);
  const planned = await resolveRun(file, deps([]));
  expect(planned.spec.fork).toEqual({ checkpoint: path.join(other, "checkpoints/step-000040") });
  const { runDir } = await startRun(planned, deps([]));
  const written = JSON.parse(readFileSync(path.join(runDir, "run.json"), "utf8")) as typeof planned.spec;
  expect(mismatch("run_spec", written)).toBeUndefined();
  expect(written.fork).toEqual({ checkpoint: "../before/checkpoints/step-000040" });
  writeFileSync(file, readFileSync(file, "utf8").replace("p@40", "p@41"));
  await expect(resolveRun(file, deps([]))).rejects.toMatchObject({ problem: { code: "no_checkpoint" } });
});

it("hands the engine what a run file says of optimiser, schedule and end", async () => {
  const file = path.join(root, "p.run.yaml");
  writeFileSync(file, readFileSync(file, "utf8").replace("epochs: 2 }", "epochs: 2, optimizer: adamw_8bit, schedule: wsd, decay_share: 0.3, min_lr: 0.1, validate_every: 5, early_stopping: { patience: 3 } }"));
  const { spec } = await resolveRun(file, deps([]));
  expect(mismatch("run_spec", spec)).toBeUndefined();
  expect(spec.train).toMatchObject({ optimizer: "adamw_8bit", schedule: "wsd", decay_share: 0.3, min_lr: 0.1, early_stopping: { patience: 3, min_delta: 0 }, keep_best: false });
});

it("learns from the completions alone where it tunes, unless the run file says otherwise", async () => {
  const file = path.join(root, "p.run.yaml");
  const tune = readFileSync(file, "utf8").replace("objective: pretrain", "objective: sft");
  writeFileSync(file, tune);
  expect((await resolveRun(file, deps([]))).spec.loss_on).toBe("completion");
  writeFileSync(file, `${tune}loss_on: all\n`);
  expect((await resolveRun(file, deps([]))).spec.loss_on).toBe("all");
});

it("goes on with an adapter, whose settings it takes over, and names a teacher with its adapter", async () => {
  const [base, adapter] = [path.join(root, "base"), path.join(root, "tuned")];
  mkdirSync(base);
  mkdirSync(adapter);
  writeFileSync(path.join(base, "config.json"), "{}");
  writeFileSync(path.join(adapter, "adapter_config.json"), JSON.stringify({ base_model_name_or_path: "../base", r: 4, lora_alpha: 8, lora_dropout: 0.05, use_rslora: true, target_modules: ["q_proj"] }));
  const file = path.join(root, "p.run.yaml");
  const text = readFileSync(file, "utf8").replace(/model:\n.*\n/u, "model: tuned\n");
  writeFileSync(file, text.replace("objective: pretrain", "objective: dpo\npreference: { beta: 0.3 }"));
  const { spec } = await resolveRun(file, deps([]));
  expect(spec).toMatchObject({ objective: "dpo", preference: { beta: 0.3 }, loss_on: "completion", model: { kind: "folder", path: base, adapter }, adapter: { r: 4, alpha: 8, dropout: 0.05, targets: ["q_proj"], rslora: true, dora: false } });
  expect(mismatch("run_spec", spec)).toBeUndefined();
  writeFileSync(file, text.replace("objective: pretrain", "objective: grpo\npolicy: { group: 4, rewards: [{ kind: numeric }, { kind: regex, pattern: '[.]', weight: 0.5 }] }"));
  const rewarded = (await resolveRun(file, deps([]))).spec;
  expect(rewarded.policy).toMatchObject({ group: 4, max_new: 128, rewards: [{ kind: "numeric", weight: 1 }, { kind: "regex", pattern: "[.]", weight: 0.5 }] });
  expect(mismatch("run_spec", rewarded)).toBeUndefined();
  writeFileSync(file, text.replace("objective: pretrain", "objective: distill\ndistill: { teacher: tuned, temperature: 2 }").replace("model: tuned", "model: base"));
  const planned = await resolveRun(file, deps([]));
  expect(planned.spec).toMatchObject({ model: { kind: "folder", path: base }, adapter: null, distill: { teacher: base, adapter, temperature: 2, alpha: 1 } });
  const { runDir } = await startRun(planned, deps([]));
  const written = JSON.parse(readFileSync(path.join(runDir, "run.json"), "utf8")) as typeof spec;
  expect(written.distill).toMatchObject({ teacher: "../../../base", adapter: "../../../tuned" });
  expect(mismatch("run_spec", written)).toBeUndefined();
});

it("reads a reward's schema, finds its model, and says where its program runs", async () => {
  for (const name of ["base", "judge"]) mkdirSync(path.join(root, name));
  writeFileSync(path.join(root, "base", "config.json"), "{}");
  writeFileSync(path.join(root, "judge", "adapter_config.json"), JSON.stringify({ base_model_name_or_path: "../base", r: 4, lora_alpha: 8, target_modules: ["q_proj"] }));
  writeFileSync(path.join(root, "town.json"), JSON.stringify({ type: "object" }));
  const file = path.join(root, "p.run.yaml");
  const text = readFileSync(file, "utf8").replace(/model:\n.*\n/u, "model: base\nadapter: { r: 4, alpha: 8 }\n");
  const rewards = "[{ kind: json_schema, schema: town.json }, { kind: json_schema, schema: { type: array } }, { kind: reward_model, model: judge, squash: tanh }, { kind: command, command: [./grade.py, --fast] }, { kind: length, target: 40 }]";
  writeFileSync(file, text.replace("objective: pretrain", `objective: ppo\npolicy: { group: 1, minibatches: 2, rewards: ${rewards}, ppo: { kl: 0.1 } }`));
  const planned = await resolveRun(file, deps([]));
  expect(planned.spec.policy).toMatchObject({
    group: 1, minibatches: 2, ppo: { kl: 0.1, gamma: 1, lambda: 0.95 },
    rewards: [
      { kind: "json_schema", schema: { type: "object" } }, { kind: "json_schema", schema: { type: "array" } },
      { kind: "reward_model", base: path.join(root, "base"), adapter: path.join(root, "judge"), squash: "tanh", mean: 0, std: 1 },
      { kind: "command", command: ["./grade.py", "--fast"], cwd: root, timeout: 60 }, { kind: "length", target: 40, weight: 1 },
    ],
  });
  expect(mismatch("run_spec", planned.spec)).toBeUndefined();
  const { runDir } = await startRun(planned, deps([]));
  const written = JSON.parse(readFileSync(path.join(runDir, "run.json"), "utf8")) as typeof planned.spec;
  expect(written.policy?.rewards).toMatchObject([{}, {}, { base: "../../../base", adapter: "../../../judge" }, { cwd: "../../.." }, {}]);
  expect(mismatch("run_spec", written)).toBeUndefined();
  writeFileSync(file, text.replace("objective: pretrain", "objective: grpo\npolicy: { rewards: [{ kind: reward_model, model: base }] }"));
  await expect(resolveRun(file, deps([]))).rejects.toMatchObject({ problem: { code: "no_reward_model" } });
  writeFileSync(file, text.replace("objective: pretrain", "objective: grpo\npolicy: { rewards: [{ kind: json_schema, schema: none.json }] }"));
  await expect(resolveRun(file, deps([]))).rejects.toMatchObject({ problem: { code: "bad_json_file" } });
  writeFileSync(file, text.replace("objective: pretrain", "objective: distill\ndistill: { teacher: base, sequence: true }"));
  const taught = (await resolveRun(file, deps([]))).spec;
  expect(taught.distill).toEqual({ teacher: path.join(root, "base"), temperature: 1, alpha: 1, sequence: {} });
  expect(mismatch("run_spec", taught)).toBeUndefined();
});

it("tunes a prompt on rows that weigh what a column says, and goes on with one", async () => {
  const [base, prompt] = [path.join(root, "base"), path.join(root, "prompt")];
  mkdirSync(base);
  mkdirSync(prompt);
  writeFileSync(path.join(base, "config.json"), "{}");
  writeFileSync(path.join(prompt, "adapter_config.json"), JSON.stringify({ base_model_name_or_path: "../base", peft_type: "PROMPT_TUNING", num_virtual_tokens: 9, token_dim: 8 }));
  const file = path.join(root, "p.run.yaml");
  const text = readFileSync(file, "utf8").replace(/model:\n.*\n/u, "model: base\n").replace("epochs: 2 }", "epochs: 2, truncate: start }");
  writeFileSync(file, `${text}prompt: { tokens: 4, text: "Q:" }\nweight: score\n`);
  const { spec } = await resolveRun(file, deps([]));
  expect(spec).toMatchObject({ adapter: null, prompt: { tokens: 4, text: "Q:" }, weight: "score", model: { kind: "folder", path: base }, train: { truncate: "start" } });
  expect(mismatch("run_spec", spec)).toBeUndefined();
  writeFileSync(file, text.replace("model: base", "model: prompt"));
  const more = (await resolveRun(file, deps([]))).spec;
  expect(more).toMatchObject({ adapter: null, prompt: { tokens: 9 }, model: { kind: "folder", path: base, adapter: prompt } });
  expect(more).not.toHaveProperty("weight");
  expect(mismatch("run_spec", more)).toBeUndefined();
});

it("is stopped only where it is a run", () => {
  expect(() => stopRun(root)).toThrow(expect.objectContaining({ problem: expect.objectContaining({ code: "no_run", blame: "user" }) as unknown }));
  expect(existsSync(path.join(root, "stop"))).toBe(false);
});

it("is blocked by a failing guard until the run file overrides it with a reason", async () => {
  const failing: GuardResult[] = [{ guard: "leakage", ok: false, message: "1 row holds an evaluation prompt.", rows: [] }];
  const planned = await resolveRun(path.join(root, "p.run.yaml"), deps(failing));
  await expect(startRun(planned, deps(failing))).rejects.toMatchObject({ problem: { code: "guard_blocked", blame: "user" } });
  expect(started).toEqual([]);
  writeFileSync(path.join(root, "p.run.yaml"), `${readFileSync(path.join(root, "p.run.yaml"), "utf8")}guards: { override: { duplicates: "another guard" } }\n`);
  expect((await resolveRun(path.join(root, "p.run.yaml"), deps(failing))).blocked).toEqual(failing);
  writeFileSync(path.join(root, "p.run.yaml"), readFileSync(path.join(root, "p.run.yaml"), "utf8").replace('duplicates: "another guard"', 'leakage: "a test"'));
  const overridden = await resolveRun(path.join(root, "p.run.yaml"), deps(failing));
  await startRun(overridden, deps(failing));
  expect(overridden.spec.overrides).toEqual({ leakage: "a test" });
  expect(started).toHaveLength(1);
});

it("names the run file and the line of what is wrong in it", async () => {
  writeFileSync(path.join(root, "p.run.yaml"), "tillage: 1\nobjective: pretrain\nspeed: 3\n");
  await expect(resolveRun(path.join(root, "p.run.yaml"), deps([]))).rejects.toMatchObject({ problem: { file: path.join(root, "p.run.yaml"), blame: "user" } });
});
