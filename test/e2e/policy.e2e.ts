import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import type { VsCode } from "../harness/vscode";
import { loop, open, pictureOfFailure } from "./context";
import { TrainingPage } from "./pages/training";

const RUN = `tillage: 1
objective: grpo
data: pairs.recipe.yaml
model: run:tune
policy:
  group: 3
  max_new: 12
  temperature: 1.3
  rewards:
    - { kind: contains }
    - { kind: length, target: 12, weight: 0.2 }
template: { prompt: "Question: {prompt}\\nAnswer: " }
train: { max_steps: 6, epochs: 10, batch_tokens: 256, context: 128, lr: 1e-4, checkpoint_every: 3 }
`;

interface Drawn {
  step: number;
  row_id: string;
  reward: number;
  rewards: Record<string, number>;
}

let code: VsCode;
beforeAll(async () => {
  code = await open(loop());
  code.write("answers.run.yaml", RUN);
});
afterEach((context) => pictureOfFailure(code, context));
afterAll(() => code.dispose());

/** What the engine wrote of the run's answers. */
function drawn(): Drawn[] {
  const runs = path.join(code.workspace, ".tillage/runs");
  const run = readdirSync(runs).find((name) => name.startsWith("answers-")) ?? "";
  return readFileSync(path.join(runs, run, "rollouts.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line) as Drawn);
}

it("shows the answers that a policy drew under the rows of a step, with the parts of their rewards", async () => {
  const run = await TrainingPage.preflight(code, "answers.run.yaml");
  await run.start();
  await run.untilPhase("completed", 150_000);
  const { frame } = run;
  for (const chart of ["reward", "answer-length", "lr"]) await frame.getByTestId(`chart-${chart}`).waitFor();
  expect(await frame.getByTestId("chart-value-loss").count()).toBe(0);
  await run.chart.click();
  await frame.getByTestId("batch-rows").waitFor();
  const heading = await frame.locator("training-batch h2").innerText();
  const step = Number(/\d+/u.exec(heading)?.[0]);
  const wanted = drawn().filter((answer) => answer.step === step);
  expect(wanted.length).toBeGreaterThan(0);
  const rows = frame.getByTestId("batch-row");
  expect(await rows.count()).toBe(new Set(wanted.map((answer) => answer.row_id)).size);
  expect(await frame.getByTestId("drawn-answer").count()).toBe(wanted.length);
  // The rows that earned least stand first, and under each its answers, the best first.
  const means = (await rows.locator("td:first-child").allInnerTexts()).map(Number);
  expect(means).toEqual([...means].sort((a, b) => a - b));
  const rewards = (await rows.first().getByTestId("drawn-answer").locator(".num").allInnerTexts()).map((text) => Number(/[\d.]+/u.exec(text)?.[0]));
  expect(rewards).toEqual([...rewards].sort((a, b) => b - a));
  expect(rewards).toHaveLength(3);
  // Each reward's parts add up to it.
  for (const [at, parts] of (await rows.first().getByTestId("answer-parts").allInnerTexts()).entries()) {
    expect(parts).toMatch(/^contains [\d.]+ \+ length [\d.]+$/u);
    const sum = [...parts.matchAll(/[\d.]+/gu)].reduce((total, [number]) => total + Number(number), 0);
    expect(sum).toBeCloseTo(rewards[at] ?? Number.NaN, 1);
  }
  await code.screenshotThemes("policy");
});
