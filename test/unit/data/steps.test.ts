import { afterAll, afterEach, describe, expect, it } from "vitest";
import { createLocalCorpus } from "../../../src/data/local";
import type { RecipeCounts } from "../../../src/protocol/corpus";
import { datasetRows, problemOf, Workspace } from "./support";

const corpus = createLocalCorpus();
let workspace = new Workspace();
afterEach(() => workspace.remove());
afterAll(() => corpus.dispose());

const head = "tillage: 1\nsources:\n  s: { files: s.jsonl }\nsteps:\n";
const counts = (steps: string): Promise<RecipeCounts> => corpus.counts({ path: workspace.at("s.recipe.yaml"), text: head + steps });
const dropped = async (steps: string, step = 0) => corpus.dropped({ path: workspace.at("s.recipe.yaml"), text: head + steps, step, limit: 1000 });
const rows = (list: readonly object[]) => {
  workspace = new Workspace();
  workspace.rows("s.jsonl", list);
};

describe("where", () => {
  it("drops rows for which it is false or NULL, and says which", async () => {
    rows([{ text: "a", n: 1 }, { text: "b", n: 5 }, { text: "c" }]);
    const result = await counts('  - where: "n > 3"\n');
    expect(result.steps[0]).toMatchObject({ in: 3, out: 1, reasons: [{ reason: "predicate is NULL", rows: 1 }, { reason: "predicate is false", rows: 1 }] });
    expect((await dropped('  - where: "n > 3"\n')).map(({ text, effect, fileRow, reason }) => [text, effect, fileRow, reason])).toEqual([["a", "dropped", 0, "predicate is false"], ["c", "dropped", 2, "predicate is NULL"]]);
    const first = await corpus.dropped({ path: workspace.at("s.recipe.yaml"), text: `${head}  - where: "n > 3"\n`, step: 0, limit: 1 });
    expect(first.map((receipt) => receipt.text)).toEqual(["a"]);
  });

  it("sees derived columns and the file's own names of mapped ones", async () => {
    rows([{ question: "How many?", answer: "Three in all." }, { question: "Why?", answer: "So." }]);
    const result = await counts('  - where: "words > 2 and length(question) > 5 and chars < 100 and pii = \'none\' and prompt = question"\n');
    expect(result.diagnostics.filter((diagnostic) => diagnostic.severity === "error")).toEqual([]);
    expect(result.steps[0]?.out).toBe(1);
  });

  it.each([
    ["words >", "sql_syntax", /at character \d+/],
    ["lenght > 3", "unknown_column", /no column 'lenght'/],
    ["text::INTEGER > 1", "sql_error", /Conversion/],
    ["(SELECT count(*) FROM read_text('/etc/hostname')) > 0", "sql_no_files", /reads a file/],
    ["true) UNION SELECT (1", "sql_syntax", /more than one expression|syntax/],
    ["sum(n) > 1", "sql_error", /GROUP BY/],
  ])("'%s' is the user's error at the step's line", async (predicate, code, message) => {
    rows([{ text: "a", n: 1 }]);
    const steps = `  - where: ${JSON.stringify(predicate)}\n`;
    const result = await counts(steps);
    const diagnostic = result.diagnostics.find((candidate) => candidate.severity === "error");
    expect(diagnostic).toMatchObject({ code });
    expect(diagnostic?.message).toMatch(message);
    expect((head + steps).slice(diagnostic?.start).startsWith("- where")).toBe(true);
    const problem = await problemOf(corpus.build({ path: workspace.at("s.recipe.yaml"), text: head + steps }));
    expect(problem).toMatchObject({ blame: "user", code, file: workspace.at("s.recipe.yaml"), line: 5 });
  });
});

