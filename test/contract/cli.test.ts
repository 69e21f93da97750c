/** The `tillage` command as it ships: the bundle, the engine, the DuckDB extension. */
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { lastJson as json, tillageIn } from "../harness/cli";
import type { Outcome } from "../harness/cli";

const root = path.resolve(import.meta.dirname, "../..");
let workspace: string;

const tillage = (...args: string[]): Promise<Outcome> => tillageIn(workspace, ...args);

const problem = z.object({ ok: z.literal(false), error: z.looseObject({ blame: z.string(), code: z.string(), message: z.string(), remedy: z.string().min(1), file: z.string().nullish(), line: z.number().nullish() }) });

beforeAll(() => {
  workspace = mkdtempSync(path.join(tmpdir(), "tillage-cli-"));
  for (const name of ["data", "corpus.recipe.yaml", "pairs.recipe.yaml", "five-questions.eval.yaml", "pretrain.run.yaml", "tune.run.yaml"]) {
    cpSync(path.join(root, "demo", name), path.join(workspace, name), { recursive: true });
  }
});
afterAll(() => rmSync(workspace, { recursive: true, force: true }));

describe("tillage build", () => {
  it("prints a table for people: each step, rows in, rows out, and why", async () => {
    const { code, stdout } = await tillage("build", "pairs.recipe.yaml");
    expect(code).toBe(0);
    expect(stdout).toMatch(/dedup exact\s+64\s+61\s+−3\s+exact duplicate 3/u);
    expect(stdout).toMatch(/decontaminate\s+61\s+60\s+−1/u);
  });

  it("prints one object for programs, and the same dataset the second time", async () => {
    const build = z.object({ built: z.boolean(), hash: z.string(), dataset: z.string(), steps: z.array(z.object({ in: z.number(), out: z.number() })) });
    const first = build.parse(json(await tillage("--json", "build", "corpus.recipe.yaml")));
    expect(first.steps[0]).toMatchObject({ in: 336, out: 316 });
    expect(existsSync(path.join(first.dataset, "receipts.parquet"))).toBe(true);
    const again = build.parse(json(await tillage("--json", "build", "corpus.recipe.yaml")));
    expect(again).toMatchObject({ built: false, hash: first.hash, dataset: first.dataset });
  });

  it("tells a dropped row's story", async () => {
    const { dataset } = z.object({ dataset: z.string() }).parse(json(await tillage("--json", "build", "pairs.recipe.yaml")));
    const database = await DuckDBInstance.create(":memory:");
    const connection = await database.connect();
    const rows = (await connection.runAndReadAll(`select row_id from read_parquet('${path.join(dataset, "receipts.parquet")}') where step = 'decontaminate'`)).getRows();
    connection.closeSync();
    const { code, stdout } = await tillage("why", String(rows[0]?.[0]), "--dataset", dataset);
    expect(code).toBe(0);
    expect(stdout).toContain("decontaminate");
    expect(stdout).toContain("What is the base of Quarry White?");
    expect(await tillage("why", "nobody", "--dataset", dataset)).toMatchObject({ code: 0, stdout: expect.stringContaining("No step") as string });
  });
});

describe("tillage diff and tillage export-data", () => {
  it("say which step two datasets differ by, and refuse what is no number of rows", async () => {
    const built = z.object({ dataset: z.string() });
    const { dataset: before } = built.parse(json(await tillage("--json", "build", "pairs.recipe.yaml", "--raw")));
    const { dataset: after } = built.parse(json(await tillage("--json", "build", "pairs.recipe.yaml")));
    const { code, stdout } = await tillage("diff", path.basename(before), "pairs.recipe.yaml", "--rows", "1");
    expect(code).toBe(0);
    expect(stdout).toMatch(/− removed\s+dedup exact\s+exact duplicate\s+3/u);
    expect(stdout).toMatch(/− [0-9a-f]{32}/u);
    const found = z.object({ removed: z.number(), rows: z.array(z.unknown()), after: z.object({ dataset: z.string() }) }).parse(json(await tillage("--json", "diff", before, after, "--rows", "0")));
    expect(found).toEqual({ removed: 4, rows: [], after: { dataset: after } });
    expect(problem.parse(json(await tillage("--json", "diff", before, after, "--rows", "many"))).error).toMatchObject({ blame: "user", code: "bad_arguments" });
    expect(problem.parse(json(await tillage("--json", "diff", "nothing", after))).error).toMatchObject({ code: "no_dataset", remedy: expect.stringContaining("pairs@") as string });
  });

  it("write a dataset for the hub into a new folder, and name the formats that there are", async () => {
    const { code } = await tillage("export-data", "pairs.recipe.yaml", "--to", "hub", "--out", "hub");
    expect(code).toBe(0);
    expect(readFileSync(path.join(workspace, "hub/README.md"), "utf8")).toMatch(/\| dedup exact \| 64 \| 61 \|/u);
    expect(existsSync(path.join(workspace, "hub/data/train-00000-of-00001.parquet"))).toBe(true);
    expect(problem.parse(json(await tillage("--json", "export-data", "pairs.recipe.yaml", "--to", "hub", "--out", "hub"))).error).toMatchObject({ code: "out_exists" });
    expect(problem.parse(json(await tillage("--json", "export-data", "pairs.recipe.yaml", "--to", "arrow", "--out", "other"))).error).toMatchObject({ code: "unknown_format", remedy: "Use hub, parquet, jsonl." });
  });
});

