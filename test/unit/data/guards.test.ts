import { readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { createLocalCorpus } from "../../../src/data/local";
import { datasetRows, problemOf, Workspace } from "./support";

const corpus = createLocalCorpus();
let workspace = new Workspace();
afterEach(() => workspace.remove());
afterAll(() => corpus.dispose());

const tokenizer = path.resolve("test/fixtures/text/bpe/tokenizer.json");
const text = "tillage: 1\nsources: { s: { files: s.jsonl } }\n";
async function built(rows: readonly object[]) {
  workspace = new Workspace("leak.eval.yaml");
  workspace.rows("s.jsonl", rows);
  return corpus.build({ path: workspace.write("s.recipe.yaml", text) });
}
const pair = (i: number, completion = `Answer number ${i}.`) => ({ prompt: `Question number ${i}?`, completion });

describe("guards", () => {
  it("pass on clean rows", async () => {
    const result = await built(Array.from({ length: 12 }, (_, i) => pair(i)));
    expect(result.guards.map((guard) => [guard.guard, guard.ok, guard.rows])).toEqual([["evaluation_text", true, []], ["empty_completion", true, []], ["constant_completion", true, []], ["duplicates", true, []]]);
  });

  it("name the rows with empty completions", async () => {
    const result = await built([pair(1), pair(2, ""), pair(3, " \n ")]);
    const guard = result.guards.find((candidate) => candidate.guard === "empty_completion");
    expect(guard).toMatchObject({ ok: false });
    const rows = await corpus.rows({ dataset: result.dataset, rowIds: guard?.rows.map((row) => row.rowId) ?? [] });
    expect(rows.map((row) => row.values.prompt).sort()).toEqual(["Question number 2?", "Question number 3?"]);
  });

  it("see that most rows have one completion", async () => {
    const result = await built([...Array.from({ length: 9 }, (_, i) => pair(i, "I do not know.")), ...Array.from({ length: 4 }, (_, i) => pair(i + 20))]);
    const guard = result.guards.find((candidate) => candidate.guard === "constant_completion");
    expect(guard?.ok).toBe(false);
    expect(guard?.message).toContain("I do not know.");
    expect(guard?.rows.length).toBe(9);
  });

  it("see data that is heavy with duplicates, each with the row that it repeats", async () => {
    const result = await built([...Array.from({ length: 10 }, (_, i) => pair(i)), pair(3), pair(4), pair(5)]);
    const guard = result.guards.find((candidate) => candidate.guard === "duplicates");
    expect(guard?.ok).toBe(false);
    expect(guard?.rows.length).toBe(3);
    const first = guard?.rows[0];
    const ids = [first?.rowId ?? "", first?.detail.replace("same text as ", "") ?? ""];
    const rows = await corpus.rows({ dataset: result.dataset, rowIds: ids });
    expect(rows[0]?.values.prompt).toBe(rows[1]?.values.prompt);
  });

  it("find evaluation text of evaluations that the caller adds, without another dataset", async () => {
    const result = await built([pair(1), { prompt: "In which year did the guild of carpenters finish the signal tower above the western pier of the harbour?", completion: "In 1856." }]);
    expect(result.guards[0]).toMatchObject({ guard: "evaluation_text", ok: true });
    const file = workspace.at("s.recipe.yaml");
    const again = await corpus.build({ path: file, evals: ["leak.eval.yaml"] });
    expect(again).toMatchObject({ built: false, dataset: result.dataset });
    expect(again.guards[0]).toMatchObject({ guard: "evaluation_text", ok: false });
    expect(again.guards[0]?.rows.map((row) => row.detail)).toEqual(["leak.eval.yaml#tower-year"]);
    expect(await problemOf(corpus.build({ path: file, evals: ["none.eval.yaml"] }))).toMatchObject({ code: "no_files" });
  });

  it("look for evaluation text with the n-grams of the recipe's own step, also where it is skipped", async () => {
    workspace = new Workspace("leak.eval.yaml");
    workspace.rows("s.jsonl", [pair(1), pair(2, "It was the guild of carpenters, who finish the signal tower above all.")]);
    const guardOf = async (ngram: number) => {
      const file = workspace.write("s.recipe.yaml", `${text}steps:\n  - decontaminate: { against: leak.eval.yaml, ngram: ${ngram} }\n`);
      return (await corpus.build({ path: file, skipSteps: true })).guards[0];
    };
    expect(await guardOf(5)).toMatchObject({ guard: "evaluation_text", ok: false });
    expect(await guardOf(13)).toMatchObject({ guard: "evaluation_text", ok: true });
  });

  it("count the tokens that a context would cut, exactly with a tokenizer", async () => {
    const result = await built([{ text: "one two three" }, { text: "word ".repeat(50).trim() }]);
    const estimated = (await corpus.guards({ dataset: result.dataset, context: 20 })).find((guard) => guard.guard === "too_long");
    expect(estimated).toMatchObject({ ok: false, message: "1 row is longer than the context of 20 tokens: 45 tokens would be cut (estimated at 1.3 tokens a word)." });
    const exact = (await corpus.guards({ dataset: result.dataset, context: 20, tokenizer })).find((guard) => guard.guard === "too_long");
    expect(exact?.ok).toBe(false);
    expect(exact?.message).not.toContain("estimated");
    expect(await problemOf(corpus.guards({ dataset: result.dataset, context: 20, tokenizer: "/none" }))).toMatchObject({ code: "file_missing" });
    expect(await problemOf(corpus.guards({ dataset: workspace.folder }))).toMatchObject({ blame: "user", code: "no_dataset" });
  });
});

describe("token counts", () => {
  it("are those of the recipe's tokenizer where it is there, else estimated and said to be", async () => {
    workspace = new Workspace();
    workspace.rows("s.jsonl", [{ text: "The kiln is fired at 1,060 degrees." }]);
    const recipe = `${text}mix: { tokenizer: tok }\n`;
    const file = workspace.write("s.recipe.yaml", recipe);
    const estimated = await corpus.build({ path: file });
    expect(estimated.mix).toMatchObject({ exact: false });
    const hint = (await corpus.counts({ path: file, text: recipe })).diagnostics.find((diagnostic) => diagnostic.code === "no_tokenizer");
    expect(recipe.slice(hint?.start, hint?.end)).toBe("tok");
    workspace.write("tok/tokenizer.json", readFileSync(tokenizer));
    const exact = await corpus.build({ path: file });
    expect(exact.mix.exact).toBe(true);
    expect(exact.hash).not.toBe(estimated.hash);
    const rows = await datasetRows(corpus, exact.split[0]?.files ?? []);
    expect(rows[0]?._tokens).toBe(exact.mix.rows[0]?.tokens);
    expect(Number.isInteger(rows[0]?._tokens)).toBe(true);
    expect(exact.mix.rows[0]?.tokens).not.toBe(estimated.mix.rows[0]?.tokens);
  });
});
