import { describe, expect, it } from "vitest";
import { addStep, completionsAt, describeAt, editDistance, nearest, parseRecipe, parseShare, parseTokens, recipeError, setBudget, setMaxEpochs, setReading, setShare, setShares, stepDefinitions, stepRanges } from "../../../src/core/recipe";
import { fieldAt } from "../../../src/core/recipe/issues";
import { recipeSchema } from "../../../src/core/recipe/schema";

const whole = `# what the model reads
tillage: 1
sources:
  gsm8k: { files: data/gsm8k_train.jsonl, as: prompt/completion, map: { prompt: question, completion: answer } }
  wiki:  { files: "data/wiki/*.parquet", as: text }   # the encyclopedia
steps:
  - where: "length(text) between 200 and 20000"       # any SQL predicate
  - quality: { preset: gopher, min_words: 20 }
    only: [wiki]
  - language: { keep: [en], min_confidence: 0.7 }
  - pii: { action: redact, kinds: [email, ip] }
  - dedup: { exact: normalized }
  - dedup: { near: { threshold: 0.8, permutations: 128, ngram: 5 }, keep: longest }
  - decontaminate: { against: [evals/*.eval.yaml, data/gsm8k_test.jsonl], ngram: 13 }
mix:
  budget: 20M tokens
  tokenizer: models/base
  shares: { gsm8k: 60%, wiki: 40% }  # of tokens
  max_epochs: 4
split: { train: 98%, valid: 2%, by: source }
seed: 17
`;
const errorOf = (text: string) => parseRecipe(text).problems.find((problem) => problem.severity === "error");

