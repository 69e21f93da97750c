import path from "node:path";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { createLocalCorpus } from "../../../src/data/local";
import { Database } from "../../../src/data/duckdb/session";
import type { BuildResult } from "../../../src/protocol/corpus";
import { datasetRows, problemOf, Workspace } from "./support";

const corpus = createLocalCorpus();
let workspace = new Workspace();
afterEach(async () => {
  vi.restoreAllMocks();
  await workspace.remove();
});
afterAll(() => corpus.dispose());

const head = "tillage: 1\nsources: { s: { files: s.jsonl } }\nseed: 5\n";

async function built(rows: readonly object[], rest: string): Promise<BuildResult> {
  await workspace.remove();
  workspace = new Workspace();
  workspace.rows("s.jsonl", rows);
  return corpus.build({ path: workspace.write("s.recipe.yaml", head + rest) });
}

async function trained(build: BuildResult): Promise<Record<string, unknown>[]> {
  return datasetRows(corpus, build.split[0]?.files ?? []);
}

/** How often each row of the source is in the training rows, by its place in the file. */
async function times(build: BuildResult, count: number): Promise<number[]> {
  const seen = Array.from({ length: count }, () => 0);
  for (const row of await trained(build)) seen[Number(row._file_row)]! += 1;
  return seen;
}

/** Ten words each, so 13 tokens. */
const texts = (count: number, more: (i: number) => object = () => ({})) => Array.from({ length: count }, (_, i) => ({ text: `row number ${i} of this source has exactly ten words`, ...more(i) }));
const total = (list: readonly number[]) => list.reduce((sum, one) => sum + one, 0);

