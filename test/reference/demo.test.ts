/** The main job: the demo learns, within its time, and says the same thing again. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { evalResultSchema } from "../../src/core/eval/result";
import { lastJson, tillageIn } from "../harness/cli";

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
const { PATH } = process.env;
const copyOfDemo = (name: string): string => {
  const dir = path.join(scratch, name);
  cpSync(path.join(root, "demo"), dir, { recursive: true, filter: (from) => !from.includes(".tillage") });
  return dir;
};
beforeAll(() => {
  scratch = mkdtempSync(path.join(tmpdir(), "tillage-demo-"));
  // A `code` that writes down how it was called.
  mkdirSync(path.join(scratch, "bin"));
  writeFileSync(path.join(scratch, "bin/code"), `#!/bin/sh\nprintf '%s\\n' "$@" > '${scratch}/opened.tmp' && mv '${scratch}/opened.tmp' '${scratch}/opened'\n`, { mode: 0o755 });
  process.env["PATH"] = `${path.join(scratch, "bin")}${path.delimiter}${PATH}`;
});
afterAll(() => {
  process.env["PATH"] = PATH;
  rmSync(scratch, { recursive: true, force: true });
});

async function demo(dir: string, ...args: string[]): Promise<Result> {
  return resultSchema.parse(lastJson(await tillageIn(scratch, "demo", "--json", "--dir", dir, ...args)));
}

const answers = (root: string): string[] => ["run-pretrain@0", "run-pretrain", "run-tune"].flatMap((stage) =>
  evalResultSchema.parse(JSON.parse(readFileSync(path.join(root, ".tillage/evals", `five-questions-${stage}`, "result.json"), "utf8"))).cases.map((item) => item.output));

it("learns from random weights to right answers, and gives the same texts again", { timeout: 900_000 }, async () => {
  const [first, second] = [copyOfDemo("first"), copyOfDemo("second")];
  const result = await demo(first, "--open");
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

it("opens the workspace in VS Code with this build of the extension", async () => {
  await vi.waitFor(() => expect(readFileSync(path.join(scratch, "opened"), "utf8").trim().split("\n")).toEqual([`--extensionDevelopmentPath=${root}`, path.join(scratch, "first")]), 10_000);
});

describe("the command line on what the demo left", () => {
  const first = (...args: string[]) => tillageIn(path.join(scratch, "first"), ...args);

  it("compares two models for people and for programs, without asking them again", async () => {
    const shown = await first("compare", "five-questions.eval.yaml", "--before", "run:pretrain", "--after", "run:tune");
    expect(shown.code).toBe(0);
    expect(shown.stdout).toMatch(/pretrain → tune: [45] fixed, 0 broken/u);
    expect(shown.stdout).toMatch(/✗ → ✓ What is the base of Quarry White\?\n.*crushed feldspar/u);
    const compared = z.object({ before: evalResultSchema, after: evalResultSchema, counts: z.record(z.string(), z.number()), cases: z.array(z.object({ id: z.string(), change: z.string() })) });
    const { before, after, counts, cases } = compared.parse(lastJson(await first("--json", "compare", "five-questions.eval.yaml", "--before", "run:pretrain", "--after", "run:tune")));
    expect([before.model.ref, after.model.ref]).toEqual(["run:pretrain", "run:tune"]);
    expect(cases.filter((item) => item.change === "fixed")).toHaveLength(counts["fixed"] ?? -1);
  });

  it("asks a model again and is told the same", async () => {
    const asked = await first("eval", "five-questions.eval.yaml", "--model", "run:tune");
    expect(asked.code).toBe(0);
    expect(asked.stdout).toMatch(/tune: [45] of 5/u);
  });

  it("shows a row's tokens, and which of them teach", async () => {
    const args = ["tokens", "--model", "run:tune", "--prompt", "What is the base of Quarry White?", "--completion", "crushed feldspar", "--loss-on", "completion"];
    const shown = await first(...args);
    expect(shown.code).toBe(0);
    expect(shown.stdout).toContain("34 tokens, 9 trained on");
    expect(shown.stdout).toMatch(/\( Quarry\).*\[ushed\]/u);
    const { tokens } = z.object({ tokens: z.array(z.object({ id: z.number(), text: z.string(), trained: z.boolean() })) }).parse(lastJson(await first("--json", ...args)));
    const text = (learned: boolean): string => tokens.filter((token) => token.trained === learned).map((token) => token.text).join("");
    expect(text(true)).toContain("crushed feldspar");
    expect(text(false)).toContain("Quarry White");
  });

  it("writes a report of what is there", async () => {
    const out = path.join(scratch, "report.html");
    const written = await first("report", "--recipe", "corpus.recipe.yaml", "--run", "pretrain", "tune", "--eval", "five-questions.eval.yaml", "--stage", "run:pretrain", "run:tune", "--out", out);
    expect(written).toMatchObject({ code: 0, stdout: expect.stringContaining(out) as string });
    const html = readFileSync(out, "utf8");
    for (const part of ["crushed feldspar", "dedup near", "pretrain", "tune"]) expect(html).toContain(part);
    const whole = z.object({ report: z.string() }).parse(lastJson(await first("--json", "report")));
    for (const part of ["crushed feldspar", "dedup near", "pretrain", "tune", "What the dirty data leaves in the model"]) expect(readFileSync(whole.report, "utf8")).toContain(part);
    const without = await first("report", "--recipe", "corpus.recipe.yaml", "--run", "nobody", "--out", path.join(scratch, "none.html"));
    expect(without.code).toBe(1);
    expect(without.stderr).toContain("nobody");
    expect(existsSync(path.join(scratch, "none.html"))).toBe(false);
  });
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