describe("parseRecipe", () => {
  it("reads every part", () => {
    const { recipe, problems } = parseRecipe(whole);
    expect(problems).toEqual([]);
    expect(recipe?.steps.map((step) => step.title)).toEqual(["where", "quality gopher", "language", "pii redact", "dedup exact", "dedup near", "decontaminate"]);
    expect(recipe?.steps[1]).toMatchObject({ key: "quality", config: { preset: "gopher", thresholds: { min_words: 20 } }, only: ["wiki"], line: 8 });
    expect(recipe?.sources[1]).toMatchObject({ name: "wiki", files: ["data/wiki/*.parquet"], as: "text", line: 5 });
    expect(recipe?.mix).toEqual({ budget: 20_000_000, tokenizer: "models/base", shares: { gsm8k: 0.6, wiki: 0.4 }, by: "source", maxEpochs: 4 });
    expect(recipe?.split).toEqual({ train: 0.98, valid: 0.02, by: "source" });
    expect(recipe?.seed).toBe(17);
  });

  it("gives defaults where nothing is written", () => {
    const { recipe } = parseRecipe("tillage: 1\nsources: { a: { files: a.jsonl } }\nsteps:\n  - dedup: { near: {} }\n  - pii: {}\n");
    expect(recipe?.steps[0]).toMatchObject({ config: { near: { threshold: 0.8, permutations: 128, ngram: 5 }, keep: "longest" } });
    expect(recipe?.steps[1]).toMatchObject({ config: { action: "redact", kinds: ["email", "ip", "phone", "card", "iban", "secret"] } });
    expect(recipe?.split).toEqual({ train: 1, valid: 0, by: "source" });
  });

  it.each([
    ["seed: 17", "sede: 17", "sede", /Unknown key 'sede' in the recipe\. Did you mean 'seed'\?/],
    ["files: data/gsm8k", "file: data/gsm8k", "file", /Unknown key 'file' in 'gsm8k' of 'sources'\. Did you mean 'files'\?/],
    ["- quality:", "- qualty:", "qualty", /Unknown step 'qualty'\. Did you mean 'quality'\?/],
    ["min_words: 20", "min_word: 20", "min_word", /Did you mean 'min_words'\?/],
    ["threshold: 0.8", "treshold: 0.8", "treshold", /Unknown key 'treshold' in 'near' of 'dedup'\. Did you mean 'threshold'\?/],
    ["exact: normalized", "exat: normalized", "exat", /Did you mean 'exact'\?/],
    ["max_epochs: 4", "max_epoch: 4", "max_epoch", /Did you mean 'max_epochs'\?/],
  ])("names an unknown key and the nearest known one: %s -> %s", (from, to, at, message) => {
    const text = whole.replace(from, to);
    const problems = parseRecipe(text).problems;
    expect(problems.length).toBe(1);
    expect(problems[0]?.message).toMatch(message);
    expect(text.slice(problems[0]?.start, problems[0]?.end)).toBe(at);
    const fix = problems[0]?.fixes[0];
    const mended = text.slice(0, fix?.start) + (fix?.newText ?? "") + text.slice(fix?.end);
    expect(parseRecipe(mended).problems).toEqual([]);
  });

  it.each([
    ["tillage: 1", "tillage: 2", /'tillage' should be 1/, 2],
    ["min_confidence: 0.7", "min_confidence: 7", /'min_confidence' of 'language' should be at most 1/, 10],
    ["keep: [en]", "keep: [english]", /two-letter/, 10],
    ["kinds: [email, ip]", "kinds: [email, address]", /one of email, ip, phone, card, iban/, 11],
    ["preset: gopher", "preset: goofer", /'preset' of 'quality' should be one of gopher, c4, fineweb/, 8],
    ["ngram: 13", "ngram: many", /'ngram' of 'decontaminate' should be a (whole )?number/, 14],
    ["budget: 20M tokens", "budget: plenty", /'budget' of 'mix' should be a number of tokens/, 16],
    ["gsm8k: 60%, wiki: 40%", "gsm8k: 60%, wiki: 60%", /120%/, 18],
    ["gsm8k: 60%, wiki: 40%", "gsm8k: 60%, wikki: 40%", /'wikki' in 'shares' is no source of this recipe\. Did you mean 'wiki'\?/, 18],
    ["gsm8k: 60%, wiki: 40%", "gsm8k: 0%, wiki: 0%", /all 0%/, 18],
    ["  - dedup: { exact: normalized }", "  - dedup: { exact: normalized }\n    pii: {}", /Step 5 has dedup and pii: write a dash before each/, 12],
    ["  - dedup: { exact: normalized }", "  - only: [wiki]", /Step 5 has no step beside 'only'/, 12],
    ["only: [wiki]", "only: [wikis]", /Did you mean 'wiki'\?/, 9],
    ["train: 98%, valid: 2%", "train: 98%, valid: 12%", /110%/, 20],
    ["  - dedup: { exact: normalized }", "  - dedup: {}", /one of exact, near and spans/, 12],
    ["  - dedup: { exact: normalized }", "  - just text", /Step 5 should be one of/, 12],
    ["  gsm8k: { files: data/gsm8k_train.jsonl,", "  gsm8k: {", /'files' of 'gsm8k' is missing/, 4],
    ["  - dedup: { exact: normalized }", "  - dedup: { exact: normalized", /not valid YAML/, 13],
  ])("says what is wrong and where: %s -> %s", (from, to, message, line) => {
    const problem = errorOf(whole.replace(from, to));
    expect(problem?.message).toMatch(message);
    expect(problem?.line).toBe(line);
  });

  it("warns of shares that do not fill 100 %, and is not stopped by it", () => {
    const { recipe, problems } = parseRecipe(whole.replace("gsm8k: 60%", "gsm8k: 50%"));
    expect(recipe).toBeDefined();
    expect(problems.map((problem) => [problem.severity, problem.code])).toEqual([["warning", "shares"]]);
  });

  it("becomes one error for the command line, with file and line", () => {
    const { problems } = parseRecipe(whole.replace("seed", "sede").replace("- quality", "- qualty"));
    expect(recipeError(problems, "a.recipe.yaml").problem).toMatchObject({ blame: "user", code: "unknown_key", file: "a.recipe.yaml", line: 8, remedy: "Change 'qualty' to 'quality'." });
  });

  it.each(["", "# only a comment\n", "just text", "- a\n- b\n", "\t\t", "steps:\n  -\n", "tillage: 1\nsources:\n", "sources: { a: 5 }", "a: [1", "tillage: 1\nsources: { a: { files: [] } }\n"])("does not break on %j", (text) => {
    const { recipe, problems } = parseRecipe(text);
    expect(recipe).toBeUndefined();
    expect(problems.length).toBeGreaterThan(0);
    for (const problem of problems) expect(problem.end).toBeLessThanOrEqual(text.length);
  });
});

