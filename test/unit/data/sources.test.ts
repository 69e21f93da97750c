import { readFileSync } from "node:fs";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { createLocalCorpus } from "../../../src/data/local";
import { datasetRows, problemOf, Workspace } from "./support";

const corpus = createLocalCorpus();
let workspace = new Workspace();
afterEach(() => workspace.remove());
afterAll(() => corpus.dispose());

const build = (source: string) => corpus.build({ path: workspace.write("s.recipe.yaml", `tillage: 1\nsources:\n  s: ${source}\n`) });
const trainRows = async (source: string) => datasetRows(corpus, (await build(source)).split[0]?.files ?? []);

describe("bad rows", () => {
  it("of a JSONL file are counted, listed with their lines and kept out", async () => {
    workspace = new Workspace("broken-lines.jsonl");
    const built = await build("{ files: broken-lines.jsonl, as: text }");
    expect(built.sources[0]).toMatchObject({ rows: 4, badRows: 5 });
    expect(built.sources[0]?.bad.map(({ line, reason }) => [line, reason.replace(/:.*/, "")])).toEqual([
      [2, "it is not valid JSON"],
      [5, "it is a list, not a JSON object"],
      [6, "'text' is missing"],
      [7, "'text' is not a text but ubigint"],
      [9, "it is not valid UTF-8"],
    ]);
    const rows = await datasetRows(corpus, built.split[0]?.files ?? []);
    expect(rows.map((row) => [row._file_row, row.text]).sort((a, b) => Number(a[0]) - Number(b[0]))).toEqual([
      [0, "one good row"],
      [3, "another good row"],
      [7, "A fine"],
      [9, "the last row, without a line break"],
    ]);
  });

  it("of a CSV file are counted and listed, quoted line breaks are read", async () => {
    workspace = new Workspace("broken.csv");
    const built = await build("{ files: broken.csv, as: prompt/completion }");
    expect(built.sources[0]).toMatchObject({ rows: 3, badRows: 2 });
    expect(built.sources[0]?.bad.map((bad) => bad.line)).toEqual([5, 6]);
    const rows = await datasetRows(corpus, built.split[0]?.files ?? []);
    expect(rows.map((row) => row.completion).sort()).toEqual(["2", "4", "An apple\nand a pear"]);
    expect(rows.map((row) => row.topic).sort()).toEqual(["food", "sums", "sums"]);
  });

  it("are listed by the corpus view with the same lines", async () => {
    workspace = new Workspace("broken-lines.jsonl");
    const opened = await corpus.open({ path: workspace.at("broken-lines.jsonl") });
    expect(opened.bad.map((bad) => bad.line)).toEqual([2, 5, 6, 7, 9]);
    const page = await corpus.page({ handle: opened.handle, query: { clauses: [] }, offset: 0, limit: 10 });
    expect(page.rows.map((row) => row.row)).toEqual([0, 3, 7, 9]);
    await corpus.close({ handle: opened.handle });
  });
});

describe("files that cannot be read", () => {
  it.each([
    ["empty.jsonl", "empty_file", /empty\.jsonl is empty/],
    ["cut-short.parquet", "broken_parquet", /cut-short\.parquet is not a whole Parquet file/],
  ])("%s is an error that names the file", async (name, code, message) => {
    workspace = new Workspace(name);
    for (const problem of [await problemOf(build(`{ files: ${name}, as: text }`)), await problemOf(corpus.open({ path: workspace.at(name) }))]) {
      expect(problem).toMatchObject({ blame: "user", code, file: workspace.at(name) });
      expect(problem.message).toMatch(message);
      expect(problem.remedy).not.toBe("");
    }
  });

  it("a Parquet file whose inside is damaged is an error that names the file", async () => {
    workspace = new Workspace("small.parquet");
    const bytes = readFileSync(workspace.at("small.parquet"));
    bytes.fill(0xaa, 100, 2000);
    workspace.write("small.parquet", bytes);
    const problem = await problemOf(build("{ files: small.parquet, as: text }"));
    expect(problem).toMatchObject({ blame: "user", code: "broken_parquet", file: workspace.at("small.parquet") });
  });

  it("a glob without a match names the recipe's line", async () => {
    workspace = new Workspace();
    const problem = await problemOf(build("{ files: nothing/*.jsonl }"));
    expect(problem).toMatchObject({ code: "no_files", file: workspace.at("s.recipe.yaml"), line: 3 });
  });

  it("a missing column names the nearest and the columns that there are", async () => {
    workspace = new Workspace();
    workspace.rows("q.jsonl", [{ question: "a?", answer: "b" }]);
    const problem = await problemOf(build("{ files: q.jsonl, as: prompt/completion, map: { prompt: questoin } }"));
    expect(problem).toMatchObject({ blame: "user", code: "missing_column", file: workspace.at("s.recipe.yaml"), line: 3 });
    expect(problem.message).toContain(workspace.at("q.jsonl"));
    expect(problem.message).toContain("Did you mean 'question'?");
  });

  it("a text column of numbers in Parquet is an error", async () => {
    workspace = new Workspace("small.parquet");
    expect(await problemOf(build("{ files: small.parquet, as: text, map: { text: id } }"))).toMatchObject({ code: "wrong_type" });
  });

  it("a file of bad rows only is an error with the first of them", async () => {
    workspace = new Workspace();
    workspace.write("bad.jsonl", "{\n{\n");
    expect(await problemOf(build("{ files: bad.jsonl }"))).toMatchObject({ code: "no_rows", file: workspace.at("bad.jsonl"), line: 1 });
  });
});

