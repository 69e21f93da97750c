import { readdirSync } from "node:fs";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { Database } from "../../../src/data/duckdb/session";
import { createLocalCorpus } from "../../../src/data/local";
import type { Clause, Facet, Page, Query } from "../../../src/protocol/corpus";
import { problemOf, Workspace } from "./support";

const corpus = createLocalCorpus();
let workspace = new Workspace();
afterEach(() => {
  header = 0;
  return workspace.remove();
});
afterAll(() => corpus.dispose());

const topics = ["sea", "land", "air", null];
const documents = Array.from({ length: 500 }, (_, i) => ({ text: `Document ${i} ${"tells of many things and ".repeat((i % 10) + 1)}${i % 7 === 0 ? "a Harbour" : "a hill"}.`, score: i / 10, topic: topics[i % 4], good: i % 2 === 0 }));

/** Lines above the first row: a CSV file's rows are named by their lines, as JSONL's are. */
let header = 0;

async function opened(format: "jsonl" | "csv" | "parquet") {
  header = format === "csv" ? 1 : 0;
  if (format === "parquet") {
    workspace = new Workspace("small.parquet");
    return corpus.open({ path: workspace.at("small.parquet") });
  }
  workspace = new Workspace();
  if (format === "jsonl") workspace.rows("d.jsonl", documents);
  else workspace.write("d.csv", `text,score,topic,good\n${documents.map((row) => `"${row.text}",${row.score},${row.topic ?? ""},${row.good}`).join("\n")}\n`);
  return corpus.open({ path: workspace.at(`d.${format}`) });
}
const ask = (handle: string, clauses: Clause[], sort?: Query["sort"], limit = 1000): Promise<Page> => corpus.page({ handle, query: { clauses, sort }, offset: 0, limit });
const matching = async (handle: string, clauses: Clause[]) => {
  const page = await ask(handle, clauses);
  expect(page.total).toBe(page.rows.length);
  return page.rows.map((row) => row.row - header);
};
const expected = (accept: (row: (typeof documents)[number], i: number) => boolean) => documents.flatMap((row, i) => (accept(row, i) ? [i] : []));
const facet = (facets: Facet[], column: string) => facets.find((candidate) => candidate.column === column);

describe("rows below lines that cannot be read", () => {
  it("keep their lines, know their neighbours, and the lines say why they are none", async () => {
    workspace = new Workspace();
    const { handle } = await corpus.open({ path: workspace.write("b.jsonl", '{\n{"text":"first"}\n\n{"text":7}\n{"text":"second"}\n[]\n{"text":"third"}\n') });
    const place = async (row: number) => (({ position, previous, next, values }) => [position, previous, next, values.text])(await corpus.detail({ handle, row }));
    expect([await place(1), await place(4), await place(6)]).toEqual([[0, null, 4, "first"], [1, 1, 6, "second"], [2, 4, null, "third"]]);
    expect(await problemOf(corpus.detail({ handle, row: 3 }))).toMatchObject({ code: "no_row", line: 4, message: expect.stringContaining("'text' is not a text") as unknown });
  });
});

describe("columns that are called as ours", () => {
  it("are shown, filtered and built beside them", async () => {
    workspace = new Workspace();
    const rows = [{ text: "a", _pos: 7, _row: 8, _file_row: 9, _json: "j", Text: "other", _n: 1 }, { text: "b", _pos: 6, _row: 5, _file_row: 4, _json: "k", Text: "another", _n: 0 }];
    const file = workspace.rows("c.jsonl", rows);
    const { handle, columns } = await corpus.open({ path: file });
    expect((await corpus.detail({ handle, row: 1 })).values).toEqual({ text: "b", _pos: 6, _row: 5, _file_row: 4, _json: "k", Text_2: '"another"', _n: 0 });
    expect(await matching(handle, [{ kind: "range", column: "_pos", min: 7, max: null }])).toEqual([0]);
    expect(await matching(handle, [{ kind: "range", column: "_row", min: null, max: 5 }])).toEqual([1]);
    expect(await matching(handle, [{ kind: "sql", predicate: "_row = 8 and _pos = 7" }])).toEqual([0]);
    const page = await ask(handle, [], { column: "_pos", descending: false });
    expect(page.rows.map((row) => [row.row, row.cells[columns.findIndex((column) => column.name === "_row")]])).toEqual([[1, 5], [0, 8]]);
    const built = await corpus.build({ path: workspace.write("c.recipe.yaml", "tillage: 1\nsources:\n  c: { files: c.jsonl }\n") });
    const shard = await corpus.open({ path: built.split[0]?.files[0] ?? "" });
    const values = (await Promise.all([0, 1].map((row) => corpus.detail({ handle: shard.handle, row })))).map((detail) => detail.values);
    expect(values.find((row) => row.text === "a")).toMatchObject({ _file_row: 0, file_pos: 7, file_row: 8, file_file_row: 9, file_json: "j", file_n: 1, Text_2: '"other"' });
  });
});