describe("weights", () => {
  const kinds = (i: number) => ({ kind: ["plain", "code", "spam"][i % 3] });

  it("let a row of weight 1 be seen once, one of weight 2 twice, and a quarter of those of weight 0.25", async () => {
    const build = await built(texts(120, kinds), "steps:\n  - weight: { by: kind, values: { code: 2, spam: 0.25 } }\n");
    const seen = await times(build, 120);
    const of = (kind: number) => seen.filter((_, i) => i % 3 === kind);
    expect(new Set(of(0))).toEqual(new Set([1]));
    expect(new Set(of(1))).toEqual(new Set([2]));
    expect([total(of(2)), Math.max(...of(2))]).toEqual([10, 1]);
    expect(build.mix.rows[0]).toMatchObject({ rows: 120, tokens: 120 * 13, most: 2, parts: { plain: { tokens: 120 * 13, weighted: 130 * 13, heaviest: 2 } } });
    expect(build.mix.budgetTokens).toBe(130 * 13);
    expect(build.steps[0]).toMatchObject({ in: 120, out: 120, weighted: 80 });
    const unsampled = await corpus.receipts({ dataset: build.dataset, step: "mix", limit: 1000 });
    expect(unsampled.length).toBe(30);
    const story = await corpus.receipts({ dataset: build.dataset, rowId: unsampled[0]?.rowId, limit: 10 });
    expect(story.map(({ step, effect, reason, value }) => [step, effect, reason, value])).toEqual([["weight", "weighted", "kind = spam", "0.25"], ["mix", "dropped", "not sampled", "s"]]);
  });

  it("of several steps multiply", async () => {
    const build = await built(texts(60, kinds), "steps:\n  - weight: { by: kind, values: { code: 2 } }\n  - weight: { where: \"kind = 'code' and words = 10\", factor: 1.5 }\n");
    const seen = await times(build, 60);
    expect(seen.filter((_, i) => i % 3 === 1)).toEqual(Array.from({ length: 20 }, () => 3));
    expect(total(seen)).toBe(100);
  });

  it("keep the tokens that the mix gives a group, and max_epochs bounds the row that is seen most", async () => {
    const weights = "steps:\n  - weight: { by: kind, values: { code: 4 } }\n";
    const half = await built(texts(120, kinds), `${weights}mix: { budget: 1170 }\n`);
    const seen = await times(half, 120);
    // 90 rows' tokens over weights of 40 x 4 + 80 x 1: 0.375 x the weight.
    expect([total(seen), total(seen.filter((_, i) => i % 3 === 1))]).toEqual([90, 60]);
    const bounded = await built(texts(120, kinds), `${weights}mix: { budget: 100k tokens, max_epochs: 2 }\n`);
    expect(bounded.mix).toMatchObject({ limitedBy: "s", wantedTokens: 100_000, budgetTokens: 120 * 13 });
    expect(bounded.mix.rows[0]?.most).toBeCloseTo(2, 9);
    const most = await times(bounded, 120);
    expect(most.filter((_, i) => i % 3 === 1)).toEqual(Array.from({ length: 40 }, () => 2));
    expect(total(most)).toBe(120);
  });

  it("make groups whose share is not named share by what their rows weigh", async () => {
    const build = await built(texts(90, kinds), "steps:\n  - weight: { by: kind, values: { code: 3 } }\nmix: { by: kind, shares: { spam: 20% } }\n");
    expect(build.mix.rows.map((row) => [row.group, row.shareWanted])).toEqual([["plain", expect.closeTo(0.2, 9)], ["code", expect.closeTo(0.6, 9)], ["spam", expect.closeTo(0.2, 9)]]);
  });

  it("let a cluster of near duplicates be seen about as often as one row", async () => {
    const base = Array.from({ length: 60 }, (_, i) => `word${i}`);
    const clusters = Array.from({ length: 40 }, (_, c) => Array.from({ length: 4 }, (_, i) => ({ text: [...base.map((word) => `${word}c${c}`), `tail${i}`].join(" "), cluster: c }))).flat();
    const build = await built(clusters, "steps:\n  - dedup: { near: {}, action: weight }\n");
    expect(build.steps[0]).toMatchObject({ in: 160, out: 160, weighted: 160 });
    expect(build.split[0]?.rows).toBe(40);
    expect(build.mix.budgetTokens).toBeCloseTo(build.mix.rows[0]!.tokens / 4, 0);
  });

  it("give small groups their share in the mean, where a share is less than a row", async () => {
    const build = await built(texts(400, (i) => ({ group: `g${i}` })), "mix: { by: group, budget: 1560 }\n");
    const rows = build.split[0]?.rows ?? 0;
    expect(Math.abs(rows - 120)).toBeLessThan(40);
  });

  it("come out the same for any number of threads", async () => {
    const rows = texts(30_000, (i) => ({ kind: ["a", "b", "c"][i % 3], score: (i * 7919) % 1013, origin: i % 5 === 0 ? "synthetic" : "human" }));
    const recipe =
      "steps:\n  - weight: { by: kind, values: { b: 1.7, c: 0.31 } }\n  - weight: { where: \"score > 500\", factor: 0.77 }\n  - weight: { where: \"score % 2 = 0\", factor: 1.13 }\n" +
      "mix: { by: kind, shares: { a: 50% }, synthetic: { column: origin, max_share: 7% }, budget: 300k tokens }\ncurriculum: { order: column, by: score }\n";
    const results: unknown[] = [];
    const open = Database.open.bind(Database);
    for (const threads of [1, 2, 5, 16]) {
      vi.spyOn(Database, "open").mockImplementation(async (extension) => {
        const database = await open(extension);
        await database.session(undefined, (session) => session.run(`SET threads = ${threads}`));
        return database;
      });
      const build = await built(rows, recipe);
      vi.restoreAllMocks();
      const database = await open();
      const files = (build.split[0]?.files ?? []).map((file) => `'${file}'`).join(", ");
      const [order] = await database.session(undefined, (session) => session.rows(`SELECT count(*) AS n, md5(string_agg(_row_id || ':' || _copy, ',' ORDER BY file_row_number)) AS rows FROM read_parquet([${files}], file_row_number = true)`));
      database.close();
      results.push({ ...order, mix: build.mix });
    }
    expect(results[0]).toMatchObject({ mix: { synthetic: { limited: true } } });
    for (const other of results.slice(1)) expect(other).toEqual(results[0]);
  }, 60_000);
});

