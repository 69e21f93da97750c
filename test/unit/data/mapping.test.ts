import { afterAll, afterEach, describe, expect, it } from "vitest";
import { detect, rolesOf, shapeColumns, type Holds } from "../../../src/core/dataset";
import { createLocalCorpus } from "../../../src/data/local";
import type { Diagnostic } from "../../../src/protocol/corpus";
import { problemOf, Workspace } from "./support";

const corpus = createLocalCorpus();
let workspace = new Workspace();
afterEach(() => workspace.remove());
afterAll(() => corpus.dispose());

const recipe = (source = "{ files: r.jsonl }") => `tillage: 1\nsources:\n  r: ${source}\n`;
const counts = (text: string) => corpus.counts({ path: workspace.at("r.recipe.yaml"), text });
const applied = (text: string, fix: Diagnostic["fixes"][number] | undefined) => (fix ? text.slice(0, fix.start) + fix.newText + text.slice(fix.end) : "");
const rows = (list: readonly object[], name = "r.jsonl"): void => {
  workspace = new Workspace();
  workspace.rows(name, list);
};
const sums = [{ prompt: "2 + 2?", completion: "It is 4.", answer: "4" }, { prompt: "3 + 4?", completion: null, answer: "7" }];

describe("how a source is read", () => {
  it("is said with the counts and by a build, with the reason and what else it may be", async () => {
    rows(sums);
    const reading = { shape: "prompt/completion", columns: { prompt: "prompt", completion: "completion" }, confidence: "unsure", by: "columns", alternatives: [{ shape: "verifiable", columns: { prompt: "prompt", answer: "answer" } }] };
    expect((await counts(recipe())).sources[0]?.reading).toMatchObject(reading);
    const file = workspace.write("r.recipe.yaml", recipe());
    expect((await corpus.build({ path: file })).sources[0]?.reading).toMatchObject(reading);
    // What was built already says it too.
    expect(await corpus.build({ path: file })).toMatchObject({ built: false, sources: [{ reading }] });
  });

  it("is a warning where it is not sure, whose fixes say it in the recipe", async () => {
    rows(sums);
    const found = (await counts(recipe())).diagnostics.find((problem) => problem.code === "unsure_shape");
    expect(found).toMatchObject({ severity: "warning", message: expect.stringContaining("It may be verifiable (prompt, answer) as well.") as unknown });
    expect(found?.fixes.map((fix) => fix.title)).toEqual(["Read it as prompt/completion (prompt, completion)", "Read it as verifiable (prompt, answer)"]);
    for (const [i, shape] of ["prompt/completion", "verifiable"].entries()) {
      const text = applied(recipe(), found?.fixes[i]);
      expect(text).toBe(recipe(`{ files: r.jsonl, as: ${shape} }`));
      const after = await counts(text);
      expect(after.diagnostics.filter((problem) => problem.code === "unsure_shape")).toEqual([]);
      expect(after.sources[0]?.reading).toMatchObject({ shape, by: "recipe", confidence: "sure" });
    }
  });

  it("is an error where nothing speaks of a shape, with a fix for each column that may be the text", async () => {
    rows([{ body: "the whole of it", id: 1 }]);
    const found = (await counts(recipe())).diagnostics.find((problem) => problem.code === "unknown_shape");
    expect(found?.fixes.map((fix) => fix.title)).toEqual(["Read it as text (text: body)"]);
    const text = applied(recipe(), found?.fixes[0]);
    expect(text).toBe(recipe("{ files: r.jsonl, as: text, map: { text: body } }"));
    expect(await counts(text)).toMatchObject({ sources: [{ rows: 1 }], diagnostics: [] });
  });

  it("is nobody's guess where the recipe maps columns", async () => {
    rows(sums);
    expect((await counts(recipe("{ files: r.jsonl, map: { prompt: prompt, answer: answer } }"))).sources[0]?.reading).toMatchObject({ by: "recipe", confidence: "sure", shape: "verifiable" });
  });
});