describe("keeping a condition on Alpaca's input", () => {
  it("is refused with what to write: a recipe has no such column", async () => {
    workspace = new Workspace("alpaca.jsonl");
    const { handle } = await corpus.open({ path: workspace.at("alpaca.jsonl") });
    const kept = (predicate: string) => corpus.predicate({ handle, query: { clauses: [{ kind: "sql", predicate }] } });
    for (const predicate of ["input <> ''", 'length("input") > 3', "trim(input)='x'"]) expect(await problemOf(kept(predicate))).toMatchObject({ blame: "user", code: "not_in_recipe" });
    for (const predicate of ["instruction = 'input'", "my_input = 1 or inputs = 2"]) expect((await kept(predicate)).sql).toBe(`(${predicate})`);
  });
});

describe.each(["jsonl", "csv"] as const)("an open %s file", (format) => {
  it("tells its shape, columns and rows", async () => {
    const result = await opened(format);
    expect(result).toMatchObject({ format, shape: "text", rows: 500, badRows: 0 });
    expect(result.columns.map(({ name, kind, derived }) => [name, kind, derived])).toEqual([
      ["text", "text", false], ["score", "number", false], ["topic", "category", false], ["good", "boolean", false],
      ["chars", "number", true], ["words", "number", true], ["language", "category", true], ["quality", "category", true], ["pii", "category", true],
    ]);
    const page = await corpus.page({ handle: result.handle, query: { clauses: [] }, offset: 498, limit: 10 });
    expect(page.total).toBe(500);
    expect(page.rows.map((row) => row.row - header)).toEqual([498, 499]);
    expect(page.rows[1]?.cells.slice(0, 5)).toEqual([documents[499]?.text, 49.9, null, false, documents[499]?.text.length]);
  });

  it("filters by each kind of clause and by all together", async () => {
    const { handle } = await opened(format);
    expect(await matching(handle, [{ kind: "range", column: "score", min: 10, max: 12 }])).toEqual(expected((row) => row.score >= 10 && row.score <= 12));
    expect(await matching(handle, [{ kind: "range", column: "score", min: 45, max: null }])).toEqual(expected((row) => row.score >= 45));
    expect(await matching(handle, [{ kind: "range", column: "score", min: null, max: 5 }])).toEqual(expected((row) => row.score <= 5));
    expect(await matching(handle, [{ kind: "range", column: "chars", min: null, max: 60 }])).toEqual(expected((row) => row.text.length <= 60));
    expect(await matching(handle, [{ kind: "in", column: "topic", values: ["sea", null] }])).toEqual(expected((row) => row.topic === "sea" || row.topic === null));
    expect(await matching(handle, [{ kind: "in", column: "good", values: ["true"] }])).toEqual(expected((row) => row.good));
    expect(await matching(handle, [{ kind: "search", text: "harbour", mode: "literal", caseSensitive: false }])).toEqual(expected((_, i) => i % 7 === 0));
    expect(await matching(handle, [{ kind: "search", text: "harbour", mode: "literal", caseSensitive: true }])).toEqual([]);
    expect(await matching(handle, [{ kind: "search", text: "^Document 4\\d ", mode: "regex", caseSensitive: true }])).toEqual(expected((_, i) => i >= 40 && i < 50));
    expect(await matching(handle, [{ kind: "sql", predicate: "score > 40 and words < 20 -- a comment" }])).toEqual(expected((row) => row.score > 40 && row.text.split(/\s+/).length < 20));
    expect(await matching(handle, [{ kind: "sql", predicate: "good" }, { kind: "in", column: "topic", values: ["air"] }, { kind: "range", column: "score", min: 20, max: null }])).toEqual(expected((row) => row.good && row.topic === "air" && row.score >= 20));
  });
});

