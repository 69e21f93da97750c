import { readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { Database } from "../../../src/data/duckdb/session";
import { createLocalCorpus } from "../../../src/data/local";
import type { Clause, Facet, FacetCounts, Page, Query } from "../../../src/protocol/corpus";
import { problemOf, Workspace } from "./support";

/** More rows than a sample has, so that facets are counted over codes, and searches go over several stretches. */
const count = 20_000;
const corpus = createLocalCorpus();
let workspace = new Workspace();
afterEach(() => workspace.remove());
afterAll(() => corpus.dispose());

function numbers(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 16807) % 2147483647) / 2147483647;
}
const random = numbers(7);
const words = ["harbour", "committee", "copper", "river", "engine", "letter"];
const documents = Array.from({ length: count }, (_, i) => ({
  text: `${words[Math.floor(random() * words.length)]} ${"and more of it ".repeat(1 + Math.floor(random() * 12))}${i}`,
  score: random() < 0.05 ? null : Math.round((random() * 40 - 20) * 8) / 8,
  step: Math.floor(random() * random() * 3000),
  topic: random() < 0.1 ? null : `topic ${Math.floor(random() * random() * 70)}`,
  good: random() < 0.3,
}));
type Doc = (typeof documents)[number];

const facet = (facets: readonly Facet[], column: string): Facet => {
  const found = facets.find((one) => one.column === column);
  if (!found) throw new Error(`no facet ${column}`);
  return found;
};

/** What each clause keeps, in plain JavaScript. */
function keeps(clause: Clause, row: Doc): boolean {
  if (clause.kind === "sql") throw new Error("not here");
  if (clause.kind === "search") return row.text.toLowerCase().includes(clause.text.toLowerCase());
  const value = clause.column === "chars" ? row.text.length : row[clause.column as keyof Doc];
  if (clause.kind === "in") return clause.values.includes(value === null ? null : String(value));
  if (value === null || typeof value !== "number") return false;
  return (clause.min === null || value >= clause.min) && (clause.max === null || value <= clause.max);
}
const matching = (clauses: readonly Clause[], without?: string) => documents.filter((row) => clauses.every((clause) => ("column" in clause && clause.column === without) || keeps(clause, row)));

function expectExact(facets: readonly Facet[], clauses: readonly Clause[]): void {
  for (const column of ["score", "step", "topic", "good"] as const) {
    const found = facet(facets, column);
    const selected = matching(clauses, column);
    if (found.kind === "categories") {
      for (const { value, all, selected: here } of found.values) {
        expect([column, value, all]).toEqual([column, value, documents.filter((row) => (row[column] === null ? null : String(row[column])) === value).length]);
        expect([column, value, here]).toEqual([column, value, selected.filter((row) => (row[column] === null ? null : String(row[column])) === value).length]);
      }
      continue;
    }
    const last = found.bins.length - 1;
    for (const [i, bin] of found.bins.entries()) {
      const inside = (row: Doc) => row[column] !== null && Number(row[column]) >= bin.x0 && (i === last || Number(row[column]) < bin.x1);
      expect([column, i, bin.all, bin.selected]).toEqual([column, i, documents.filter(inside).length, selected.filter(inside).length]);
    }
  }
}

async function opened() {
  workspace = new Workspace();
  return corpus.open({ path: workspace.rows("d.jsonl", documents) });
}

const range = (column: string, min: number | null, max: number | null): Clause => ({ kind: "range", column, min, max });
const ticks = (column: string, ...values: (string | null)[]): Clause => ({ kind: "in", column, values });