describe("a guess, written down as a map", () => {
  const turns: Holds = (column) => (["messages", "conversations", "turns_before", "turns_after"].includes(column) ? "turns" : column === "label" ? "boolean" : "text");
  it.each([
    [["instruction", "input", "output"]], [["prompt", "completion", "answer"]], [["question", "tests", "answer"]], [["conversations", "system"]], [["messages", "text"]],
    [["prompt", "chosen", "rejected"]], [["instruction", "input", "chosen", "rejected"]], [["chosen", "rejected"]], [["prompt", "completion", "label"]], [["body", "id"]], [["input", "output"]],
  ])("of %j is read as it was", (columns) => {
    const { own, alternatives, ...best } = detect(columns, turns);
    for (const guess of [...(own ? [best] : []), ...alternatives]) {
      if (guess.shape === "table") continue;
      const read = shapeColumns(guess.shape, columns, guess.columns, turns);
      expect("columns" in read && rolesOf(read.columns)).toEqual(guess.columns);
      if (guess === best) expect(read).toEqual({ columns: own });
    }
  });

  it("keeps turns that begin in another column", () => {
    const holds: Holds = (column) => (column === "prompt" || column === "completion" ? "turns" : "text");
    const { own, columns } = detect(["prompt", "completion"], holds);
    expect(own).toMatchObject({ shape: "chat", prompt: "prompt", messages: "completion" });
    expect(shapeColumns("chat", ["prompt", "completion"], columns, holds)).toEqual({ columns: own });
  });

  it("names a column that is not there", () => {
    expect(shapeColumns("prompt/completion", ["q", "a"], { prompt: "q", input: "context", completion: "a" })).toEqual({ missing: "context" });
    expect(shapeColumns("chat", ["messages"], { messages: "messages", system: "s" })).toEqual({ missing: "s" });
  });
});

describe("the mapping of a source's columns", () => {
  const look = (as: "text" | "verifiable" | "prompt/completion" | "chat" | null, map: Record<string, string> = {}, text = recipe()) => corpus.mapping({ path: workspace.at("r.recipe.yaml"), text, source: "r", as, map });

  it("shows the columns with values, and the rows as they would be read, with those that are bad", async () => {
    rows([...sums, { prompt: "5 + 5?", completion: "It is 10.", answer: "10" }]);
    const found = await look(null);
    expect(found).toMatchObject({ files: 1, file: workspace.at("r.jsonl"), whole: true, sampled: 3, bad: 1, read: { shape: "prompt/completion", columns: { prompt: "prompt", completion: "completion" } }, problem: null });
    expect(found.columns.map(({ name, holds, examples }) => [name, holds, examples])).toEqual([["prompt", "text", ["2 + 2?", "3 + 4?", "5 + 5?"]], ["completion", "text", ["It is 4.", "It is 10."]], ["answer", "text", ["4", "7", "10"]]]);
    expect(found.rows.map(({ row, values, fault }) => [row, fault ?? values])).toEqual([[0, { prompt: "2 + 2?", completion: "It is 4." }], [1, "'completion' is missing"], [2, { prompt: "5 + 5?", completion: "It is 10." }]]);
    const other = await look("verifiable");
    expect(other).toMatchObject({ bad: 0, read: { shape: "verifiable", columns: { prompt: "prompt", answer: "answer" } } });
    expect(other.rows[1]?.values).toEqual({ prompt: "3 + 4?", completion: "7" });
    expect((await look("text", { text: "answer" })).rows.map((row) => row.values)).toEqual([{ text: "4" }, { text: "7" }, { text: "10" }]);
  });

  it("says why rows cannot be read, and still shows the columns", async () => {
    rows(sums);
    const found = await look("chat");
    expect(found).toMatchObject({ read: null, rows: [], problem: { code: "missing_column" } });
    expect(found.columns).toHaveLength(3);
    expect(await look("text", { text: "none" })).toMatchObject({ read: null, problem: { code: "missing_column" } });
  });

  it("follows a file that was changed, and the recipe", async () => {
    rows(sums);
    expect((await look(null)).sampled).toBe(2);
    workspace.rows("r.jsonl", [...sums, ...sums]);
    expect((await look(null)).sampled).toBe(4);
    expect(await problemOf(look(null, {}, "tillage: 1\nsources: { other: { files: r.jsonl } }\n"))).toMatchObject({ blame: "user", code: "no_source" });
    expect(await problemOf(look(null, {}, "tillage: 1\nsources: { r: { files: none.jsonl } }\n"))).toMatchObject({ blame: "user" });
  });

  it("of a large file reads its beginning alone", async () => {
    workspace = new Workspace();
    const text = "a text of some words, which is written again and again. ".repeat(300);
    workspace.rows("r.jsonl", Array.from({ length: 1300 }, (_, i) => ({ id: i, text })));
    const found = await look(null);
    expect(found).toMatchObject({ whole: false, bad: 0, read: { shape: "text" } });
    // 16 MB hold 994 of these rows; the last one is cut off, and is no bad row.
    expect(found.sampled).toBe(Math.floor(16 * 1024 ** 2 / Buffer.byteLength(`${JSON.stringify({ id: 999, text })}\n`)));
  });
});
