import { describe, expect, it } from "vitest";
import { parseRunFile } from "./schema";

const valid = `tillage: 1
objective: sft
data: pairs.recipe.yaml
model: run:pretrain
adapter: { r: 8, alpha: 16 }
train:
  context: 128
  lr: 1e-3
`;

describe("parseRunFile", () => {
  it("fills in what is not said", () => {
    const run = parseRunFile(valid, "tune.run.yaml").value;
    expect(run?.adapter?.targets).toEqual(["all-linear"]);
    expect(run?.train).toMatchObject({ epochs: 1, lr: 0.001, schedule: "cosine", beta2: 0.999 });
    expect(run?.template).toBe("plain");
  });

  it("reads a prompt, a column of weights, and where rows are cut", () => {
    const run = parseRunFile(`${valid.replace("adapter: { r: 8, alpha: 16 }", 'prompt: { tokens: 8, text: "Answer:" }')}  truncate: drop\nweight: score\n`, "tune.run.yaml");
    expect(run.problems).toEqual([]);
    expect(run.value).toMatchObject({ prompt: { tokens: 8, text: "Answer:" }, weight: "score", train: { truncate: "drop" } });
    expect(parseRunFile(valid, "tune.run.yaml").value).toMatchObject({ train: { truncate: "end" } });
  });

  it("reads how a run falls, ends and forks", () => {
    const run = parseRunFile(`${valid.replace("adapter: { r: 8, alpha: 16 }\n", "")}  optimizer: muon\n  schedule: wsd\n  decay_share: 0.2\n  decay_shape: linear\n  min_lr: 0.05\n  validate_every: 10\n  early_stopping: { patience: 3 }\nfork: pretrain@40\n`, "tune.run.yaml");
    expect(run.problems).toEqual([]);
    expect(run.value?.train).toMatchObject({ optimizer: "muon", schedule: "wsd", decay_share: 0.2, decay_shape: "linear", min_lr: 0.05, early_stopping: { patience: 3, min_delta: 0 }, keep_best: false });
    expect(run.value?.fork).toBe("pretrain@40");
  });

  it.each([
    ["an unknown key", valid.replace("  lr:", "  learning_rate: 2\n  lr:"), "unknown_key", 8],
    ["a wrong type", valid.replace("context: 128", "context: many"), "invalid_value", 7],
    ["an unknown objective", valid.replace("objective: sft", "objective: magic"), "invalid_value", 2],
    ["a template without {prompt}", `${valid}template: { prompt: "Q:" }\n`, "invalid_value", 9],
    ["early stopping without validations", valid.replace("  lr:", "  early_stopping: { patience: 3 }\n  lr:"), "invalid_value", 8],
    ["early stopping without patience", valid.replace("  lr:", "  validate_every: 5\n  early_stopping: { min_delta: 0.1 }\n  lr:"), "invalid_value", 9],
    ["a best checkpoint without validations", valid.replace("  lr:", "  keep_best: true\n  lr:"), "invalid_value", 8],
    ["a decay phase of a schedule that has none", valid.replace("  lr:", "  decay_share: 0.2\n  lr:"), "invalid_value", 8],
    ["a decay's shape without a decay", valid.replace("  lr:", "  decay_shape: linear\n  lr:"), "invalid_value", 8],
    ["a least rate of a constant one", valid.replace("  lr:", "  schedule: constant\n  min_lr: 0.1\n  lr:"), "invalid_value", 9],
    ["muon for an adapter", valid.replace("  lr:", "  optimizer: muon\n  lr:"), "invalid_value", 8],
    ["a group of one for an objective that compares", valid.replace("objective: sft", "objective: grpo\npolicy:\n  rewards: [{ kind: exact }]\n  group: 1"), "invalid_value", 5],
    ["ppo's settings without ppo", valid.replace("objective: sft", "objective: grpo\npolicy:\n  rewards: [{ kind: exact }]\n  ppo: { kl: 0.1 }"), "invalid_value", 5],
    ["an average for an objective that has its own", valid.replace("objective: sft", "objective: rloo\npolicy:\n  rewards: [{ kind: exact }]\n  average: completions"), "invalid_value", 5],
    ["a command as one text", valid.replace("objective: sft", "objective: grpo\npolicy:\n  rewards: [{ kind: command, command: rm -rf / }]"), "invalid_value", 4],
    ["muon for a prompt", valid.replace("adapter: { r: 8, alpha: 16 }", "prompt: { tokens: 8 }").replace("  lr:", "  optimizer: muon\n  lr:"), "invalid_value", 8],
    ["a prompt beside an adapter", `${valid}prompt: { tokens: 8 }\n`, "invalid_value", 9],
    ["a prompt for pairs", valid.replace("adapter: { r: 8, alpha: 16 }", "prompt: { tokens: 8 }").replace("sft", "dpo"), "invalid_value", 5],
    ["a prompt that leaves no room", valid.replace("adapter: { r: 8, alpha: 16 }", "prompt: { tokens: 127 }"), "invalid_value", 5],
    ["weights of judgements", `${valid.replace("sft", "kto")}weight: w\n`, "invalid_value", 9],
    ["a cut nobody knows", valid.replace("  lr:", "  truncate: middle\n  lr:"), "invalid_value", 8],
    ["a fork without a step", `${valid}fork: pretrain\n`, "invalid_value", 9],
    ["an unknown key of init", valid.replace("model: run:pretrain", "model:\n  init: { hidden: 3 }"), "unknown_key", 5],
  ])("names the line of %s", (_what, text, code, line) => {
    const { problems, value } = parseRunFile(text, "tune.run.yaml");
    expect(value).toBeUndefined();
    expect(problems.map((problem) => [problem.code, problem.line])).toContainEqual([code, line]);
  });
});