describe("pages", () => {
  it("of a file whose only text is a short column, such as a run's losses of rows", async () => {
    workspace = new Workspace();
    workspace.rows("losses.jsonl", [{ row_id: "pairs:1", step: 1, loss: 2.5 }, { row_id: "pairs:2", step: 2, loss: 1.5 }]);
    const { handle } = await corpus.open({ path: workspace.at("losses.jsonl") });
    expect(await matching(handle, [{ kind: "range", column: "step", min: 2, max: 2 }])).toEqual([1]);
    expect(await matching(handle, [{ kind: "search", text: "pairs:1", mode: "literal", caseSensitive: false }])).toEqual([0]);
  });

  it("sort by numbers and texts, nulls last, and page through the whole without gaps", async () => {
    const { handle } = await opened("jsonl");
    const byScore = await ask(handle, [], { column: "score", descending: true }, 3);
    expect(byScore.rows.map((row) => row.row)).toEqual([499, 498, 497]);
    const byText = await ask(handle, [], { column: "text", descending: false });
    expect(byText.rows.map((row) => row.cells[0])).toEqual(documents.map((row) => row.text).sort());
    const byTopic = await ask(handle, [], { column: "topic", descending: true });
    expect(byTopic.rows.at(-1)?.cells[2]).toBeNull();
    const seen: number[] = [];
    for (let offset = 0; offset < 130; offset += 20) seen.push(...(await corpus.page({ handle, query: { clauses: [{ kind: "in", column: "topic", values: ["land"] }] }, offset, limit: 20 })).rows.map((row) => row.row));
    expect(seen).toEqual(expected((row) => row.topic === "land"));
    const sorted: number[] = [];
    for (let offset = 0; offset < 500; offset += 20) sorted.push(...(await corpus.page({ handle, query: { clauses: [], sort: { column: "topic", descending: false } }, offset, limit: 20 })).rows.map((row) => row.row));
    expect(sorted).toEqual(["air", "land", "sea", null].flatMap((topic) => expected((row) => row.topic === topic)));
  });

  it("cut long texts to 400 characters, the detail gives them whole", async () => {
    workspace = new Workspace();
    const text = "word ".repeat(300);
    const { handle } = await corpus.open({ path: workspace.rows("l.jsonl", [{ text, n: 1 }]) });
    expect((await ask(handle, [])).rows[0]?.cells[0]).toBe(text.slice(0, 400));
    expect((await corpus.detail({ handle, row: 0 })).values.text).toBe(text);
  });
});

describe("facets", () => {
  it("count all rows and those that match the clauses on the other columns", async () => {
    const { handle } = await opened("jsonl");
    const clauses: Clause[] = [{ kind: "in", column: "topic", values: ["sea"] }, { kind: "range", column: "score", min: 0, max: 9.9 }];
    const { facets } = await corpus.facets({ handle, query: { clauses } });
    expect(facets.map((candidate) => candidate.column)).toEqual(["score", "topic", "good", "chars", "words", "language", "quality", "pii"]);
    const topic = facet(facets, "topic");
    if (topic?.kind !== "categories") throw new Error("topic is to have categories");
    // The topic facet leaves out its own clause: all topics of the first 100 rows.
    expect(topic.values).toEqual([{ value: "air", all: 125, selected: 25 }, { value: "land", all: 125, selected: 25 }, { value: "sea", all: 125, selected: 25 }, { value: null, all: 125, selected: 25 }].sort((a, b) => (a.value === null ? 1 : b.value === null ? -1 : a.value.localeCompare(b.value))));
    expect(topic.distinct).toBe(4);
    const score = facet(facets, "score");
    if (score?.kind !== "histogram") throw new Error("score is to have a histogram");
    expect(score.bins.reduce((sum, bin) => sum + bin.all, 0)).toBe(500);
    expect(score.bins.reduce((sum, bin) => sum + bin.selected, 0)).toBe(125);
    for (const bin of score.bins) {
      expect(bin.all).toBe(expected((row) => row.score >= bin.x0 - 1e-9 && row.score < bin.x1 - 1e-9).length);
    }
    const good = facet(facets, "good");
    expect(good?.kind === "categories" && good.values.map((value) => [value.value, value.selected])).toEqual([["false", 0], ["true", 25]]);
  });
});

