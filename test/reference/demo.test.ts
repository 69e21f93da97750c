/** The main job: the demo learns, within its time, and says the same thing again. */
import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import { evalResultSchema } from "../../src/core/eval/result";

const root = path.resolve(import.meta.dirname, "../..");
const resultSchema = z.object({
  ok: z.literal(true),
  seconds: z.number(),
  steps: z.array(z.object({ recipe: z.string(), step: z.string(), in: z.number(), out: z.number() })),
  guards: z.array(z.object({ guard: z.string(), ok: z.boolean(), message: z.string() })),
  correct: z.object({ random: z.number(), pretrained: z.number(), tuned: z.number(), of: z.number() }),
  leftovers: z.object({ clean: z.number(), of: z.number() }),
  loss: z.object({ pretrain: z.tuple([z.number(), z.number()]), tune: z.tuple([z.number(), z.number()]) }),
  report: z.string(),
});
type Result = z.infer<typeof resultSchema>;

let scratch: string;
const copyOfDemo = (name: string): string => {
  const dir = path.join(scratch, name);
  cpSync(path.join(root, "demo"), dir, { recursive: true, filter: (from) => !from.includes(".tillage") });
  return dir;
};
beforeAll(() => {
  scratch = mkdtempSync(path.join(tmpdir(), "tillage-demo-"));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function demo(dir: string, ...args: string[]): Promise<Result> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [path.join(root, "dist/cli.js"), "demo", "--json", "--dir", dir, ...args], { maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${error.message}\n${stdout}\n${stderr}`));
      else resolve(resultSchema.parse(JSON.parse(stdout.trim().split("\n").at(-1) ?? "")));
    });
  });
}

const answers = (root: string): string[] => ["run-pretrain@0", "run-pretrain", "run-tune"].flatMap((stage) =>
  evalResultSchema.parse(JSON.parse(readFileSync(path.join(root, ".tillage/evals", `five-questions-${stage}`, "result.json"), "utf8"))).cases.map((item) => item.output));

it("learns from random weights to right answers, and gives the same texts again", { timeout: 900_000 }, async () => {
  const [first, second] = [copyOfDemo("first"), copyOfDemo("second")];
  const result = await demo(first);
  expect(result.correct.of).toBe(5);
  expect(result.correct.tuned).toBeGreaterThanOrEqual(4);
  expect(result.correct.random).toBeLessThanOrEqual(1);
  expect(result.correct.pretrained).toBeLessThanOrEqual(1);
  expect(result.leftovers.clean).toBe(result.leftovers.of);
  expect(result.loss.pretrain[1]).toBeLessThan(result.loss.pretrain[0] / 10);
  expect(result.loss.tune[1]).toBeLessThan(result.loss.tune[0] / 10);
  expect(result.seconds).toBeLessThanOrEqual(240);
  const dropped = Object.fromEntries(result.steps.map((step) => [`${step.recipe} ${step.step}`, step.in - step.out]));
  expect(dropped).toMatchObject({ "corpus where": 20, "corpus dedup near": 18, "pairs dedup exact": 3, "pairs decontaminate": 1 });
  expect(result.guards.every((guard) => guard.ok)).toBe(true);
  const report = readFileSync(result.report, "utf8");
  expect(report).not.toMatch(/<(?:script|link|img|iframe)[^>]*(?:src|href)=/u);
  expect(report).toContain("crushed feldspar");
  const again = await demo(second);
  expect(answers(second)).toEqual(answers(first));
  expect(again.loss).toEqual(result.loss);
});

it("shows what the dirty data did when the recipe is skipped", { timeout: 600_000 }, async () => {
  const dir = copyOfDemo("raw");
  const result = await demo(dir, "--raw");
  expect(result.steps).toEqual([]);
  expect(result.guards.filter((guard) => !guard.ok).map((guard) => guard.guard)).toContain("evaluation_text");
  expect(result.leftovers.clean).toBeLessThan(result.leftovers.of);
  const report = readFileSync(result.report, "utf8");
  expect(report).toContain("its answer proves nothing");
  expect(report).toContain("would have taken out");
});