describe("tillage score and tillage export", () => {
  const llama = path.join(root, "test/fixtures/engine/llama");

  it("score the rows of a file, name the worst, and keep their ids", async () => {
    const rows = [{ _row_id: "plain", text: "The elm stands in Graz." }, { _row_id: "odd", text: "zq zq zq 77 zq" }];
    writeFileSync(path.join(workspace, "rows.jsonl"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    const result = z.object({ rows: z.literal(2), loss: z.number(), perplexity: z.number(), out: z.string(), worst: z.array(z.object({ row_id: z.string(), loss: z.number() })).length(2) });
    const { loss, perplexity, out, worst } = result.parse(json(await tillage("--json", "score", "rows.jsonl", "--model", llama, "--out", "scores.jsonl")));
    expect(perplexity).toBeCloseTo(Math.exp(loss), 6);
    const lines = readFileSync(out, "utf8").trim().split("\n").map((line) => z.looseObject({ _row_id: z.string(), loss: z.number() }).parse(JSON.parse(line)));
    expect(lines.map((line) => line._row_id)).toEqual(["plain", "odd"]);
    expect(worst[0]?.loss).toBe(Math.max(...lines.map((line) => line.loss)));
    const { stdout } = await tillage("score", "rows.jsonl", "--model", llama, "--out", "scores.jsonl");
    expect(stdout).toMatch(/mean loss .*perplexity/u);
    expect(stdout).toContain("odd");
  });

  it("write a GGUF file once, and refuse to write over it", async () => {
    const result = z.object({ files: z.array(z.object({ path: z.string(), bytes: z.number() })).length(2) });
    const { files } = result.parse(json(await tillage("--json", "export", llama, "--to", "gguf", "--quantize", "q8_0", "--out", "small.gguf")));
    expect(readFileSync(files[0]?.path ?? "").subarray(0, 4).toString()).toBe("GGUF");
    const { error } = problem.parse(json(await tillage("--json", "export", llama, "--to", "gguf", "--out", "small.gguf")));
    expect(error).toMatchObject({ code: "output_exists", blame: "user" });
  });
});

describe("errors", () => {
  it.each([
    ["an unknown key in a recipe", "bad.recipe.yaml", "tillage: 1\nsources:\n  a: { files: data/pairs.jsonl }\nsteps:\n  - dedupe: { exact: normalized }\n", ["build", "bad.recipe.yaml"], 5],
    ["an unknown key in a run file", "bad.run.yaml", "tillage: 1\nobjective: sft\nmodel: run:pretrain\ndata: pairs.recipe.yaml\ntrain: { context: 64, lr: 1e-3, speed: 9 }\n", ["train", "bad.run.yaml"], 5],
    ["a step of an eval file", "bad.eval.yaml", "tillage: 1\nprompts:\n  - id: a\n    prompt: b\n", ["eval", "bad.eval.yaml", "--model", "run:x"], 3],
  ])("of %s name file, line and remedy, and exit with 1", async (_what, file, text, args, line) => {
    writeFileSync(path.join(workspace, file), text);
    const outcome = await tillage("--json", ...args);
    expect(outcome.code).toBe(1);
    const { error } = problem.parse(json(outcome));
    expect(error.blame).toBe("user");
    expect(path.basename(error.file ?? "")).toBe(file);
    expect(error.line).toBe(line);
    const shown = await tillage(...args);
    expect(shown.stderr).toContain(`${file}:${line}`);
    expect(shown.stderr).toContain("what to do");
  });

  it("of a model that is not there name the run to start", async () => {
    const { error } = problem.parse(json(await tillage("--json", "eval", "five-questions.eval.yaml", "--model", "run:nothing")));
    expect(error).toMatchObject({ code: "no_run", blame: "user" });
    expect(error.remedy).toContain("nothing.run.yaml");
  });
});

describe("tillage stats", () => {
  it("finds what was planted", async () => {
    const stats = z.object({ rows: z.number(), badRows: z.number(), exactDuplicates: z.number(), languages: z.array(z.object({ lang: z.string(), rows: z.number() })) });
    const found = stats.parse(json(await tillage("--json", "stats", "data/web.jsonl")));
    expect(found).toMatchObject({ rows: 124, badRows: 2 });
    expect(found.languages.map((item) => item.lang)).toEqual(expect.arrayContaining(["en", "de", "fr", "es", "it"]));
    const people = await tillage("stats", "data/letters.csv");
    expect(people.stdout).toMatch(/email 12/u);
    expect(people.stdout).toMatch(/phone 10/u);
  });

  it("leaves the sources as they were", () => {
    for (const name of ["web.jsonl", "letters.csv", "pairs.jsonl"]) {
      expect(readFileSync(path.join(workspace, "data", name), "utf8")).toBe(readFileSync(path.join(root, "demo/data", name), "utf8"));
    }
  });
});