describe("a Parquet file", () => {
  it("is read in place: nested columns as JSON, rows by their number", async () => {
    const result = await opened("parquet");
    expect(result).toMatchObject({ format: "parquet", rows: 300, badRows: 0 });
    expect(result.columns.find((column) => column.name === "meta")).toMatchObject({ kind: "nested" });
    const page = await ask(result.handle, [{ kind: "range", column: "id", min: 137, max: 139 }]);
    expect(page.rows.map((row) => [row.row, row.cells[1], row.cells[2]])).toEqual([[137, "document 137 about 2", '{"a":137}'], [138, "document 138 about 0", '{"a":138}'], [139, "document 139 about 1", '{"a":139}']]);
    expect(await matching(result.handle, [{ kind: "search", text: '"a":299', mode: "literal", caseSensitive: true }])).toEqual([299]);
    expect((await corpus.detail({ handle: result.handle, row: 200 })).values).toMatchObject({ id: 200, text: "document 200 about 2" });
  });
});

describe("a row's detail", () => {
  it("has its signals, the rules that it fails and the personal data in it", async () => {
    workspace = new Workspace();
    const { handle } = await corpus.open({ path: workspace.rows("p.jsonl", [{ prompt: "Who wrote?", completion: "Ask ann@example.org please." }]) });
    const detail = await corpus.detail({ handle, row: 0 });
    expect(detail.values).toEqual({ prompt: "Who wrote?", completion: "Ask ann@example.org please." });
    expect(detail.signals.n_words).toBeGreaterThan(0);
    expect(detail.failed[0]).toMatchObject({ rule: "min_words" });
    expect(detail.pii).toEqual([{ kind: "email", value: "ann@example.org" }]);
    expect(await problemOf(corpus.detail({ handle, row: 7 }))).toMatchObject({ code: "no_row" });
  });
});

describe("a query as a predicate", () => {
  it("keeps the same rows as a recipe's where", async () => {
    const { handle } = await opened("jsonl");
    const clauses: Clause[] = [
      { kind: "range", column: "chars", min: 60, max: 200 },
      { kind: "in", column: "topic", values: ["sea", null] },
      { kind: "in", column: "language", values: ["en"] },
      { kind: "search", text: "it's a hill", mode: "literal", caseSensitive: false },
      { kind: "sql", predicate: "score < 30" },
    ];
    for (const query of [{ clauses }, { clauses: clauses.filter((clause) => clause.kind !== "search") }]) {
      const { sql } = await corpus.predicate({ handle, query });
      const kept = (await corpus.page({ handle, query, offset: 0, limit: 1 })).total;
      const text = `tillage: 1\nsources: { d: { files: d.jsonl } }\nsteps:\n  - where: ${JSON.stringify(sql)}\n`;
      const counts = await corpus.counts({ path: workspace.at("d.recipe.yaml"), text });
      expect(counts.diagnostics.filter((diagnostic) => diagnostic.severity === "error")).toEqual([]);
      expect(counts.steps[0]?.out).toBe(kept);
    }
  });
});