describe("steps", () => {
  it("with 'only' leave the other sources alone", async () => {
    workspace = new Workspace();
    workspace.rows("a.jsonl", [{ text: "x" }, { text: "xx" }]);
    workspace.rows("b.jsonl", [{ text: "x" }, { text: "xx" }]);
    const text = 'tillage: 1\nsources: { a: { files: a.jsonl }, b: { files: b.jsonl } }\nsteps:\n  - where: "length(text) > 1"\n    only: [a]\n';
    const left = await corpus.dropped({ path: workspace.at("r.recipe.yaml"), text, step: 0, limit: 10 });
    expect(left.map((receipt) => [receipt.source, receipt.text])).toEqual([["a", "x"]]);
  });

  it("exact dedup keeps the first, or the longest when normalised texts are equal", async () => {
    rows([{ text: "Same words here" }, { text: "same  words, here!!" }, { text: "Same words here" }]);
    expect((await dropped("  - dedup: { exact: exact }\n")).map((receipt) => receipt.fileRow)).toEqual([2]);
    expect((await dropped("  - dedup: { exact: normalized }\n")).map((receipt) => receipt.fileRow)).toEqual([1, 2]);
    expect((await dropped("  - dedup: { exact: normalized, keep: longest }\n")).map((receipt) => receipt.fileRow)).toEqual([0, 2]);
  });

  it("near dedup finds a large group of copies, each differing a little, and names the row that stays", async () => {
    const base = Array.from({ length: 80 }, (_, i) => `word${i}`);
    rows([...Array.from({ length: 150 }, (_, i) => ({ text: [...base, `tail${i}`].join(" ") })), { text: "something else entirely that shares nothing with the others at all" }]);
    const left = await dropped("  - dedup: { near: { threshold: 0.8 }, keep: first }\n");
    expect(left.length).toBe(149);
    expect(new Set(left.map((receipt) => receipt.matchedRowId)).size).toBe(1);
    expect(left[0]?.matchedText).toContain("word0 word1");
    expect(Number(left[0]?.value)).toBeCloseTo(76 / 78, 3);
  });

  it("near dedup takes rows as one group that are alike only through a third", async () => {
    const words = Array.from({ length: 60 }, (_, i) => `w${i}`);
    const changed = (from: number) => words.map((word, i) => (i >= from && i < from + 4 ? `${word}x` : word)).join(" ");
    rows([{ text: changed(0) }, { text: changed(56) }, { text: words.join(" ") }]);
    expect((await dropped("  - dedup: { near: { threshold: 0.8, permutations: 256 }, keep: first }\n")).map((receipt) => receipt.fileRow)).toEqual([1, 2]);
  });

  it("near dedup finds, in a group too large to compare all with all, the rows that are like its first and not like each other", async () => {
    const words = Array.from({ length: 400 }, (_, i) => `w${i}`);
    const texts = Array.from({ length: 130 }, (_, i) => words.map((word, j) => (i > 0 && j === 3 * i ? `${word}x` : word)).join(" "));
    rows(texts.map((text) => ({ text })));
    const left = await dropped("  - dedup: { near: { threshold: 0.96, permutations: 256 }, keep: first }\n");
    expect(left.length).toBe(129);
  });

  it("near dedup agrees with the exact Jaccard similarity of all pairs", async () => {
    const words = (seed: number) => Array.from({ length: 60 }, (_, j) => `v${seed}n${j}`);
    const changed = (seed: number, changes: number) => words(seed).map((word, j) => (j % 60 < changes ? `${word}c` : word)).join(" ");
    rows(Array.from({ length: 12 }, (_, i) => [{ text: changed(i, 0) }, { text: changed(i, i) }]).flat());
    const grams = (text: string) => new Set(text.split(" ").flatMap((_, i, all) => (i + 5 <= all.length ? [all.slice(i, i + 5).join(" ")] : [])));
    const jaccard = (a: string, b: string) => {
      const [x, y] = [grams(a), grams(b)];
      const both = [...x].filter((gram) => y.has(gram)).length;
      return both / (x.size + y.size - both);
    };
    const expected = Array.from({ length: 12 }, (_, i) => i).filter((i) => jaccard(changed(i, 0), changed(i, i)) >= 0.8).map((i) => 2 * i + 1);
    const left = await dropped("  - dedup: { near: { threshold: 0.8, permutations: 256 }, keep: first }\n");
    expect(left.map((receipt) => receipt.fileRow)).toEqual(expected);
    expect(expected.length).toBeGreaterThan(2);
    expect(expected.length).toBeLessThan(12);
  });

  it("language and quality name their reasons and values, and a rule can be turned off", async () => {
    rows([{ text: "12345 67890" }, { text: "Der Hund läuft schnell durch den großen Wald, und niemand weiß, wohin er heute Abend gehen will." }, { text: "The dog runs quickly through the large forest, and nobody knows where it wants to go tonight." }]);
    const left = await dropped("  - language: { keep: [en], min_confidence: 0.5 }\n");
    expect(left.map(({ fileRow, reason }) => [fileRow, reason])).toEqual([[0, "no language"], [1, "language de"]]);
    const quality = await dropped("  - quality: { preset: gopher }\n");
    expect(quality.map(({ reason, value }) => [reason, value])).toEqual([["min_words", "2.0"], ["min_words", "17.0"], ["min_words", "17.0"]].map(([reason]) => [reason, expect.stringMatching(/^\d+(\.0)?$/) as string]));
    const relaxed = await dropped("  - quality: { preset: gopher, min_words: off }\n");
    expect(relaxed.map((receipt) => receipt.reason)).not.toContain("min_words");
    expect(relaxed.length).toBeGreaterThan(0);
  });

  it("language drops rows of a kept language that are too uncertain, with how certain they are", async () => {
    rows([{ text: "The dog runs quickly through the large forest, and nobody knows where it wants to go tonight." }, { text: "Taxi hotel" }]);
    const left = await dropped("  - language: { keep: [en, pt], min_confidence: 0.9 }\n");
    expect(left.map(({ fileRow, reason }) => [fileRow, reason])).toEqual([[1, "uncertain language"]]);
    expect(Number(left[0]?.value)).toBeLessThan(0.9);
    expect(await dropped("  - language: { keep: [en, pt], min_confidence: 0.3 }\n")).toEqual([]);
  });

  it("pii drops, flags or redacts only the kinds asked for", async () => {
    rows([{ text: "Write to a@example.org" }, { text: "Server at 192.168.10.20" }, { text: "Nothing here" }]);
    expect((await counts("  - pii: { action: drop, kinds: [email] }\n")).steps[0]).toMatchObject({ out: 2, changed: 0 });
    const flagged = await dropped("  - pii: { action: flag }\n");
    expect(flagged.map(({ effect, reason, value }) => [effect, reason, value])).toEqual([["flagged", "email", "1"], ["flagged", "ip", "1"]]);
    expect((await counts("  - pii: { action: flag }\n")).steps[0]).toMatchObject({ in: 3, out: 3, changed: 0 });
    expect((await counts("  - pii: { action: redact, kinds: [ip] }\n")).steps[0]).toMatchObject({ out: 3, changed: 1 });
  });

  it("pii redacts prompts and completions, and leaves the kinds alone that were not asked for", async () => {
    rows([{ prompt: "Who is a@example.org at 192.168.10.20?", completion: "Ask b@example.org." }]);
    const built = await corpus.build({ path: workspace.at("s.recipe.yaml"), text: `${head}  - pii: { action: redact, kinds: [email] }\n` });
    const [row] = await datasetRows(corpus, built.split[0]?.files ?? []);
    expect([row?.prompt, row?.completion]).toEqual(["Who is <EMAIL> at 192.168.10.20?", "Ask <EMAIL>."]);
    // The receipt tells what was there before.
    expect((await corpus.receipts({ dataset: built.dataset, limit: 10 })).map((receipt) => receipt.text)).toEqual(["Who is a@example.org at 192.168.10.20?\nAsk b@example.org."]);
  });

  it("decontaminate wants as many words in a row as it says, names the prompt that shares most, and each step has its own evaluations", async () => {
    workspace = new Workspace();
    const words = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name}${i}`).join(" ");
    workspace.rows("a.jsonl", [{ text: words("a", 20) }, { text: `${words("a", 6)} ${words("z", 6)}` }]);
    workspace.rows("b.jsonl", [{ text: words("b", 20) }]);
    workspace.rows("s.jsonl", [{ text: `so ${words("a", 5)} and no more` }, { text: `so ${words("a", 12)} too` }, { text: `so ${words("b", 12)} too` }]);
    const steps = "  - decontaminate: { against: a.jsonl, ngram: 6 }\n  - decontaminate: { against: b.jsonl, ngram: 6 }\n";
    expect((await dropped(steps, 0)).map(({ fileRow, matchedRowId }) => [fileRow, matchedRowId])).toEqual([[1, "a.jsonl#1"]]);
    expect((await dropped(steps, 1)).map(({ fileRow, matchedRowId }) => [fileRow, matchedRowId])).toEqual([[2, "b.jsonl#1"]]);
  });

  it("decontaminate looks for a short prompt as a whole, and for a data file's prompts", async () => {
    workspace = new Workspace("leak.eval.yaml");
    workspace.rows("s.jsonl", [{ text: "He asked: who rang the brass gong? Nobody knew." }, { text: "Who rang the bell?" }, { text: "What is the sum of all the even numbers from two to twenty, both included, please?" }]);
    workspace.rows("test.jsonl", [{ question: "What is the sum of all the even numbers from two to twenty, both included, please?", answer: "110" }]);
    const left = await dropped("  - decontaminate: { against: [leak.eval.yaml, test.jsonl], ngram: 13 }\n");
    expect(left.map(({ fileRow, matchedRowId }) => [fileRow, matchedRowId])).toEqual([[0, "leak.eval.yaml#short"], [2, "test.jsonl#1"]]);
  });

  it("a broken evaluation file is an error with its line", async () => {
    rows([{ text: "a" }]);
    workspace.write("e.eval.yaml", "tillage: 1\nprompts:\n  - id: a\n    prompt: fine\n  - id: b\n");
    const problem = await problemOf(corpus.build({ path: workspace.at("r.recipe.yaml"), text: `${head}  - decontaminate: { against: [e.eval.yaml] }\n` }));
    expect(problem).toMatchObject({ blame: "user", code: "invalid_eval", file: workspace.at("e.eval.yaml"), line: 5 });
  });
});

describe("live counts", () => {
  it("follow the text: later steps see what earlier ones left, also when a step is changed or taken away", async () => {
    rows(Array.from({ length: 20 }, (_, i) => ({ text: `text number ${i}`, n: i })));
    const a = '  - where: "n < 15"\n';
    const b = '  - where: "n % 2 = 0"\n';
    expect((await counts(a + b)).steps.map((step) => step.out)).toEqual([15, 8]);
    expect((await counts(a)).steps.map((step) => step.out)).toEqual([15]);
    expect((await counts(b + a)).steps.map((step) => step.out)).toEqual([10, 8]);
    expect((await counts(a + '  - where: "n > 13"\n')).steps.map((step) => step.out)).toEqual([15, 1]);
    workspace.rows("s.jsonl", [{ text: "only one", n: 2 }]);
    expect((await counts(a + b)).steps.map((step) => step.in)).toEqual([1, 1]);
  });

  it("run a step again when it is to apply to other sources", async () => {
    workspace = new Workspace();
    for (const name of ["a", "b"]) workspace.rows(`${name}.jsonl`, [{ text: "x" }, { text: "xx" }]);
    const out = async (only: string) => (await corpus.counts({ path: workspace.at("r.recipe.yaml"), text: `tillage: 1\nsources: { a: { files: a.jsonl }, b: { files: b.jsonl } }\nsteps:\n  - where: "length(text) > 1"\n${only}` })).steps.map((step) => step.out);
    expect([await out("    only: [a]\n"), await out("")]).toEqual([[3], [2]]);
  });

  it("keep the counts of the steps before a broken one", async () => {
    rows([{ text: "a", n: 1 }, { text: "b", n: 2 }]);
    const result = await counts('  - where: "n > 1"\n  - where: "nope > 1"\n');
    expect(result.steps.map((step) => step.out)).toEqual([1]);
    expect(result.diagnostics.map((diagnostic) => diagnostic.code)).toContain("unknown_column");
  });

  it("tell of personal data and duplicates, with fixes that give a valid recipe", async () => {
    rows([{ text: "Write to a@example.org" }, { text: "the same" }, { text: "The same." }]);
    const text = "tillage: 1\nsources:\n  s: { files: s.jsonl }\n";
    const result = await corpus.counts({ path: workspace.at("s.recipe.yaml"), text });
    expect(result.diagnostics.map((diagnostic) => diagnostic.code)).toEqual(["pii", "duplicates"]);
    const fix = result.diagnostics[0]?.fixes[0];
    const mended = text.slice(0, fix?.start) + (fix?.newText ?? "") + text.slice(fix?.end);
    const after = await corpus.counts({ path: workspace.at("s.recipe.yaml"), text: mended });
    expect(after.steps.map((step) => [step.step, step.changed])).toEqual([["pii redact", 1]]);
  });

  it("warn of a step that leaves a tenth or less", async () => {
    rows(Array.from({ length: 20 }, (_, i) => ({ text: `text number ${i}`, n: i })));
    const codes = async (most: number) => (await counts(`  - where: "n < ${most}"\n`)).diagnostics.map((diagnostic) => [diagnostic.severity, diagnostic.code]);
    expect(await codes(2)).toEqual([["warning", "drops_most"]]);
    expect(await codes(3)).toEqual([]);
  });

  it("are for an unknown key a diagnostic with a fix, not an error", async () => {
    rows([{ text: "a" }]);
    const result = await counts("  - dedup: { exat: normalized }\n");
    expect(result.diagnostics[0]).toMatchObject({ code: "unknown_key", severity: "error" });
    expect(result.diagnostics[0]?.message).toContain("Did you mean 'exact'?");
  });
});
