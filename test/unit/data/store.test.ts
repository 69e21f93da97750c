import { readdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { createLocalCorpus } from "../../../src/data/local";
import { StageStore } from "../../../src/data/pipeline/store";
import type { BuildProgress } from "../../../src/protocol/corpus";
import { problemOf, Workspace } from "./support";

const corpora = [createLocalCorpus(), createLocalCorpus()] as const;
let workspace = new Workspace();
afterEach(() => workspace.remove());
afterAll(() => corpora.forEach((corpus) => corpus.dispose()));

const head = "tillage: 1\nsources:\n  s: { files: s.jsonl }\nsteps:\n";
const [exact, words] = ["  - dedup: { exact: exact }\n", (min: number) => `  - length: { unit: words, min: ${min} }\n`];
const store = () => workspace.at(".tillage/cache/steps");
const texts = ["a", "a", "b c", "d e f", "g h i j", "write to me@example.org at once"];

function fresh(): void {
  workspace = new Workspace();
  workspace.rows("s.jsonl", texts.map((text) => ({ text })));
}

/** Builds, and gives the steps that were run for it and what came out. */
async function build(steps: string, which: 0 | 1 = 0, signal?: AbortSignal, onProgress?: (stage: string) => void) {
  const ran: string[] = [];
  const result = await corpora[which].build({ path: workspace.at("r.recipe.yaml"), text: head + steps }, signal, (progress: BuildProgress) => {
    if (/^(dedup|length|pii|where|reading|numbering)/.test(progress.stage) && ran.at(-1) !== progress.stage) ran.push(progress.stage);
    onProgress?.(progress.stage);
  });
  return { ran: ran.filter((stage) => !stage.startsWith("reading")), out: result.steps.map((step) => step.out), dataset: result.dataset };
}

describe("what steps did", () => {
  it("is taken from the store where rows and text are the same, also by another process", async () => {
    fresh();
    expect(await build(exact + words(2))).toMatchObject({ ran: ["numbering rows", "dedup exact", "length in words"], out: [5, 4] });
    // Only the step that was edited runs; the one before it does not.
    expect(await build(exact + words(3), 1)).toMatchObject({ ran: ["length in words"], out: [5, 3] });
    expect(await build(exact, 1)).toMatchObject({ ran: [], out: [5] });
    // What stands before a step is part of what it follows from.
    expect(await build(words(2) + exact)).toMatchObject({ ran: ["length in words", "dedup exact"], out: [4, 4] });
  });

  it("is done again when a source, or what a step compares with, has other bytes", async () => {
    fresh();
    workspace.rows("e.jsonl", [{ text: "g h i j" }]);
    const steps = `${exact}  - decontaminate: { against: e.jsonl, ngram: 3 }\n`;
    expect(await build(steps)).toMatchObject({ out: [5, 4] });
    workspace.rows("e.jsonl", [{ text: "x y z" }]);
    expect(await build(steps)).toMatchObject({ ran: [], out: [5, 5] });
    workspace.rows("s.jsonl", [{ text: "x y z" }, { text: "other" }]);
    expect(await build(steps)).toMatchObject({ ran: ["numbering rows", "dedup exact"], out: [2, 1] });
  });

  it("is done again when a source is to be read in another way", async () => {
    workspace = new Workspace();
    workspace.write("t.txt", "one\ntwo\n\nthree\n");
    const rows = async (how: string) => {
      const built = await corpora[0].build({ path: workspace.at("r.recipe.yaml"), text: `tillage: 1\nsources:\n  t: { files: t.txt, ${how} }\n` });
      return built.split[0]?.rows;
    };
    expect([await rows("rows: file"), await rows("rows: paragraph"), await rows("rows: line"), await rows("as: text")]).toEqual([1, 2, 3, 1]);
  });

  it("outlives a build that was cancelled: the next one goes on behind the last whole step", async () => {
    fresh();
    const controller = new AbortController();
    const steps = `${exact}  - pii: { action: redact }\n${words(2)}`;
    const problem = await problemOf(build(steps, 0, controller.signal, (stage) => {
      if (stage.startsWith("length")) controller.abort();
    }));
    expect(problem.code).toBe("cancelled");
    const again = await build(steps, 1);
    expect(again).toMatchObject({ ran: ["length in words"], out: [5, 5, 4] });
    const [row] = (await corpora[1].receipts({ dataset: again.dataset, step: "pii redact", limit: 5 })).map(({ text, effect }) => [effect, text]);
    expect(row).toEqual(["changed", "write to me@example.org at once"]);
  });

  it("that is damaged or half there is done again", async () => {
    fresh();
    await build(exact + words(2));
    for (const name of readdirSync(store())) writeFileSync(path.join(store(), name, "meta.json"), '{"count":');
    rmSync(workspace.at(".tillage/datasets"), { recursive: true });
    expect(await build(exact + words(2))).toMatchObject({ ran: ["numbering rows", "dedup exact", "length in words"], out: [5, 4] });
  });

  it("leaves nothing unfinished behind, and nothing is written twice", async () => {
    fresh();
    await build(exact + words(2));
    const before = readdirSync(store()).map((name) => [name, statSync(path.join(store(), name, "meta.json")).ino]);
    expect(before.length).toBe(3);
    expect(before.filter(([name]) => String(name).endsWith(".tmp"))).toEqual([]);
    rmSync(workspace.at(".tillage/datasets"), { recursive: true });
    await build(exact + words(2), 1);
    expect(readdirSync(store()).map((name) => [name, statSync(path.join(store(), name, "meta.json")).ino])).toEqual(before);
  });

  it("makes room for others: what was not used for longest goes, and what was used today stays", async () => {
    fresh();
    await build(exact + words(2));
    const store = StageStore.of(workspace.at("r.recipe.yaml"));
    const names = readdirSync(store.folder).sort();
    const day = 86_400;
    const now = Date.now() / 1000;
    names.forEach((name, i) => utimesSync(path.join(store.folder, name), now - (3 - i) * day, now - (3 - i) * day));
    const bytes = (name: string) => readdirSync(path.join(store.folder, name)).reduce((sum, file) => sum + statSync(path.join(store.folder, name, file)).size, 0);
    store.makeRoom(1e9);
    expect(readdirSync(store.folder).sort()).toEqual(names);
    store.makeRoom(names.slice(1).reduce((sum, name) => sum + bytes(name), 0));
    expect(readdirSync(store.folder).sort()).toEqual(names.slice(1));
    utimesSync(path.join(store.folder, names[2] ?? ""), now, now);
    store.makeRoom(0);
    expect(readdirSync(store.folder)).toEqual(names.slice(2));
    expect(await build(exact + words(2))).toMatchObject({ out: [5, 4] });
  });

  it("is what a moved workspace goes on with", async () => {
    fresh();
    workspace.write("s.jsonl", `${JSON.stringify({ text: "a b" })}\nbroken\n`);
    const counted = async () => (await corpora[0].counts({ path: workspace.at("r.recipe.yaml"), text: head + exact })).sources[0]?.bad.map((bad) => bad.file);
    expect(await counted()).toEqual([workspace.at("s.jsonl")]);
    const [meta] = readdirSync(store()).map((name) => workspace.read(`.tillage/cache/steps/${name}/meta.json`)).filter((text) => text.includes("sources"));
    expect(meta).not.toContain(workspace.folder);
  });
});

describe("what a step measures", () => {
  it("is kept while a recipe is edited, and gives the same counts as a build that keeps none", async () => {
    fresh();
    workspace.rows("s.jsonl", [...texts, "The dog runs quickly through the large forest, and nobody knows why.", "Der Hund läuft schnell durch den großen Wald."].map((text) => ({ text })));
    const steps = (min: number) => `${exact}${words(min)}  - language: { keep: [en] }\n`;
    const counts = async (min: number) => (await corpora[0].counts({ path: workspace.at("r.recipe.yaml"), text: head + steps(min) })).steps.map((step) => step.out);
    const first = await counts(2);
    const measures = readdirSync(store()).filter((name) => readdirSync(path.join(store(), name)).includes("measure.parquet"));
    // md5 and length of the dedup, words of the length, the language.
    expect(measures.length).toBe(4);
    expect(await counts(3)).not.toEqual(first);
    expect(readdirSync(store()).filter((name) => readdirSync(path.join(store(), name)).includes("measure.parquet")).length).toBe(5);
    workspace.write("other/s.jsonl", workspace.read("s.jsonl"));
    const built = await corpora[1].build({ path: workspace.at("r.recipe.yaml"), text: (head + steps(2)).replace("files: s.jsonl", "files: other/s.jsonl") });
    expect(built.steps.map((step) => step.out)).toEqual(first);
  });
});
