import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import path from "node:path";
import * as esbuild from "esbuild";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { connectCorpusService } from "../../../src/data/client";
import { createLocalCorpus } from "../../../src/data/local";
import { corpusMethods, type BuildProgress } from "../../../src/protocol/corpus";
import { problemOf, Workspace } from "./support";

mkdirSync(".cache", { recursive: true });
const folder = mkdtempSync(path.resolve(".cache/service-test-"));
const module = path.join(folder, "corpus-service.js");
let restarts = 0;
const connect = () => connectCorpusService({ module, extensionPath: path.resolve("dist"), onRestart: () => restarts++ });
const corpus = connect();
let workspace = new Workspace();

beforeAll(async () => {
  await esbuild.build({ entryPoints: ["src/data/service-main.ts"], bundle: true, platform: "node", target: "node20", format: "cjs", external: ["@duckdb/node-api"], outfile: module, logLevel: "error" });
});
afterEach(() => workspace.remove());
afterAll(() => {
  corpus.dispose();
  rmSync(folder, { recursive: true, force: true });
});

/** Rows whose language and near duplicates take seconds to compute. */
function slowRows(): string {
  workspace = new Workspace();
  const words = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon".split(" ");
  return workspace.rows("slow.jsonl", Array.from({ length: 20_000 }, (_, i) => ({ text: Array.from({ length: 60 }, (_word, j) => words[(i * 7 + j * j + (i % 13) * j) % words.length]).join(" ") })));
}

describe("the corpus service in a child", () => {
  it("answers as the local one does", async () => {
    workspace = new Workspace("planted.jsonl", "planted.recipe.yaml", "leak.eval.yaml");
    const local = createLocalCorpus();
    try {
      const [a, b] = [await corpus.open({ path: workspace.at("planted.jsonl") }), await local.open({ path: workspace.at("planted.jsonl") })];
      expect({ ...a, handle: "" }).toEqual({ ...b, handle: "" });
      const query = { clauses: [{ kind: "in" as const, column: "planted", values: ["near"] }] };
      expect(await corpus.page({ handle: a.handle, query, offset: 0, limit: 5 })).toEqual(await local.page({ handle: b.handle, query, offset: 0, limit: 5 }));
      const progress: BuildProgress[] = [];
      const built = await corpus.build({ path: workspace.at("planted.recipe.yaml") }, undefined, (step) => progress.push(step));
      expect(built.built).toBe(true);
      expect(progress.map((step) => step.stage)).toContain("dedup near");
      expect(progress.every((step, i) => i === 0 || step.done >= (progress[i - 1]?.done ?? 0))).toBe(true);
      expect(progress.at(-1)).toMatchObject({ stage: "done" });
      expect(await corpus.receipts({ dataset: built.dataset, limit: 3 })).toEqual(await local.receipts({ dataset: built.dataset, limit: 3 }));
      expect((await corpus.guards({ dataset: built.dataset, context: 40 })).find((guard) => guard.guard === "too_long")?.ok).toBe(false);
    } finally {
      local.dispose();
    }
  });

  it("gives typed errors", async () => {
    workspace = new Workspace("cut-short.parquet");
    expect(await problemOf(corpus.open({ path: workspace.at("cut-short.parquet") }))).toMatchObject({ blame: "user", code: "broken_parquet", file: workspace.at("cut-short.parquet") });
    expect(await problemOf(corpus.open({ path: workspace.at("none.jsonl") }))).toMatchObject({ blame: "user", code: "file_missing" });
    expect(await problemOf(corpus.open({ path: 5 } as never))).toMatchObject({ blame: "internal", code: "bad_request" });
  });

  it("settles every method even when nothing is right about the call", async () => {
    const outcomes = await Promise.all(corpusMethods.map((method) => problemOf((corpus[method] as (params: unknown) => Promise<unknown>)({ handle: "none", path: "/does/not/exist.jsonl", dataset: "/does/not/exist", text: "", step: 0, limit: 1, offset: 0, row: 0, rowIds: ["x"], query: { clauses: [] } })).catch((error: unknown) => error)));
    expect(outcomes.length).toBe(corpusMethods.length);
  });

  it("cancels within 200 ms and goes on working", async () => {
    const file = slowRows();
    await problemOf(corpus.open({ path: "none.jsonl" }));
    const controller = new AbortController();
    let at = 0;
    setTimeout(() => {
      at = performance.now();
      controller.abort();
    }, 400);
    expect(await problemOf(corpus.stats({ path: file }, controller.signal))).toMatchObject({ code: "cancelled" });
    expect(performance.now() - at).toBeLessThan(200);
    expect(await problemOf(corpus.stats({ path: file }, AbortSignal.abort()))).toMatchObject({ code: "cancelled" });
    expect((await corpus.open({ path: file })).rows).toBe(20_000);
  });

  it("after a crash rejects the calls in flight, and starts one new child for all that come", async () => {
    const file = slowRows();
    const opened = await corpus.open({ path: file });
    const pid = Number(opened.handle.split("-")[0]);
    const flying = [corpus.stats({ path: file }), corpus.stats({ path: file })].map(problemOf);
    await new Promise((resolve) => setTimeout(resolve, 100));
    process.kill(pid, "SIGKILL");
    for (const problem of await Promise.all(flying)) expect(problem).toMatchObject({ blame: "environment", code: "service_crashed" });
    const before = restarts;
    const outcomes = await Promise.all([corpus.open({ path: file }), corpus.open({ path: file }), problemOf(corpus.page({ handle: opened.handle, query: { clauses: [] }, offset: 0, limit: 1 }))]);
    expect(restarts).toBe(before + 1);
    expect(outcomes[0].handle.split("-")[0]).toBe(outcomes[1].handle.split("-")[0]);
    expect(outcomes[2]).toMatchObject({ code: "unknown_handle" });
  });

  it("ends with its client", async () => {
    workspace = new Workspace("planted.jsonl");
    const own = connect();
    const opened = await own.open({ path: workspace.at("planted.jsonl") });
    const pid = Number(opened.handle.split("-")[0]);
    own.dispose();
    await expect.poll(() => {
      try {
        return process.kill(pid, 0);
      } catch {
        return false;
      }
    }, { timeout: 5000 }).toBe(false);
    expect(await problemOf(own.open({ path: workspace.at("planted.jsonl") }))).toMatchObject({ code: "disposed" });
  });
});