describe("the synthetic share", () => {
  const origins = (i: number) => ({ origin: i % 2 ? "synthetic" : "human" });
  const share = (rows: Record<string, unknown>[], made: (row: Record<string, unknown>) => boolean) => total(rows.filter(made).map((row) => Number(row._tokens))) / total(rows.map((row) => Number(row._tokens)));
  const guardOf = (build: BuildResult) => build.guards.find((guard) => guard.guard === "synthetic_share");

  it("is kept at or below its limit, and the guard says what it is", async () => {
    for (const limit of [30, 17.3, 1]) {
      const build = await built(texts(200, origins), `mix: { synthetic: { column: origin, max_share: ${limit}% } }\n`);
      const now = share(await trained(build), (row) => row.origin === "synthetic");
      expect(now).toBeLessThanOrEqual(limit / 100);
      expect(now).toBeGreaterThan(limit / 100 - 0.011);
      expect(build.mix.synthetic).toMatchObject({ column: "origin", limit: limit / 100, now: 0.5, mixed: expect.closeTo(limit / 100, 6), limited: true, cut: [], unmet: false });
      expect(guardOf(build)).toMatchObject({ ok: true });
      // What is not synthetic is all there, once.
      expect((await trained(build)).filter((row) => row.origin === "human").length).toBe(100);
    }
  });

  it("leaves a mix alone that is below it", async () => {
    const build = await built(texts(50, origins), "mix: { synthetic: { column: origin, max_share: 60% } }\n");
    expect(build.split[0]?.rows).toBe(50);
    expect(build.mix.synthetic).toMatchObject({ now: 0.5, mixed: 0.5, limited: false });
    expect(guardOf(build)?.message).toBe("25 synthetic rows with 50 % of the training tokens; the recipe's limit is 60 %.");
  });

  it("fails the guard of raw rows, and of rows that are all synthetic", async () => {
    const recipe = "mix: { synthetic: { column: origin, max_share: 30% } }\n";
    await built(texts(20, origins), recipe);
    const raw = await corpus.build({ path: workspace.at("s.recipe.yaml"), skipSteps: true });
    expect(guardOf(raw)).toMatchObject({ ok: false, message: expect.stringContaining("50 % of the training tokens: the recipe's limit is 30 %") as string });
    expect(guardOf(raw)?.rows.length).toBe(10);
    const again = await corpus.guards({ dataset: raw.dataset });
    expect(again.find((guard) => guard.guard === "synthetic_share")).toEqual(guardOf(raw));
    const all = await built(texts(20, () => ({ origin: "Synthetic" })), recipe);
    expect(all.mix.synthetic).toMatchObject({ unmet: true, mixed: 1 });
    expect(guardOf(all)?.ok).toBe(false);
    expect(all.split[0]?.rows).toBe(20);
  });

  it("takes as synthetic what is true, yes, 1 or named so, or the values that the recipe lists", async () => {
    const shareOf = async (values: unknown[], rule: string) => {
      const build = await built(values.map((made, i) => ({ text: `row ${i} of it`, made })), `mix: { synthetic: { column: made, max_share: 100%${rule} } }\n`);
      return [build.mix.synthetic?.now, guardOf(build)?.rows.length];
    };
    expect(await shareOf([true, false, null, true], "")).toEqual([0.5, 2]);
    expect(await shareOf([1, 0, 2, 0], "")).toEqual([0.25, 1]);
    expect(await shareOf([" YES ", "Synthetic", "no", "synthetically"], "")).toEqual([0.5, 2]);
    expect(await shareOf(["llama-3", "Llama-3", "human", "gpt"], ", values: [llama-3, gpt]")).toEqual([0.5, 2]);
    const problem = await problemOf(built(texts(4), "mix: { synthetic: { column: originn, max_share: 10% } }\n"));
    expect(problem).toMatchObject({ blame: "user", code: "unknown_column" });
  });

  it("counts the rows of whole sources, whose shares are cut where nothing else would hold the limit", async () => {
    workspace = new Workspace();
    workspace.rows("real.jsonl", texts(60));
    workspace.rows("made.jsonl", texts(60).map(({ text }) => ({ text: text.replace("row", "made") })));
    const text = "tillage: 1\nsources: { real: { files: real.jsonl }, made: { files: made.jsonl } }\nmix: { shares: { real: 50%, made: 50% }, synthetic: { column: source, values: made, max_share: 20% } }\n";
    const build = await corpus.build({ path: workspace.write("s.recipe.yaml", text) });
    const rows = await trained(build);
    expect(share(rows, (row) => row._source === "made")).toBeCloseTo(0.2, 2);
    expect(build.mix.synthetic).toMatchObject({ cut: ["made"], mixed: expect.closeTo(0.2, 9) });
    expect(guardOf(build)).toMatchObject({ ok: true });
  });
});

