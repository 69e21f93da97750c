import { createHash } from "node:crypto";
import { appendFileSync, existsSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { createLocalCorpus } from "../../../src/data/local";
import { datasetRows, problemOf, Workspace } from "./support";

const corpus = createLocalCorpus();
let workspace = new Workspace();
afterEach(() => workspace.remove());
afterAll(() => corpus.dispose());

const planted = () => new Workspace("planted.jsonl", "planted.recipe.yaml", "leak.eval.yaml");

describe("building a recipe", () => {
  it("takes out exactly what was planted for each step, with a receipt for every row", async () => {
    workspace = planted();
    const result = await corpus.build({ path: workspace.at("planted.recipe.yaml") });
    expect(result.steps.map(({ step, in: before, out, changed }) => [step, before, out, changed])).toEqual([
      ["quality gopher", 22, 20, 0],
      ["language", 20, 19, 0],
      ["pii redact", 19, 19, 2],
      ["dedup exact", 19, 17, 0],
      ["dedup near", 17, 15, 0],
      ["decontaminate", 15, 14, 0],
    ]);
    const receipts = await corpus.receipts({ dataset: result.dataset, limit: 100 });
    const source = workspace.read("planted.jsonl").trim().split("\n").map((line) => JSON.parse(line) as { id: string; planted: string; text: string });
    const idsOf = (step: string) => receipts.filter((receipt) => receipt.step === step).map((receipt) => source[receipt.fileRow]?.id).sort();
    expect(idsOf("quality gopher")).toEqual(["junk-short", "junk-symbols"]);
    expect(idsOf("language")).toEqual(["german"]);
    expect(idsOf("pii redact")).toEqual(["pii-email", "pii-phone"]);
    expect(idsOf("dedup exact")).toEqual(["exact-0", "exact-1"]);
    expect(idsOf("decontaminate")).toEqual(["leak"]);
    // Of each near pair the longer stays: near-2 is longer than its original, near-3 is shorter.
    expect(idsOf("dedup near")).toEqual(["clean-2", "near-3"]);

    const exact = receipts.find((receipt) => receipt.step === "dedup exact" && source[receipt.fileRow]?.id === "exact-0");
    expect(exact?.matchedText).toBe(source[0]?.text.slice(0, 400));
    expect(exact?.file).toBe(workspace.at("planted.jsonl"));
    const near = receipts.find((receipt) => receipt.step === "dedup near");
    expect(Number(near?.value)).toBeGreaterThan(0.7);
    expect(receipts.find((receipt) => receipt.step === "decontaminate")?.matchedRowId).toBe("leak.eval.yaml#tower-year");
    expect(receipts.filter((receipt) => receipt.effect === "dropped").length).toBe(22 - 14);

    const train = result.split.find((split) => split.name === "train");
    const rows = await datasetRows(corpus, train?.files ?? []);
    expect(rows.length).toBe(14);
    expect(new Set(rows.map((row) => row._row_id)).size).toBe(14);
    const email = rows.find((row) => row.id === "pii-email");
    const whole = await corpus.rows({ dataset: result.dataset, rowIds: [String(email?._row_id)] });
    expect(whole[0]?.values.text).toContain("at <EMAIL> for a visit");
    expect(rows.some((row) => row.planted === "leak" || row.planted === "junk" || row.planted === "language")).toBe(false);
    expect(result.guards.find((guard) => guard.guard === "evaluation_text")?.ok).toBe(true);
  });

  it("finds the dataset built, and builds another when a source or the recipe changes", async () => {
    workspace = planted();
    const file = workspace.at("planted.recipe.yaml");
    const first = await corpus.build({ path: file });
    const again = await corpus.build({ path: file });
    expect(again.built).toBe(false);
    expect({ ...again, built: true, seconds: 0 }).toEqual({ ...first, seconds: 0 });
    workspace.write("planted.jsonl", `${workspace.read("planted.jsonl")}{"id":"new","planted":"clean","text":"${"The new boat house has a slate roof and a door of the oldest oak that the bay has known. ".repeat(4)}"}\n`);
    const changed = await corpus.build({ path: file });
    expect(changed.built).toBe(true);
    expect(changed.hash).not.toBe(first.hash);
    expect(existsSync(first.dataset)).toBe(true);
  });

  it("builds another when only an evaluation or the text of the recipe changes", async () => {
    workspace = planted();
    const file = workspace.at("planted.recipe.yaml");
    const hashes = [(await corpus.build({ path: file })).hash];
    workspace.write("leak.eval.yaml", workspace.read("leak.eval.yaml").replace("tower", "lighthouse"));
    hashes.push((await corpus.build({ path: file })).hash);
    workspace.write("planted.recipe.yaml", `${workspace.read("planted.recipe.yaml")}# another text\n`);
    hashes.push((await corpus.build({ path: file })).hash);
    expect(new Set(hashes).size).toBe(3);
  });

  it("builds another when an evaluation has another name, which receipts give", async () => {
    workspace = new Workspace();
    const prompt = "Who rang the brass gong at noon?";
    workspace.rows("s.jsonl", [{ text: prompt }, { text: "clean" }]);
    const file = workspace.write("s.recipe.yaml", "tillage: 1\nsources: { s: { files: s.jsonl } }\nsteps:\n  - decontaminate: { against: evals/*.jsonl }\n");
    const matched = async () => (await corpus.receipts({ dataset: (await corpus.build({ path: file })).dataset, limit: 10 })).map((receipt) => receipt.matchedRowId);
    workspace.rows("evals/a.jsonl", [{ text: prompt }]);
    expect(await matched()).toEqual(["evals/a.jsonl#1"]);
    renameSync(workspace.at("evals/a.jsonl"), workspace.at("evals/b.jsonl"));
    expect(await matched()).toEqual(["evals/b.jsonl#1"]);
  });

  it("may be asked for twice at once", async () => {
    workspace = planted();
    const [a, b] = await Promise.all([corpus.build({ path: workspace.at("planted.recipe.yaml") }), corpus.build({ path: workspace.at("planted.recipe.yaml") })]);
    expect(b.dataset).toBe(a.dataset);
    expect(readdirSync(workspace.at(".tillage/datasets"))).toEqual([path.basename(a.dataset)]);
  });

  it("clears away what a killed build left", async () => {
    workspace = planted();
    const host = (name: string) => createHash("sha256").update(name).digest("hex").slice(0, 8);
    const ours = `.building-planted@0123456789ab-${host(os.hostname())}-999999999-1`;
    const elsewhere = `.building-planted@0123456789ab-${host("another machine")}-999999999-1`;
    for (const name of [ours, elsewhere]) workspace.write(`.tillage/datasets/${name}/train-00000.parquet`, "half");
    const built = await corpus.build({ path: workspace.at("planted.recipe.yaml") });
    // Whether a process of another machine on the same disk is at work cannot be seen from here.
    expect(readdirSync(workspace.at(".tillage/datasets"))).toEqual([elsewhere, path.basename(built.dataset)]);
  });

  it("makes a dataset again that lost a file", async () => {
    workspace = planted();
    const first = await corpus.build({ path: workspace.at("planted.recipe.yaml") });
    rmSync(path.join(first.dataset, "train-00000.parquet"));
    const again = await corpus.build({ path: workspace.at("planted.recipe.yaml") });
    expect(again).toMatchObject({ built: true, hash: first.hash, dataset: first.dataset });
    expect(existsSync(path.join(again.dataset, "train-00000.parquet"))).toBe(true);
  });

  it("keeps no dataset of a source that was written to meanwhile", async () => {
    workspace = planted();
    const grow = () => appendFileSync(workspace.at("planted.jsonl"), '{"text":"one more"}\n');
    const problem = await problemOf(corpus.build({ path: workspace.at("planted.recipe.yaml") }, undefined, (progress) => progress.stage === "split and mix" && grow()));
    expect(problem).toMatchObject({ blame: "user", code: "file_changed", file: workspace.at("planted.jsonl") });
    expect(readdirSync(workspace.at(".tillage/datasets"))).toEqual([]);
  });

  it("says why it cannot write, as the environment's error", async () => {
    workspace = planted();
    workspace.write(".tillage/datasets", "a file where the folder should be");
    const problem = await problemOf(corpus.build({ path: workspace.at("planted.recipe.yaml") }));
    expect(problem).toMatchObject({ blame: "environment", code: "cannot_write", file: workspace.at(".tillage/datasets") });
  });

  it("gives the same bytes in another folder", async () => {
    workspace = planted();
    const other = planted();
    try {
      const [a, b] = [await corpus.build({ path: workspace.at("planted.recipe.yaml") }), await corpus.build({ path: other.at("planted.recipe.yaml") })];
      expect(b.hash).toBe(a.hash);
      for (const name of ["train-00000.parquet", "receipts.parquet", "manifest.json"]) expect(readFileSync(path.join(b.dataset, name)).equals(readFileSync(path.join(a.dataset, name))), name).toBe(true);
    } finally {
      await other.remove();
    }
  });

  it("leaves out the steps and the mix for the raw data, and the guard finds the leak in it", async () => {
    workspace = planted();
    const raw = await corpus.build({ path: workspace.at("planted.recipe.yaml"), skipSteps: true });
    expect(raw.steps).toEqual([]);
    expect(raw.split[0]?.rows).toBe(22);
    expect((await corpus.build({ path: workspace.at("planted.recipe.yaml") })).steps).toHaveLength(6);
    const guard = raw.guards.find((candidate) => candidate.guard === "evaluation_text");
    expect(guard?.ok).toBe(false);
    expect(guard?.rows.map((row) => row.detail)).toEqual(["leak.eval.yaml#tower-year"]);
  });

  it("keeps row ids when rows around them change", async () => {
    workspace = new Workspace();
    const recipe = workspace.write("a.recipe.yaml", "tillage: 1\nsources: { a: { files: a.jsonl } }\n");
    const ids = async () => {
      const built = await corpus.build({ path: recipe });
      const rows = await datasetRows(corpus, built.split.flatMap((split) => split.files));
      return new Map(rows.map((row) => [`${String(row.text)}/${String(row._file_row)}`, row._row_id]));
    };
    workspace.rows("a.jsonl", [{ text: "one" }, { text: "two" }, { text: "two" }]);
    const before = await ids();
    expect(new Set(before.values()).size).toBe(3);
    workspace.rows("a.jsonl", [{ text: "zero" }, { text: "one" }, { text: "two" }, { text: "two" }]);
    const after = await ids();
    expect(after.get("one/1")).toBe(before.get("one/0"));
    expect(after.get("two/2")).toBe(before.get("two/1"));
    expect(after.get("two/3")).toBe(before.get("two/2"));
    // Another source may hold the same.
    workspace.rows("b.jsonl", [{ text: "two" }]);
    workspace.write("a.recipe.yaml", "tillage: 1\nsources: { b: { files: b.jsonl }, a: { files: a.jsonl } }\n");
    const beside = await ids();
    expect([beside.get("two/2"), beside.get("two/3")]).toEqual([before.get("two/1"), before.get("two/2")]);
  });

  it("leaves nothing behind when it is cancelled, within 200 ms", async () => {
    workspace = new Workspace();
    const words = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon".split(" ");
    workspace.rows("big.jsonl", Array.from({ length: 20_000 }, (_, i) => ({ text: Array.from({ length: 60 }, (_word, j) => words[(i * 7 + j * j + (i % 13) * j) % words.length]).join(" ") })));
    const recipe = workspace.write("big.recipe.yaml", "tillage: 1\nsources: { big: { files: big.jsonl } }\nsteps:\n  - language: { keep: [en], min_confidence: 0 }\n  - dedup: { near: {} }\n");
    const controller = new AbortController();
    let cancelledAt = 0;
    const problem = await problemOf(
      corpus.build({ path: recipe }, controller.signal, ({ stage }) => {
        if (stage !== "language" || cancelledAt > 0) return;
        setTimeout(() => {
          cancelledAt = performance.now();
          controller.abort();
        }, 30);
      }),
    );
    expect(problem.code).toBe("cancelled");
    expect(performance.now() - cancelledAt).toBeLessThan(200);
    await expect.poll(() => readdirSync(workspace.at(".tillage/datasets")), { timeout: 5000 }).toEqual([]);
  });
});

describe("the mix", () => {
  const recipeText = (mix: string) => `tillage: 1\nsources:\n  a: { files: a.jsonl }\n  b: { files: b.jsonl }\nmix: ${mix}\nseed: 5\n`;
  const sources = () => {
    workspace = new Workspace();
    workspace.rows("a.jsonl", Array.from({ length: 40 }, (_, i) => ({ text: `first source row number ${i} has exactly ten words here`, topic: i % 2 ? "odd" : "even" })));
    workspace.rows("b.jsonl", Array.from({ length: 120 }, (_, i) => ({ text: `second source row number ${i} has exactly ten words here`, topic: "odd" })));
  };

  it("repeats and samples so that the tokens have the shares", async () => {
    sources();
    const recipe = workspace.write("m.recipe.yaml", recipeText("{ shares: { a: 75%, b: 25% }, budget: 1560, max_epochs: 4 }"));
    const built = await corpus.build({ path: recipe });
    const rows = await datasetRows(corpus, built.split[0]?.files ?? []);
    const tokens = (source: string) => rows.filter((row) => row._source === source).reduce((sum, row) => sum + Number(row._tokens), 0);
    expect(tokens("a") / (tokens("a") + tokens("b"))).toBeCloseTo(0.75, 1);
    expect(built.mix.exact).toBe(false);
    const a = built.mix.rows.find((row) => row.group === "a");
    expect(a?.epochs).toBeCloseTo(2.25, 2);
    const copies = rows.filter((row) => row._source === "a").map((row) => row._copy);
    expect(copies.filter((copy) => copy === 0).length).toBe(40);
    expect(copies.filter((copy) => copy === 1).length).toBe(40);
    expect(copies.filter((copy) => copy === 2).length).toBe(10);
    const unsampled = await corpus.receipts({ dataset: built.dataset, step: "mix", limit: 1000 });
    expect(unsampled.length).toBe(120 - rows.filter((row) => row._source === "b").length);
    expect(unsampled.every((receipt) => receipt.reason === "not sampled" && receipt.source === "b")).toBe(true);
  });

  it("shrinks the budget rather than showing a row more often than max_epochs", async () => {
    sources();
    const text = recipeText("{ shares: { a: 90%, b: 10% }, budget: 100k tokens, max_epochs: 2 }");
    const table = await corpus.mix({ path: workspace.at("m.recipe.yaml"), text });
    expect(table.limitedBy).toBe("a");
    expect(table.rows.find((row) => row.group === "a")?.epochs).toBeCloseTo(2, 6);
    expect(table.wantedTokens).toBe(100_000);
    expect(table.budgetTokens).toBeLessThan(2000);
  });

  it("mixes by a column, and names the nearest when there is none of that name", async () => {
    sources();
    const table = await corpus.mix({ path: workspace.at("m.recipe.yaml"), text: recipeText("{ by: topic, shares: { even: 50% } }") });
    expect(table.rows.map((row) => [row.group, row.rows])).toEqual([["even", 20], ["odd", 140]]);
    expect(table.rows[0]?.shareWanted).toBe(0.5);
    const problem = await problemOf(corpus.mix({ path: workspace.at("m.recipe.yaml"), text: recipeText("{ by: topik }") }));
    expect(problem).toMatchObject({ blame: "user", code: "unknown_column" });
    expect(problem.message).toContain("Did you mean 'topic'?");
  });
});

describe("the split", () => {
  it("never has equal or near-duplicate texts, or one prompt, on both sides", async () => {
    workspace = new Workspace();
    const sentence = (i: number) => Array.from({ length: 40 }, (_, j) => `w${i}x${j}`).join(" ");
    const texts = Array.from({ length: 60 }, (_, i) => [
      { prompt: `question ${i}`, completion: sentence(i), unit: i },
      { prompt: `question ${i}`, completion: sentence(1000 + i), unit: i },
      { prompt: `question ${i} again`, completion: sentence(i).replace(`w${i}x39`, "changed"), unit: i },
    ]).flat();
    workspace.rows("p.jsonl", texts);
    const recipe = workspace.write("p.recipe.yaml", "tillage: 1\nsources: { p: { files: p.jsonl } }\nsplit: { train: 80%, valid: 20% }\nseed: 1\n");
    const built = await corpus.build({ path: recipe });
    const sides = await Promise.all(built.split.map(async (split) => new Set((await datasetRows(corpus, split.files)).map((row) => row.unit))));
    const [train, valid] = sides;
    expect(built.split.find((split) => split.name === "valid")?.rows).toBe(36);
    expect([...(train ?? [])].filter((unit) => valid?.has(unit))).toEqual([]);
    expect((train?.size ?? 0) + (valid?.size ?? 0)).toBe(60);
  });

  it("takes its share of each group", async () => {
    workspace = new Workspace();
    workspace.rows("a.jsonl", Array.from({ length: 100 }, (_, i) => ({ text: `${i} of the large source` })));
    workspace.rows("b.jsonl", Array.from({ length: 10 }, (_, i) => ({ text: `${i} of the small source` })));
    const recipe = workspace.write("s.recipe.yaml", "tillage: 1\nsources: { a: { files: a.jsonl }, b: { files: b.jsonl } }\nsplit: { valid: 20% }\n");
    const built = await corpus.build({ path: recipe });
    const valid = await datasetRows(corpus, built.split.find((side) => side.name === "valid")?.files ?? []);
    expect(["a", "b"].map((name) => valid.filter((row) => row._source === name).length)).toEqual([20, 2]);
  });
});

describe("the seed", () => {
  it("decides what is sampled, in which order, and what validates", async () => {
    workspace = new Workspace();
    workspace.rows("a.jsonl", Array.from({ length: 60 }, (_, i) => ({ text: `row ${i} of sixty` })));
    const made = async (seed: number, rest: string) => {
      const built = await corpus.build({ path: workspace.write(`s${seed}.recipe.yaml`, `tillage: 1\nsources: { a: { files: a.jsonl } }\n${rest}seed: ${seed}\n`) });
      return Promise.all(built.split.map(async (side) => (await datasetRows(corpus, side.files)).map((row) => Number(row._file_row))));
    };
    const sorted = (list: number[] = []) => [...list].sort((x, y) => x - y);
    const mixed = "mix: { budget: 120 }\n";
    const [[one], [two]] = [await made(1, mixed), await made(2, mixed)];
    expect(one?.length).toBe(two?.length);
    expect(sorted(one)).not.toEqual(sorted(two));
    const [[ordered], [other]] = [await made(1, ""), await made(2, "")];
    expect(sorted(ordered)).toEqual(sorted(other));
    expect(ordered).not.toEqual(other);
    expect(ordered).not.toEqual(sorted(ordered));
    const [[, valid], [, otherValid]] = [await made(1, "split: { valid: 20% }\n"), await made(2, "split: { valid: 20% }\n")];
    expect(valid).toHaveLength(12);
    expect(sorted(valid)).not.toEqual(sorted(otherValid));
  });
});