describe("shapes", () => {
  it("reads Alpaca's columns", async () => {
    workspace = new Workspace("alpaca.jsonl");
    const rows = await trainRows("{ files: alpaca.jsonl }");
    expect(rows.map((row) => [row.prompt, row.completion]).sort()).toEqual([
      ["Add the numbers.\n\n1, 2", "3"],
      ["Name a river.", "The Oder."],
    ]);
  });

  it("reads ShareGPT's conversations as messages, and lists a turn that lacks its value", async () => {
    workspace = new Workspace("sharegpt.jsonl");
    const built = await build("{ files: sharegpt.jsonl }");
    expect(built.shape).toBe("chat");
    expect(built.sources[0]?.bad).toEqual([{ file: "sharegpt.jsonl", line: 2, reason: "a turn of 'conversations' lacks from or value" }]);
    const rows = await datasetRows(corpus, built.split[0]?.files ?? []);
    expect(JSON.parse(String(rows[0]?.messages))).toEqual([
      { role: "system", content: "Be brief." },
      { role: "user", content: "What is ice?" },
      { role: "assistant", content: "Frozen water." },
    ]);
  });

  it("reads messages from Parquet's lists of structs and redacts in them", async () => {
    workspace = new Workspace();
    workspace.rows("chat.jsonl", [{ messages: [{ role: "user", content: "Mail me at jo@example.org" }, { role: "assistant", content: "I will." }] }]);
    const recipe = workspace.write("c.recipe.yaml", "tillage: 1\nsources:\n  c: { files: chat.jsonl, as: chat }\nsteps:\n  - pii: { action: redact }\n");
    const built = await corpus.build({ path: recipe });
    const rows = await datasetRows(corpus, built.split[0]?.files ?? []);
    expect(JSON.parse(String(rows[0]?.messages))).toEqual([{ role: "user", content: "Mail me at <EMAIL>" }, { role: "assistant", content: "I will." }]);
  });

  it("keeps the other columns, nested ones as JSON, over Parquet and several files of a glob", async () => {
    workspace = new Workspace("small.parquet");
    workspace.rows("more/a.jsonl", [{ text: "row a", topic: "x", meta: { a: 1 } }]);
    workspace.rows("more/b.jsonl", [{ text: "row b", topic: "y" }]);
    const recipe = workspace.write("s.recipe.yaml", "tillage: 1\nsources:\n  p: { files: small.parquet }\n  j: { files: more/*.jsonl }\n");
    const built = await corpus.build({ path: recipe });
    const rows = await datasetRows(corpus, built.split[0]?.files ?? []);
    expect(rows.length).toBe(302);
    expect(rows.find((row) => row.text === "row a")).toMatchObject({ _source: "j", _file: "more/a.jsonl", topic: "x", meta: '{"a":1}', flag: null });
    expect(rows.find((row) => row.text === "document 7 about 1")).toMatchObject({ _source: "p", topic: "3", meta: '{"a":7}', flag: false, _file_row: 7 });
  });

  it("gives every row its text where the sources' shapes differ", async () => {
    workspace = new Workspace("alpaca.jsonl");
    workspace.rows("t.jsonl", [{ text: "plain" }]);
    const recipe = workspace.write("s.recipe.yaml", "tillage: 1\nsources:\n  a: { files: alpaca.jsonl }\n  t: { files: t.jsonl }\n");
    const built = await corpus.build({ path: recipe });
    expect(built.shape).toBe("mixed");
    const rows = await datasetRows(corpus, built.split[0]?.files ?? []);
    expect(rows.map((row) => row.text).sort()).toEqual(["Add the numbers.\n\n1, 2\n3", "Name a river.\nThe Oder.", "plain"]);
  });

  it("of one source's files are the same", async () => {
    workspace = new Workspace("sharegpt.jsonl");
    workspace.rows("a.jsonl", [{ text: "plain" }]);
    const problem = await problemOf(build("{ files: [a.jsonl, sharegpt.jsonl] }"));
    expect(problem).toMatchObject({ blame: "user", code: "mixed_shapes", file: workspace.at("s.recipe.yaml"), line: 3 });
    expect(problem.message).toContain(workspace.at("sharegpt.jsonl"));
  });

  it("says which columns there are when none speaks of a shape", async () => {
    workspace = new Workspace();
    workspace.rows("t.jsonl", [{ body: "x" }]);
    expect((await problemOf(build("{ files: t.jsonl }"))).message).toContain("body");
    expect((await trainRows("{ files: t.jsonl, map: { text: body } }")).map((row) => row.text)).toEqual(["x"]);
  });
});