describe("what the editor knows", () => {
  it("has a text for every key of every schema", () => {
    const shapeOf = (schema: unknown): string[] => Object.keys((schema as { shape?: object }).shape ?? {});
    expect(Object.keys(fieldAt([])?.fields ?? {})).toEqual(shapeOf(recipeSchema));
    for (const part of ["mix", "curriculum", "split"] as const) {
      const inner = (recipeSchema.shape[part] as unknown as { unwrap(): { unwrap(): { shape?: object; in?: unknown } } }).unwrap().unwrap();
      expect(Object.keys(fieldAt([part])?.fields ?? {}), part).toEqual(shapeOf("in" in inner ? inner.in : inner));
    }
    const synthetic = (recipeSchema.shape.mix.unwrap().unwrap().shape.synthetic as unknown as { unwrap(): unknown }).unwrap();
    expect(Object.keys(fieldAt(["mix", "synthetic"])?.fields ?? {})).toEqual(shapeOf(synthetic));
    for (const step of Object.values(stepDefinitions)) {
      expect(fieldAt(["steps", 0, step.key])?.doc.length).toBeGreaterThan(40);
      let schema = step.schema as unknown as { in?: unknown };
      while (schema.in !== undefined) schema = schema.in as typeof schema;
      expect(Object.keys(fieldAt(["steps", 0, step.key])?.fields ?? {}).sort(), step.key).toEqual(shapeOf(schema).sort());
    }
  });

  it("offers snippets that are valid once filled in", () => {
    for (const step of Object.values(stepDefinitions)) {
      for (const snippet of step.snippets) {
        const filled = snippet.insert.replace(/\$\{\d+\|([^,|]*)[^}]*\|\}/g, "$1").replace(/\$\{\d+:([^}]*)\}/g, "$1");
        expect(parseRecipe(`tillage: 1\nsources: { a: { files: a.jsonl } }\nsteps:\n  - ${filled}\n`).problems, filled).toEqual([]);
      }
    }
  });

  it.each([
    ["tillage: 1\nsources: { a: { files: a.jsonl } }\nsteps:\n  - |", Object.values(stepDefinitions).flatMap((step) => step.snippets.map((snippet) => snippet.label))],
    ["steps:\n  - pii: { action: |", ["redact", "drop", "flag"]],
    ["steps:\n  - pii: { kinds: [em|", ["email", "ip", "phone", "card", "iban", "secret"]],
    ["steps:\n  - language: { keep: [en], m|", ["min_confidence"]],
    ["sources:\n  a:\n    files: a.jsonl\n    |", ["as", "map", "rows", "split", "config"]],
    ["sources:\n  a:\n    as: te|", ["text", "prompt/completion", "chat", "preference", "verifiable"]],
    ["mix:\n  bu|", ["budget", "tokenizer", "shares", "by", "max_epochs", "synthetic"]],
    ["mix:\n  synthetic: { | }", ["column", "max_share", "values"]],
    ["curriculum: { order: | }", ["shuffle", "length", "perplexity", "column"]],
    ["steps:\n  - weight: { | }", ["by", "values", "where", "factor"]],
    ["tillage: 1\nspl|", ["sources", "steps", "mix", "curriculum", "split", "seed"]],
    ["steps:\n  - dedup: { near: { | } }", ["threshold", "permutations", "ngram"]],
    ["steps:\n  - pii: {}\n    |", ["only"]],
  ])("completes %j", (marked, labels) => {
    const offset = marked.indexOf("|");
    expect(completionsAt(marked.replace("|", ""), offset).items.map((item) => item.label)).toEqual(labels);
  });

  it("explains what stands under the cursor", () => {
    const hover = (word: string) => describeAt(whole, whole.indexOf(word) + 1);
    expect(hover("permutations")?.markdown).toContain("MinHash");
    expect(hover("min_words")?.markdown).toContain("Rae et al. 2021");
    expect(hover("budget")?.markdown).toContain("Tokens");
    expect(hover("# what")).toBeUndefined();
    const span = hover("decontaminate");
    expect(whole.slice(span?.start, span?.end)).toBe("decontaminate");
  });

  it("finds the steps also in half-typed text", () => {
    expect(stepRanges(whole).map((range) => range.step)).toEqual(["where", "quality gopher", "language", "pii redact", "dedup exact", "dedup near", "decontaminate"]);
    const first = stepRanges(whole)[1];
    expect(whole.slice(first?.start, first?.end)).toMatch(/^quality: .*\n {4}only: \[wiki\]/);
    expect(stepRanges("steps:\n  - where: \"a > 1\"\n  - dedup: { ne\nmix:").map((range) => range.step)).toEqual(["where", "dedup"]);
  });
});