describe("facets of more rows than a sample has", () => {
  it("are those that counting each row gives, for any conditions", async () => {
    const { handle } = await opened();
    const views: Clause[][] = [
      [],
      [range("step", 100, 499)],
      // Bounds within bins, of whole numbers and of others; and at their edges.
      [range("step", 123, 677), range("score", -3.3, 7.125)],
      [range("score", -10, null)],
      [range("score", null, null)],
      [ticks("topic", "topic 1", null)],
      // Values that are not among the listed ones, and one that is nowhere.
      [ticks("topic", "topic 66", "topic 1", "nowhere"), ticks("good", "true")],
      [range("step", null, 2000), { kind: "search", text: "Copper", mode: "literal", caseSensitive: false }],
      [range("score", 0, 0), range("step", 5000, null)],
    ];
    for (const clauses of views) {
      const { facets, rows } = await corpus.facets({ handle, query: { clauses } });
      expect(rows).toBe(count);
      expectExact(facets, clauses);
      expect((await corpus.page({ handle, query: { clauses }, offset: 0, limit: 1 })).total).toBe(matching(clauses).length);
    }
    const topic = facet((await corpus.facets({ handle, query: { clauses: [] } })).facets, "topic");
    expect(topic.kind === "categories" && [topic.values.length, topic.distinct]).toEqual([50, new Set(documents.map((row) => row.topic)).size]);
  }, 60_000);

  it("are the same when the file is opened again, from what lies beside it, also when that was damaged", async () => {
    const { handle, path: file } = await opened();
    const query: Query = { clauses: [range("step", 10, 900)] };
    const { facets } = await corpus.facets({ handle, query });
    const below = (folder: string): string[] => readdirSync(folder, { recursive: true }).map((name) => path.join(folder, String(name)));
    const beside = below(workspace.at(".tillage")).filter((name) => /codes\.(bin|json)$|side-.*\.parquet$/.test(name));
    expect(beside.map((name) => name.replace(/.*side-\w+-/, "")).sort()).toEqual(["0.parquet", "codes.bin", "codes.json"]);
    for (const damage of [undefined, "codes.bin", "codes.json"]) {
      const name = beside.find((one) => damage !== undefined && one.endsWith(damage));
      if (name) workspace.write(path.relative(workspace.folder, name), "{");
      const again = await corpus.open({ path: file });
      expect((await corpus.facets({ handle: again.handle, query })).facets).toEqual(facets);
      await corpus.close({ handle: again.handle });
    }
  }, 60_000);

  it("are estimated at once from a sample, marked as such, and exact when the columns are there", async () => {
    const { handle } = await opened();
    const clauses: Clause[] = [ticks("good", "true"), { kind: "search", text: "river", mode: "literal", caseSensitive: false }];
    const first = await corpus.facets({ handle, query: { clauses }, partial: true, pause: true });
    expect([first.rows, first.computed]).toEqual([1000, 0]);
    const step = facet(first.facets, "step");
    if (step.kind !== "histogram") throw new Error("step is a number");
    const sum = (bins: readonly { selected: number; all: number }[], key: "selected" | "all") => bins.reduce((total, bin) => total + bin[key], 0);
    const truth = matching(clauses).length;
    expect(Math.abs(sum(step.bins, "all") - count) / count).toBeLessThan(0.01);
    // Five standard deviations of a share p of 1,000 rows.
    const share = truth / count;
    expect(Math.abs(sum(step.bins, "selected") / count - share)).toBeLessThan(5 * Math.sqrt((share * (1 - share)) / 1000));
    expect(sum(step.bins, "selected")).not.toBe(truth);
    // Paused, nothing is computed; asked without, it is.
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect((await corpus.facets({ handle, query: { clauses }, partial: true, pause: true })).computed).toBe(0);
    let counted: FacetCounts = first;
    for (let tries = 0; counted.rows < count && tries < 300; tries++) {
      counted = await corpus.facets({ handle, query: { clauses }, partial: true });
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect([counted.rows, counted.computed]).toEqual([count, undefined]);
    expectExact(counted.facets, clauses);
  }, 60_000);
});

describe("columns that cannot be computed", () => {
  it("leave estimates that say why", async () => {
    workspace = new Workspace();
    const database = await Database.open();
    await database.session(undefined, (session) => session.run(`COPY (SELECT 'row ' || range AS text FROM range(20000)) TO '${workspace.at("p.parquet")}' (FORMAT parquet)`));
    database.close();
    const { handle } = await corpus.open({ path: workspace.at("p.parquet") });
    const ask = () => corpus.facets({ handle, query: { clauses: [] }, partial: true });
    const [folder = ""] = readdirSync(workspace.at(".tillage/cache/browse")).map((name) => workspace.at(`.tillage/cache/browse/${name}`));
    // A file where the folder was: nothing can be written into it.
    rmSync(folder, { recursive: true });
    writeFileSync(folder, "");
    let counted = await ask();
    for (let tries = 0; !counted.problem && tries < 100; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      counted = await ask();
    }
    expect(counted).toMatchObject({ rows: 1000, computed: 0, problem: { blame: "environment" } });
  }, 60_000);
});

describe("a search over more rows than one stretch", () => {
  it("gives the first rows before it is through, in the file's order, and in the end all", async () => {
    const { handle } = await opened();
    const query: Query = { clauses: [{ kind: "search", text: "committee", mode: "literal", caseSensitive: false }] };
    const truth = documents.flatMap((row, i) => (row.text.includes("committee") ? [i] : []));
    const first = await corpus.page({ handle, query, offset: 0, limit: 20, partial: true });
    expect(first.rows.map((row) => row.row)).toEqual(truth.slice(0, 20));
    expect(first.scanned).toBeLessThan(count);
    expect(first.total).toBe(truth.filter((row) => row < (first.scanned ?? 0)).length);
    let page: Page = first;
    for (let tries = 0; page.scanned !== undefined && tries < 200; tries++) page = await corpus.page({ handle, query, offset: 0, limit: 0, partial: true });
    expect([page.total, page.scanned]).toEqual([truth.length, undefined]);
    const tail = await corpus.page({ handle, query, offset: truth.length - 7, limit: 100 });
    expect(tail.rows.map((row) => row.row)).toEqual(truth.slice(-7));
    const sorted = await corpus.page({ handle, query: { ...query, sort: { column: "step", descending: true } }, offset: 5, limit: 50 });
    const order = [...truth].sort((a, b) => (documents[b]?.step ?? 0) - (documents[a]?.step ?? 0) || a - b);
    expect(sorted.rows.map((row) => row.row)).toEqual(order.slice(5, 55));
  }, 60_000);

  it("that meets an error in a later row says so, and can be asked again", async () => {
    const { handle } = await opened();
    const query: Query = { clauses: [{ kind: "sql", predicate: "CASE WHEN step >= 0 AND text LIKE '%19999' THEN CAST(text AS INTEGER) > 0 ELSE true END" }] };
    for (let i = 0; i < 2; i++) expect(await problemOf(corpus.page({ handle, query, offset: 0, limit: 10 }))).toMatchObject({ blame: "user", code: "sql_error" });
    expect((await corpus.page({ handle, query: { clauses: [] }, offset: 0, limit: 1 })).total).toBe(count);
  }, 60_000);
});

describe("a file of several pieces", () => {
  const rows = 300_000;
  async function openedPieces() {
    workspace = new Workspace();
    const database = await Database.open();
    await database.session(undefined, (session) => session.run(`COPY (SELECT 'row ' || range || ' is here' AS text, (range * 7919) % 1000 AS n FROM range(${rows})) TO '${workspace.at("p.parquet")}' (FORMAT parquet, ROW_GROUP_SIZE 20480)`));
    database.close();
    return corpus.open({ path: workspace.at("p.parquet") });
  }

  it("is searched to its end, and its pieces are put together", async () => {
    const { handle } = await openedPieces();
    const query: Query = { clauses: [{ kind: "search", text: "row [0-9]*9999 ", mode: "regex", caseSensitive: true }] };
    const truth = Array.from({ length: rows / 10_000 }, (_, i) => i * 10_000 + 9999);
    expect((await corpus.page({ handle, query, offset: 0, limit: 100 })).rows.map((row) => row.row)).toEqual(truth);
    const { facets } = await corpus.facets({ handle, query: { clauses: [range("n", 0, 99)] } });
    const n = facet(facets, "n");
    expect(n.kind === "histogram" && [...new Set(n.bins.map((bin) => bin.all / (bin.x1 - bin.x0)))]).toEqual([rows / 1000]);
    const chars = facet(facets, "chars");
    expect(chars.kind === "histogram" && chars.bins.reduce((sum, bin) => sum + bin.selected, 0)).toBe(rows / 10);
    const last = await corpus.page({ handle, query: { clauses: [range("chars", 18, null), range("n", 1, 1)] }, offset: 0, limit: 1000 });
    expect(last.rows.map((row) => row.row)).toEqual(Array.from({ length: rows }, (_, i) => i).filter((i) => (i * 7919) % 1000 === 1 && i >= 100_000));
  }, 60_000);

  it("stops computing when it is told to, and goes on from there", async () => {
    const { handle } = await openedPieces();
    const ask = (pause: boolean) => corpus.facets({ handle, query: { clauses: [] }, partial: true, pause });
    const started = performance.now();
    let { computed } = await ask(false);
    for (; computed === 0; ({ computed } = await ask(false))) await new Promise((resolve) => setTimeout(resolve, 50));
    const piece = performance.now() - started;
    const before = (await ask(true)).computed;
    await new Promise((resolve) => setTimeout(resolve, 1.3 * piece));
    // The next piece would be there by now.
    expect((await ask(true)).computed).toBe(before);
    expect(before).toBeLessThan(rows);
    expect((await corpus.facets({ handle, query: { clauses: [] } })).rows).toBe(rows);
  }, 120_000);
});

describe("a folder of files", () => {
  it("is one corpus: rows by their position, files as a column, and SQL over the computed columns", async () => {
    workspace = new Workspace();
    const third = Math.floor(count / 3);
    workspace.rows("data/a.jsonl", documents.slice(0, third));
    workspace.rows("data/b.jsonl", documents.slice(third, 2 * third));
    workspace.rows("data/c.jsonl", documents.slice(2 * third).map((row) => ({ ...row, extra: 1 })));
    const open = await corpus.open({ path: workspace.at("data") });
    expect([open.rows, open.files, open.columns.map((column) => column.name)]).toEqual([count, 3, ["text", "score", "step", "topic", "good", "extra", "file", "chars", "words", "language", "quality", "pii"]]);
    const { handle } = open;
    const clauses: Clause[] = [ticks("file", "b.jsonl"), range("step", 100, 200)];
    const truth = documents.flatMap((row, i) => (i >= third && i < 2 * third && row.step >= 100 && row.step <= 200 ? [i] : []));
    expect((await corpus.page({ handle, query: { clauses }, offset: 0, limit: 1000 })).rows.map((row) => row.row)).toEqual(truth.slice(0, 1000));
    const files = facet((await corpus.facets({ handle, query: { clauses } })).facets, "file");
    expect(files.kind === "categories" && files.values.map(({ value, all }) => [value, all])).toEqual([["c.jsonl", count - 2 * third], ["a.jsonl", third], ["b.jsonl", third]]);
    const sql = await corpus.page({ handle, query: { clauses: [{ kind: "sql", predicate: "words > 30 and extra = 1" }] }, offset: 0, limit: 1000 });
    expect(sql.rows.map((row) => row.row)).toEqual(documents.flatMap((row, i) => (i >= 2 * third && row.text.split(/\s+/).length > 30 ? [i] : [])).slice(0, 1000));
    expect((await corpus.detail({ handle, row: third + 3 })).values.text).toBe(documents[third + 3]?.text);
    expect((await corpus.page({ handle, query: { clauses: [] }, offset: third - 2, limit: 4 })).rows.map((row) => row.cells[0])).toEqual(documents.slice(third - 2, third + 2).map((row) => row.text));
    workspace.rows("data/b.jsonl", documents.slice(0, 3));
    expect(await problemOf(corpus.page({ handle, query: { clauses: [] }, offset: 0, limit: 1 }))).toMatchObject({ code: "file_changed" });
  }, 60_000);

  it("of Parquet files is read in place, whatever the columns of each are", async () => {
    workspace = new Workspace();
    workspace.write("p/.keep", "");
    const database = await Database.open();
    await database.session(undefined, async (session) => {
      await session.run(`COPY (SELECT 'a ' || range AS text, range AS n, 1.5::DOUBLE AS x FROM range(3000)) TO '${workspace.at("p/a.parquet")}' (FORMAT parquet, ROW_GROUP_SIZE 2048)`);
      await session.run(`COPY (SELECT 'b ' || range AS text, range / 2 AS n, CASE range WHEN 7 THEN 'inf'::DOUBLE WHEN 8 THEN 'nan'::DOUBLE ELSE 0 END AS x, [range] AS list FROM range(100)) TO '${workspace.at("p/b.parquet")}' (FORMAT parquet)`);
    });
    database.close();
    const { handle, rows, columns } = await corpus.open({ path: workspace.at("p") });
    expect([rows, columns.slice(0, 5).map(({ name, type }) => [name, type])]).toEqual([3100, [["text", "VARCHAR"], ["n", "DOUBLE"], ["x", "DOUBLE"], ["list", "JSON"], ["file", "VARCHAR"]]]);
    const page = await corpus.page({ handle, query: { clauses: [] }, offset: 2999, limit: 3 });
    expect(page.rows.map((row) => row.cells.slice(0, 5))).toEqual([["a 2999", 2999, 1.5, null, "a.parquet"], ["b 0", 0, 0, "[0]", "b.parquet"], ["b 1", 0.5, 0, "[1]", "b.parquet"]]);
    // NaN is greater than all in DuckDB, and neither it nor infinity has a bin.
    const found = await corpus.facets({ handle, query: { clauses: [range("x", 0.1, null)] } });
    const x = facet(found.facets, "x");
    expect(x.kind === "histogram" && [x.nulls, x.bins.reduce((sum, bin) => sum + bin.all, 0)]).toEqual([2, 3098]);
    expect((await corpus.page({ handle, query: { clauses: [range("x", 0.1, null)] }, offset: 0, limit: 1 })).total).toBe(3002);
  }, 60_000);
});