describe("what real files are like", () => {
  it("a byte order mark, Windows line ends, blank lines and odd column names are read", async () => {
    workspace = new Workspace();
    workspace.write("w.jsonl", '\uFEFF{"text":"first","a \\"b\\".c":1}\r\n\r\n   \r\n{"text":"second","a \\"b\\".c":2}\r\n');
    const rows = await trainRows("{ files: w.jsonl }");
    expect(rows.map((row) => [row._file_row, row.text, row['a "b".c']]).sort((a, b) => Number(a[0]) - Number(b[0]))).toEqual([[0, "first", 1], [3, "second", 2]]);
  });

  it("a column whose values have several types stays as JSON, and the text beside it is read", async () => {
    workspace = new Workspace();
    workspace.rows("m.jsonl", [{ text: "a \"quoted\" text", v: 1 }, { text: "b", v: "x" }, { text: 7, v: [1] }]);
    const built = await build("{ files: m.jsonl }");
    expect(built.sources[0]?.bad.map((bad) => bad.line)).toEqual([3]);
    const rows = await datasetRows(corpus, built.split[0]?.files ?? []);
    expect(rows.map((row) => [row.text, row.v]).sort()).toEqual([['a "quoted" text', "1"], ["b", '"x"']]);
  });

  it("columns with the names of our own keep their values under another name", async () => {
    workspace = new Workspace();
    workspace.rows("r.jsonl", [{ prompt: "p", completion: "c", text: "own text", _row_id: "own id" }]);
    const rows = await trainRows("{ files: r.jsonl, as: prompt/completion }");
    expect(rows[0]).toMatchObject({ prompt: "p", completion: "c", file_text: "own text", file_row_id: "own id" });
    expect(rows[0]?._row_id).toMatch(/^[0-9a-f]{32}$/);
  });
});

describe("names that DuckDB would take for patterns", () => {
  const odd = "we'ird [a] 100% *?{b}\"q\" year=1\nnew line";
  it("are read as they are, in the recipe's folder and in files' names", async () => {
    workspace = new Workspace("small.parquet");
    workspace.rows(`${odd}/a*.jsonl`, [{ text: "of the starred file" }]);
    workspace.rows(`${odd}/ab.jsonl`, [{ text: "of the other file" }]);
    workspace.write(`${odd}/c?[x].csv`, "text\nof the table\n");
    workspace.write(`${odd}/cd[x].csv`, "text\nof another table\n");
    for (const name of ["p*", "pq"]) workspace.write(`${odd}/${name}.parquet`, readFileSync(workspace.at("small.parquet")));
    const recipe = workspace.write(`${odd}/s.recipe.yaml`, 'tillage: 1\nsources:\n  one: { files: "a*.jsonl" }\n  all: { files: "a?.jsonl" }\n  table: { files: "c?[x].csv" }\n  parquet: { files: "p*.parquet" }\n');
    const built = await corpus.build({ path: recipe });
    const rows = await datasetRows(corpus, built.split[0]?.files ?? []);
    expect(rows.filter((row) => row._source !== "parquet").map((row) => [row._source, row._file, row.text]).sort()).toEqual([
      ["all", "a*.jsonl", "of the starred file"],
      ["all", "ab.jsonl", "of the other file"],
      ["one", "a*.jsonl", "of the starred file"],
      ["table", "c?[x].csv", "of the table"],
    ]);
    expect(built.sources.find((source) => source.name === "parquet")?.rows).toBe(300);
    expect(Object.keys(rows[0] ?? {})).not.toContain("year");
    for (const [name, rowsIn] of [["a*.jsonl", 1], ["c?[x].csv", 1], ["p*.parquet", 300]] as const) {
      const opened = await corpus.open({ path: workspace.at(`${odd}/${name}`) });
      expect((await corpus.page({ handle: opened.handle, query: { clauses: [{ kind: "sql", predicate: "length(text) > 1" }] }, offset: 0, limit: 5 })).total).toBe(rowsIn);
      await corpus.close({ handle: opened.handle });
    }
  });
});

describe("invalid UTF-8", () => {
  it("in a recipe and in an evaluation is named with its line", async () => {
    workspace = new Workspace();
    workspace.rows("a.jsonl", [{ text: "x" }]);
    const recipe = "tillage: 1\nsources: { a: { files: a.jsonl } }\nsteps:\n  - decontaminate: { against: q.eval.yaml }\n";
    workspace.write("q.eval.yaml", Buffer.from("tillage: 1\nprompts:\n  - { id: a, prompt: caf\xe9 }\n", "latin1"));
    expect(await problemOf(corpus.build({ path: workspace.write("s.recipe.yaml", recipe) }))).toMatchObject({ blame: "user", code: "invalid_utf8", file: workspace.at("q.eval.yaml"), line: 3 });
    expect(await problemOf(corpus.build({ path: workspace.write("t.recipe.yaml", Buffer.from(`${recipe}# caf\xe9\n`, "latin1")) }))).toMatchObject({ blame: "user", code: "invalid_utf8", file: workspace.at("t.recipe.yaml"), line: 5 });
  });
});