describe("editing the text", () => {
  it("changes only the characters of a share, a budget, an epoch limit", () => {
    expect(setShare(whole, "gsm8k", 0.25)).toBe(whole.replace("gsm8k: 60%", "gsm8k: 25%"));
    expect(setShares(whole, { gsm8k: 0.333, wiki: 0.667 })).toBe(whole.replace("gsm8k: 60%, wiki: 40%", "gsm8k: 33.3%, wiki: 66.7%"));
    expect(setBudget(whole, 1_500_000)).toBe(whole.replace("20M tokens", "1.5M tokens"));
    expect(setMaxEpochs(whole, 2.5)).toBe(whole.replace("max_epochs: 4", "max_epochs: 2.5"));
  });

  const base = "tillage: 1\nsources:\n  a: { files: a.jsonl }  # one\n  b-2:\n    files: b.jsonl\n";
  it.each([
    ["no mix", base],
    ["an empty mix", `${base}mix:\n`],
    ["a mix without shares", `${base}mix:\n  budget: 1k tokens\nseed: 1\n`],
    ["shares in block style", `${base}mix:\n  shares:\n    a: 10%   # few\nseed: 1\n`],
    ["shares in one line", `${base}mix: { shares: { a: 10% } }\nseed: 1\n`],
    ["a mix in one line without shares", `${base}mix: { budget: 1k }\n`],
    ["empty shares", `${base}mix:\n  shares: {}\nseed: 1\n`],
    ["shares without a value", `${base}mix:\n  shares:\nseed: 1\n`],
    ["a text without a line break at its end", `${base}seed: 1`],
  ])("adds what is not there yet: %s", (_name, text) => {
    const after = setBudget(setShares(text, { a: 0.3, "b-2": 0.7 }), 2000);
    const { recipe, problems } = parseRecipe(after);
    expect(problems).toEqual([]);
    expect(recipe?.mix).toMatchObject({ shares: { a: 0.3, "b-2": 0.7 }, budget: 2000 });
    expect(after).toContain("# one");
    const lines = after.split("\n");
    for (const line of text.split("\n").filter((candidate) => !/mix|shares|10%|budget|seed/.test(candidate))) expect(lines).toContain(line);
  });

  it.each([
    ["after the last step", `${base}steps:\n  - pii: {}  # all kinds\n\nmix: { budget: 1k }\n`],
    ["after a step of several lines", `${base}steps:\n  - pii:\n      action: drop\n    only: [a]\n# end\nseed: 1\n`],
    ["in less indented lists", `${base}steps:\n- pii: {}\nseed: 1\n`],
    ["to steps without a value", `${base}steps:\nseed: 1\n`],
    ["to an empty list", `${base}steps: []\nseed: 1\n`],
    ["to a list in one line", `${base}steps: [{ pii: {} }]\nseed: 1\n`],
    ["where there are no steps", base],
    ["where there are no steps and no last line break", base.trimEnd()],
  ])("adds a step %s", (_name, text) => {
    const before = parseRecipe(text).recipe?.steps.length ?? 0;
    const after = addStep(text, 'where: "words > 20"');
    const { recipe, problems } = parseRecipe(after);
    expect(problems).toEqual([]);
    expect(recipe?.steps.length).toBe(before + 1);
    expect(recipe?.steps.at(-1)).toMatchObject({ key: "where", config: "words > 20" });
    const scoped = parseRecipe(addStep(after, '- where: "chars > 1"\n  only: [a]'));
    expect(scoped.problems).toEqual([]);
    expect(scoped.recipe?.steps.at(-1)).toMatchObject({ config: "chars > 1", only: ["a"] });
    for (const line of text.split("\n").filter((candidate) => !candidate.startsWith("steps"))) expect(after.split("\n")).toContain(line);
  });
});