describe("a search as a predicate", () => {
  it.each([
    ["a short column beside the text", [{ text: "a hill", topic: "Sea" }, { text: "the sea", topic: null }, { text: "a lake", topic: "land" }]],
    ["columns of the names of our own", [{ text: "a hill", _id: "sea", prompt: "x" }, { text: "b", _id: "c", prompt: "sea" }, { text: "the sea", _id: "d", prompt: null }, { text: "e", _id: "f", prompt: "g" }]],
    ["a pair under names of its own", [{ question: "the sea?", answer: "yes", topic: "x" }, { question: "a hill?", answer: "no", topic: "sea" }, { question: "b?", answer: "the sea" }, { question: "c?", answer: "d", topic: "land" }]],
    ["an instruction's input", [{ instruction: "a", input: "of the sea", output: "b" }, { instruction: "sea", input: "", output: "d" }, { instruction: "e", input: "", output: "f" }]],
    ["a chat and what is nested beside it", [{ messages: [{ role: "user", content: "the sea" }], meta: { a: "x" } }, { messages: [{ role: "user", content: "a hill" }], meta: { a: "sea" } }, { messages: [{ role: "user", content: "x" }], meta: { a: "land" } }]],
  ])("finds in a recipe what it finds in the grid: %s", async (_name, rows) => {
    workspace = new Workspace();
    const { handle } = await corpus.open({ path: workspace.rows("d.jsonl", rows) });
    const clauses: Clause[] = [{ kind: "search", text: "sea", mode: "literal", caseSensitive: false }];
    expect(await matching(handle, clauses)).toHaveLength(rows.length - 1);
    const { sql } = await corpus.predicate({ handle, query: { clauses } });
    const text = `tillage: 1\nsources: { d: { files: d.jsonl } }\nsteps:\n  - where: ${JSON.stringify(sql)}\n`;
    const counts = await corpus.counts({ path: workspace.at("d.recipe.yaml"), text });
    expect([counts.steps[0]?.out, counts.diagnostics.filter((diagnostic) => diagnostic.severity === "error")]).toEqual([rows.length - 1, []]);
  });
});

describe("a query as a predicate, of its clauses as they are", () => {
  it("keeps odd names of columns, the case of a search, and SQL with 'or' together", async () => {
    workspace = new Workspace();
    const { handle } = await corpus.open({ path: workspace.rows("d.jsonl", Array.from({ length: 60 }, (_, i) => ({ text: `Row ${i} of the ${i % 3 === 0 ? "Harbour" : "hill"}`, "Odd name": i, score: i }))) });
    const clauses: Clause[] = [
      { kind: "range", column: "Odd name", min: 6, max: null },
      { kind: "sql", predicate: "score < 12 or score > 50" },
      { kind: "search", text: "HARBOUR", mode: "literal", caseSensitive: false },
      { kind: "search", text: "^row \\d+", mode: "regex", caseSensitive: false },
    ];
    expect(await matching(handle, clauses)).toEqual([6, 9, 51, 54, 57]);
    const { sql } = await corpus.predicate({ handle, query: { clauses } });
    expect(await matching(handle, [{ kind: "sql", predicate: sql }])).toEqual([6, 9, 51, 54, 57]);
  });
});

describe("SQL that a person types", () => {
  it.each([
    ["score >", "sql_syntax", /at character \d+/],
    ["score > > 3", "sql_syntax", /at character 9, near '>'/],
    ["score > 1; select 2", "sql_syntax", /syntax/],
    ["1=1) OR (SELECT true", "sql_syntax", /./],
    ["scor > 1", "unknown_column", /Did you mean 'score'/],
    ["text::INTEGER > 1", "sql_error", /Conversion/],
  ])("%s is the user's error", async (predicate, code, message) => {
    const { handle } = await opened("jsonl");
    const problem = await problemOf(ask(handle, [{ kind: "sql", predicate }]));
    expect(problem).toMatchObject({ blame: "user", code });
    expect(problem.message).toMatch(message);
  });

  it.each([
    ...["read_text('/etc/hostname')", "read_csv('/etc/hostname')", "glob('/*')", "read_blob('/etc/passwd')", "duckdb_secrets()", "'/etc/hostname.csv'"].map((table) => `(SELECT count(*) FROM ${table}) > 0`),
    "(SELECT count(*) FROM query('SELECT till_tokens(''a'', ''/etc/passwd'')')) > 0",
    "till_tokens(text, '/etc/passwd') > 0",
    "text.TILL_TOKENS('/etc/passwd') > 0",
    "len(list_filter([text], lambda t: main.\"till_tokens\"(t, '/etc/passwd') > 0)) > 0",
    "score IN (SELECT till_tokens('a', '/etc/passwd') FROM range(3))",
  ])("cannot reach files: %s", async (predicate) => {
    const { handle } = await opened("jsonl");
    expect(await problemOf(ask(handle, [{ kind: "sql", predicate }]))).toMatchObject({ blame: "user", code: "sql_no_files" });
  });

  it("runs where no setting can be changed any more", async () => {
    const database = await Database.open();
    await database.session(undefined, (session) => session.run("SET threads = 2"));
    await database.lock();
    await expect(database.session(undefined, (session) => session.run("SET threads = 1"))).rejects.toThrow(/locked/);
    database.close();
  });

  it("may take rows from lists and ranges", async () => {
    const { handle } = await opened("jsonl");
    expect((await ask(handle, [{ kind: "sql", predicate: "EXISTS (SELECT 1 FROM unnest([1, 2]) t(a)) AND 3 IN (SELECT * FROM range(5))" }])).total).toBeGreaterThan(0);
  });

  it("is told of a regular expression that is none", async () => {
    const { handle } = await opened("jsonl");
    expect(await problemOf(ask(handle, [{ kind: "search", text: "a(", mode: "regex", caseSensitive: false }]))).toMatchObject({ blame: "user", code: "regex_syntax" });
  });
});

