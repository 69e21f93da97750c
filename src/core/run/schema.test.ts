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

  it.each([
    ["an unknown key", valid.replace("  lr:", "  learning_rate: 2\n  lr:"), "unknown_key", 8],
    ["a wrong type", valid.replace("context: 128", "context: many"), "invalid_value", 7],
    ["an unknown objective", valid.replace("objective: sft", "objective: magic"), "invalid_value", 2],
    ["a template without {prompt}", `${valid}template: { prompt: "Q:" }\n`, "invalid_value", 9],
    ["an unknown key of init", valid.replace("model: run:pretrain", "model:\n  init: { hidden: 3 }"), "unknown_key", 5],
  ])("names the line of %s", (_what, text, code, line) => {
    const { problems, value } = parseRunFile(text, "tune.run.yaml");
    expect(value).toBeUndefined();
    expect(problems.map((problem) => [problem.code, problem.line])).toContainEqual([code, line]);
  });
});