describe("quantities and words", () => {
  it.each([["60%", 0.6], ["12.5 %", 0.125], [0.4, 0.4], ["101%", undefined], [2, undefined], ["x", undefined]])("parseShare(%j)", (value, share) => {
    expect(parseShare(value)).toBe(share);
  });
  it.each([["20M tokens", 2e7], ["300k", 3e5], ["1_000", 1000], ["1.5B", 1.5e9], [42, 42], ["none", undefined], [-1, undefined]])("parseTokens(%j)", (value, tokens) => {
    expect(parseTokens(value)).toBe(tokens);
  });
  it("finds the nearest word, and none for one that is far away", () => {
    expect(editDistance("kitten", "sitting")).toBe(3);
    expect(nearest("qualty", ["quality", "pii"])).toBe("quality");
    expect(nearest("zzzzzz", ["quality", "pii"])).toBeUndefined();
  });
});

describe("setReading", () => {
  const after = (source: string, shape: string, columns: Record<string, string>) => setReading(`tillage: 1\nsources:\n  a: ${source}\n  b: { files: b.jsonl }\n`, "a", { shape, columns });

  it("writes the shape, and the columns that are called otherwise, beside what is there", () => {
    expect(after("{ files: a.jsonl }", "prompt/completion", { prompt: "question", completion: "answer" })).toContain("  a: { files: a.jsonl, as: prompt/completion, map: { prompt: question, completion: answer } }\n  b:");
    expect(after("\n    files: a.jsonl  # mine", "text", { text: "body" })).toContain("  a: \n    files: a.jsonl  # mine\n    as: text\n    map: { text: body }\n  b:");
    expect(after("{ files: a.jsonl }", "text", { text: "text" })).toContain("  a: { files: a.jsonl, as: text }\n");
  });

  it("takes the place of what was said before", () => {
    const text = after("{ files: a.jsonl, as: text, map: { text: body } }", "verifiable", { prompt: "prompt", answer: "answer" });
    expect(text).toContain("a: { files: a.jsonl, as: verifiable, map: { prompt: prompt, answer: answer } }");
    expect(parseRecipe(text).recipe?.sources[0]).toMatchObject({ as: "verifiable", map: { prompt: "prompt", answer: "answer" } });
  });

  it("quotes names that YAML would read otherwise", () => {
    const text = after("{ files: a.jsonl }", "text", { text: "the text: all" });
    expect(parseRecipe(text).recipe?.sources[0]?.map).toEqual({ text: "the text: all" });
  });
});