describe("the curriculum", () => {
  const rows = Array.from({ length: 40 }, (_, i) => ({ text: Array.from({ length: 3 + ((i * 17) % 40) }, (_, j) => `w${i}x${j}`).join(" "), level: (i * 7) % 40 === 3 ? null : (i * 7) % 40, ppl: String(((i * 11) % 40) + 0.5), perplexity: 100 - i }));
  const column = async (rest: string, name: string) => {
    const build = await built(rows, rest);
    return { build, values: (await trained(build)).map((row) => row[name]) };
  };
  const sorted = (values: readonly unknown[]) => [...(values as number[])].sort((a, b) => a - b);

  it("writes the rows from short to long, or the other way, and the manifest says so", async () => {
    const { build, values } = await column("curriculum: { order: length }\n", "_tokens");
    expect(values).toEqual(sorted(values));
    expect(build.curriculum).toEqual({ order: "length" });
    const down = await column("curriculum: { order: length, descending: true }\n", "_tokens");
    expect(down.values).toEqual(sorted(values).reverse());
    expect((await corpus.build({ path: workspace.at("s.recipe.yaml") })).curriculum).toEqual({ order: "length", descending: true });
    const shuffled = await column("", "_tokens");
    expect(shuffled.values).not.toEqual(sorted(values));
    expect(shuffled.build.curriculum).toEqual({ order: "shuffle" });
  });

  it("goes by a column of the rows, without a value last, or by their perplexity as numbers", async () => {
    const by = await column("curriculum: { order: column, by: level }\n", "level");
    const known = by.values.filter((value) => value !== null);
    expect(by.values).toEqual([...sorted(known), null]);
    expect((await column("curriculum: { order: column, by: level, descending: true }\n", "level")).values).toEqual([...sorted(known).reverse(), null]);
    const perplexity = await column("curriculum: { order: perplexity }\n", "perplexity");
    expect(perplexity.values).toEqual(sorted(perplexity.values));
    const own = await column("curriculum: { order: perplexity, by: ppl }\n", "ppl");
    expect(own.values.map(Number)).toEqual(sorted(own.values.map(Number)));
    // As texts "10.5" is before "2.5".
    expect((await column("curriculum: { order: column, by: ppl }\n", "ppl")).values).not.toEqual(own.values);
  });

  it("keeps the order over the copies that a mix makes", async () => {
    const { build, values } = await column("mix: { budget: 4000, max_epochs: 9 }\ncurriculum: { order: length }\n", "_tokens");
    expect(build.split[0]?.rows).toBeGreaterThan(100);
    expect(values).toEqual(sorted(values));
  });

  it("names what is wrong with it", async () => {
    expect(await problemOf(built(texts(3), "curriculum: { order: perplexity }\n"))).toMatchObject({ blame: "user", code: "unknown_column", message: expect.stringContaining("'perplexity'") as string });
    expect(await problemOf(built(texts(3, (i) => ({ perplexity: i === 1 ? "high" : "2" })), "curriculum: { order: perplexity }\n"))).toMatchObject({ blame: "user", code: "not_a_number", message: expect.stringContaining("'high'") as string });
    expect((await problemOf(built(texts(3), "curriculum: { order: column }\n"))).message).toMatch(/should have by/);
    expect((await problemOf(built(texts(3), "curriculum: { order: length, by: text }\n"))).message).toMatch(/is for order: column/);
    expect((await problemOf(built(texts(3), "curriculum: { order: shuffle, descending: true }\n"))).message).toMatch(/not for shuffled ones/);
  });
});

describe("the split under weights and repeats", () => {
  it("has no near duplicate on both sides, and repeats no validation row", async () => {
    const sentence = (i: number) => Array.from({ length: 40 }, (_, j) => `w${i}x${j}`);
    const rows = Array.from({ length: 50 }, (_, i) => Array.from({ length: 3 }, (_, k) => ({ text: sentence(i).map((word, j) => (k > 0 && j === 39 ? `changed${k}` : word)).join(" "), unit: i, kind: k }))).flat();
    const build = await built(rows, "steps:\n  - weight: { by: kind, values: { \"1\": 4, \"2\": 0.5 } }\n  - dedup: { near: {}, action: weight }\nmix: { budget: 12k tokens, max_epochs: 6 }\nsplit: { valid: 20% }\n");
    const [train, valid] = await Promise.all(build.split.map((side) => datasetRows(corpus, side.files)));
    const units = (side: Record<string, unknown>[] = []) => new Set(side.map((row) => row.unit));
    expect([...units(train)].filter((unit) => units(valid).has(unit))).toEqual([]);
    expect(units(valid).size).toBe(10);
    expect(new Set(valid?.map((row) => row._row_id)).size).toBe(valid?.length);
    expect(valid?.length).toBe(30);
    expect(Math.max(...(train ?? []).map((row) => Number(row._copy)))).toBeGreaterThan(1);
  });
});

it("a recipe without weights, synthetic rows or curriculum needs no column for them", async () => {
  const build = await built(texts(5, () => ({ weight: "heavy", synthetic: "perhaps", tokens: 7, grp: 1 })), "");
  expect(build.split[0]?.rows).toBe(5);
  expect(build.mix.rows[0]?.parts).toBeUndefined();
  expect(path.basename(build.dataset)).toMatch(/^s@/);
});