describe("a file that changes while it is open", () => {
  it("gives a typed error on every call, and is as it is now when opened again", async () => {
    const first = await opened("jsonl");
    await corpus.facets({ handle: first.handle, query: { clauses: [] } });
    workspace.rows("d.jsonl", documents.slice(0, 3));
    const { handle } = first;
    const query: Query = { clauses: [] };
    for (const call of [corpus.page({ handle, query, offset: 0, limit: 1 }), corpus.facets({ handle, query }), corpus.detail({ handle, row: 0 }), corpus.predicate({ handle, query })]) {
      expect(await problemOf(call)).toMatchObject({ blame: "user", code: "file_changed", file: workspace.at("d.jsonl") });
    }
    const again = await corpus.open({ path: workspace.at("d.jsonl") });
    expect(again.rows).toBe(3);
    expect(again.version).not.toBe(first.version);
  });

  it("is not computed anew while it stays the same: its derived columns are kept in the workspace", async () => {
    const first = await opened("jsonl");
    const before = await corpus.facets({ handle: first.handle, query: { clauses: [] } });
    await corpus.close({ handle: first.handle });
    expect(readdirSync(workspace.at(".tillage/cache/browse")).length).toBe(1);
    const again = await corpus.open({ path: workspace.at("d.jsonl") });
    expect(await corpus.facets({ handle: again.handle, query: { clauses: [] } })).toEqual(before);
    expect(readdirSync(workspace.at(".tillage/cache/browse")).length).toBe(1);
    expect(await problemOf(corpus.page({ handle: first.handle, query: { clauses: [] }, offset: 0, limit: 1 }))).toMatchObject({ code: "unknown_handle" });
  });
});

describe("a file with columns of the derived names", () => {
  it("keeps its own, and stats count what is measured", async () => {
    workspace = new Workspace();
    const { handle, columns } = await corpus.open({ path: workspace.rows("o.jsonl", [{ title: "A b", language: "mine", words: 3.5 }, { title: "C", language: "yours", words: 1 }]) });
    expect(columns.map((column) => [column.name, column.derived])).toEqual([["title", false], ["language", false], ["words", false], ["chars", true], ["quality", true], ["pii", true]]);
    expect(await matching(handle, [{ kind: "in", column: "language", values: ["mine"] }, { kind: "range", column: "words", min: 3.2, max: null }])).toEqual([0]);
    const stats = await corpus.stats({ path: workspace.at("o.jsonl") });
    expect(stats.languages.every((entry) => entry.lang !== "mine")).toBe(true);
    expect(stats.words).toBe(5);
  });
});

describe("stats", () => {
  it("count words, languages, duplicates, personal data and rules", async () => {
    workspace = new Workspace("planted.jsonl");
    const stats = await corpus.stats({ path: workspace.at("planted.jsonl") });
    expect(stats).toMatchObject({ shape: "text", rows: 22, badRows: 0, exactDuplicates: 2 });
    expect(stats.pii).toEqual([{ kind: "email", rows: 1 }, { kind: "phone", rows: 1 }]);
    expect(stats.languages.find((entry) => entry.lang === "de")?.rows).toBe(1);
    expect(stats.columns.find((column) => column.name === "planted")).toMatchObject({ nulls: 0, distinct: 7 });
    expect(stats.quality.reduce((sum, entry) => sum + entry.rows, 0)).toBe(22);
  });
});
