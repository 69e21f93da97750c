import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { corpusExtensions, formatOfName, isCorpusName, isTextualCorpus, readableExtensions } from "../../../src/core/dataset/formats";
import { createLocalCorpus } from "../../../src/data/local";
import { globPattern } from "../../../src/data/sources/folder";
import { unpack } from "../../../src/data/sources/unpack";
import { datasetRows, problemOf, Workspace } from "./support";

const corpus = createLocalCorpus();
let workspace = new Workspace();
afterEach(() => workspace.remove());
afterAll(() => corpus.dispose());

async function build(source: string) {
  const result = await corpus.build({ path: workspace.write("s.recipe.yaml", `tillage: 1\nsources:\n  s: ${source}\n`) });
  const rows = await datasetRows(corpus, result.split[0]?.files ?? []);
  return { result, bad: result.sources[0]?.bad ?? [], rows: rows.sort((a, b) => String(a._file).localeCompare(String(b._file)) || Number(a._file_row) - Number(b._file_row)) };
}
const texts = async (source: string) => (await build(source)).rows.map((row) => [row._file_row, row.text]);
/** A file packed by zstd's own program. */
const zstd = (file: string): Buffer => execFileSync("zstd", ["-q", "-c", "-19", file], { maxBuffer: 1 << 30 });
const hasZstd = ((): boolean => {
  try {
    execFileSync("zstd", ["--version"]);
    return true;
  } catch {
    console.log("skipped: the program zstd is not there");
    return false;
  }
})();
/** `{"text":"one"}` and `{"text":"two"}`, a line each, packed by zstd 1.5. */
const packedLines = Buffer.from("KLUv/QRY3QAAqHsidGV4dCI6Im9uZSJ9CnR3byJ9CgEAUsw6kOLf7g==", "base64");

describe("the table of formats", () => {
  it("is what package.json contributes", () => {
    interface Contributes { customEditors: { viewType: string; selector: { filenamePattern: string }[] }[]; menus: Record<string, { command: string; when: string }[]> }
    const { contributes } = JSON.parse(readFileSync("package.json", "utf8")) as { contributes: Contributes };
    const patterns = contributes.customEditors.flatMap((editor) => editor.selector.map((one) => one.filenamePattern.slice(2)));
    expect(patterns.sort()).toEqual([...readableExtensions].sort());
    const when = /resourceFilename =~ \/(.*?)\/ /.exec(contributes.menus["explorer/context"]?.find((item) => item.command === "tillage.corpus.open")?.when ?? "")?.[1] ?? "never";
    for (const extension of [...readableExtensions, "zip", "gz", "parquet.gz", "yaml"]) expect([extension, new RegExp(when).test(`a.${extension}`)]).toEqual([extension, formatOfName(`a.${extension}`) !== undefined]);
    const title = /resourceExtname =~ \/(.*?)\/ /.exec(contributes.menus["editor/title"]?.find((item) => item.command === "tillage.corpus.open")?.when ?? "")?.[1] ?? "never";
    for (const extension of corpusExtensions) expect([extension, new RegExp(title).test(`.${extension.split(".").at(-1) ?? ""}`)]).toEqual([extension, isTextualCorpus(`a.${extension}`)]);
  });

  it("knows packed files, and which are corpora by their name", () => {
    expect(formatOfName("/d/A.JSONL.GZ")).toEqual({ format: "jsonl", extension: "jsonl", compression: "gz" });
    expect(["a.parquet.gz", "a.gz", "jsonl", "a.yaml"].map(formatOfName)).toEqual([undefined, undefined, undefined, undefined]);
    expect(["a.csv.zst", "package.json", "README.md", "a.txt"].map(isCorpusName)).toEqual([true, false, false, false]);
  });
});

describe("JSON", () => {
  it("is a list of objects, over several lines or in one, with what DuckDB would take for line breaks in texts", async () => {
    workspace = new Workspace();
    const rows = [{ text: 'a "quoted\\" [{,', n: 1 }, { text: "two\nlines", meta: { a: [1, { b: "}" }] } }, { text: "three" }];
    for (const [i, json] of [JSON.stringify(rows), JSON.stringify(rows, null, 2), `\uFEFF  ${JSON.stringify(rows, null, "\t").replaceAll("\n", "\r\n")}`].entries()) {
      workspace.write(`${i}.json`, json);
      expect((await build(`{ files: ${i}.json }`)).rows.map((row) => [row._file_row, row.text])).toEqual(rows.map((row, k) => [k, row.text]));
    }
  });

  it("is an object with one such list beside other things", async () => {
    workspace = new Workspace();
    workspace.write("o.json", JSON.stringify({ version: "1", tags: ["x", "y"], nested: { data: [{ text: "not this" }] }, data: [{ text: "one" }, { text: "two" }], count: 2 }, null, 1));
    expect(await texts("{ files: o.json }")).toEqual([[0, "one"], [1, "two"]]);
    workspace.write("two.json", JSON.stringify({ train: [{ text: "one" }], test: [{ text: "two" }] }));
    expect(await problemOf(build("{ files: two.json }"))).toMatchObject({ code: "several_arrays", file: workspace.at("two.json") });
    workspace.write("one.json", '{"text": "the only one"}');
    expect(await texts("{ files: one.json }")).toEqual([[0, "the only one"]]);
    for (const wrong of ["[1, 2]", '{\n"a": 1}', "7", "[]"]) {
      workspace.write("w.json", wrong);
      expect([wrong, (await problemOf(build("{ files: w.json, as: text }"))).blame]).toEqual([wrong, "user"]);
    }
  });

  it("may be JSONL under another name", async () => {
    workspace = new Workspace();
    workspace.write("l.json", '{"text":"one"}\n\n{"text":"two"}\n');
    expect(await texts("{ files: l.json }")).toEqual([[0, "one"], [2, "two"]]);
  });

  it("names the lines of broken elements and reads those behind them", async () => {
    workspace = new Workspace();
    workspace.write("b.json", '[\n  {"text": "one"},\n  {"text": oops},\n  7,\n  {"text": 8},\n  {"text": "raw\nbreak"},\n  {\n    "text": "last"\n  }\n]\n');
    const { rows, bad } = await build("{ files: b.json, as: text }");
    expect(rows.map((row) => [row._file_row, row.text])).toEqual([[0, "one"], [5, "last"]]);
    expect(bad.map(({ line, reason }) => [line, reason.replace(/:.*/, "")])).toEqual([[3, "it is not valid JSON"], [4, "it is a number, not a JSON object"], [5, "'text' is not a text but ubigint"], [6, "it is not valid JSON"]]);
  });

  it("that was cut short keeps what is whole", async () => {
    workspace = new Workspace();
    workspace.write("c.json", '[{"text": "one"},\n{"text": "tw');
    const { rows, bad } = await build("{ files: c.json }");
    expect(rows.map((row) => row.text)).toEqual(["one"]);
    expect(bad.map((row) => row.line)).toEqual([2]);
  });
});

describe("plain text", () => {
  const prose = "\uFEFFFirst line\r\nsecond line\r\n\r\n   \r\nSecond paragraph\n\n\nThird\n";
  it.each([
    ["", [[0, "First line\r\nsecond line\r\n\r\n   \r\nSecond paragraph\n\n\nThird\n"]]],
    [", rows: file", [[0, "First line\r\nsecond line\r\n\r\n   \r\nSecond paragraph\n\n\nThird\n"]]],
    [", rows: line", [[0, "First line"], [1, "second line"], [4, "Second paragraph"], [7, "Third"]]],
    [", rows: paragraph", [[0, "First line\nsecond line"], [4, "Second paragraph"], [7, "Third"]]],
  ])("is cut as '%s' says, and each row knows its line", async (rows, expected) => {
    workspace = new Workspace();
    workspace.write("p.txt", prose);
    expect(await texts(`{ files: p.txt${rows} }`)).toEqual(expected);
  });

  it("is opened by paragraphs", async () => {
    workspace = new Workspace();
    const opened = await corpus.open({ path: workspace.write("p.md", prose) });
    expect(opened).toMatchObject({ format: "text", shape: "text", rows: 3 });
    const page = await corpus.page({ handle: opened.handle, query: { clauses: [] }, offset: 0, limit: 5 });
    expect(page.rows.map((row) => row.row)).toEqual([0, 4, 7]);
    await corpus.close({ handle: opened.handle });
  });

  it("lists lines that are no text", async () => {
    workspace = new Workspace();
    workspace.write("n.txt", Buffer.from("good\ncaf\xe9\nnul\0here\nlast", "latin1"));
    const { rows, bad } = await build("{ files: n.txt, rows: line }");
    expect(rows.map((row) => row.text)).toEqual(["good", "last"]);
    expect(bad.map(({ line, reason }) => [line, reason])).toEqual([[2, "it is not valid UTF-8"], [3, "it has NUL bytes"]]);
  });

  it("refuses a word that it does not know", async () => {
    workspace = new Workspace();
    workspace.write("p.txt", "x");
    expect((await problemOf(build("{ files: p.txt, rows: sentence }"))).code).toBe("invalid_value");
  });
});

describe("packed files", () => {
  const lines = '{"text":"one"}\n\n{"text":"two"}\n{\n';
  it.each([["jsonl", lines], ["json", '[{"text":"one"},\n\n{"text":"two"},\n{]'], ["csv", "text,n\none,1\ntwo,2\nthree\n"], ["tsv", "text\tn\none\t1\ntwo\t2\nthree\n"], ["txt", "one\n\ntwo\nnul\0\n"]])(".%s.gz is read as the plain file is", async (extension, content) => {
    workspace = new Workspace();
    workspace.write(`a.${extension}.gz`, gzipSync(content));
    workspace.write(`a.${extension}`, content);
    const rows = extension === "txt" ? ", rows: line" : "";
    const [packed, plain] = [await build(`{ files: a.${extension}.gz${rows}, as: text }`), await build(`{ files: a.${extension}${rows}, as: text }`)];
    expect(packed.rows.map((row) => [row._file_row, row.text])).toEqual(plain.rows.map((row) => [row._file_row, row.text]));
    expect(packed.rows.map((row) => row.text)).toEqual(["one", "two"]);
    expect(packed.bad).toEqual([{ ...plain.bad[0], file: `a.${extension}.gz` }]);
    expect(packed.rows[0]?._file).toBe(`a.${extension}.gz`);
  });

  it(".zst is read, as bytes of zstd's own making", async () => {
    workspace = new Workspace();
    workspace.write("a.jsonl.zst", packedLines);
    expect(await texts("{ files: a.jsonl.zst }")).toEqual([[0, "one"], [1, "two"]]);
    const opened = await corpus.open({ path: workspace.at("a.jsonl.zst") });
    expect(opened).toMatchObject({ format: "jsonl", rows: 2 });
    await corpus.close({ handle: opened.handle });
  });

  it.runIf(hasZstd)(".zst of every kind of block is unpacked to the byte", async () => {
    workspace = new Workspace();
    let seed = 1;
    const random = (): number => (seed = (seed * 48271) % 2147483647) % 256;
    const bytes = Buffer.concat([Buffer.from("words and words ".repeat(40_000)), Buffer.from(Array.from({ length: 300_000 }, random)), Buffer.alloc(400_000, 97)]);
    workspace.write("b", bytes);
    workspace.write("b.zst", zstd(workspace.at("b")));
    await unpack(workspace.at("b.zst"), "zst", workspace.at("c"));
    expect(readFileSync(workspace.at("c")).equals(bytes)).toBe(true);
  });

  it.each(["gz", "zst"] as const)("that grow beyond the limits are refused (.%s), and nothing stays behind", async (kind) => {
    if (kind === "zst" && !hasZstd) return;
    workspace = new Workspace();
    const bytes = Buffer.alloc(40_000_000, 97);
    workspace.write("plain", bytes);
    workspace.write(`bomb.${kind}`, kind === "gz" ? gzipSync(bytes) : zstd(workspace.at("plain")));
    const limits = { freeBytes: 1_000_000, ratio: 300, bytes: 1e9, leftBytes: 0 };
    const before = process.memoryUsage().rss;
    expect(await problemOf(unpack(workspace.at(`bomb.${kind}`), kind, workspace.at("out"), undefined, limits))).toMatchObject({ blame: "user", code: "unpacked_too_large", file: workspace.at(`bomb.${kind}`) });
    expect(process.memoryUsage().rss - before).toBeLessThan(200e6);
    expect(await problemOf(unpack(workspace.at(`bomb.${kind}`), kind, workspace.at("out2"), undefined, { ...limits, freeBytes: 1e9, leftBytes: 1e18 }))).toMatchObject({ code: "disk_full", blame: "environment" });
  });

  it("that are broken are named", async () => {
    workspace = new Workspace();
    workspace.write("a.jsonl.gz", gzipSync(lines.repeat(1000)).subarray(0, 60));
    workspace.write("b.jsonl.gz", "no archive");
    workspace.write("c.jsonl.zst", "no archive");
    workspace.write("d.jsonl.zst", packedLines.subarray(0, 20));
    for (const file of ["a.jsonl.gz", "b.jsonl.gz", "c.jsonl.zst", "d.jsonl.zst"]) expect([file, await problemOf(build(`{ files: ${file} }`))]).toMatchObject([file, { code: "broken_archive", file: workspace.at(file) }]);
    workspace.write("e.jsonl.gz", gzipSync(""));
    expect(await problemOf(build("{ files: e.jsonl.gz }"))).toMatchObject({ code: "empty_file", file: workspace.at("e.jsonl.gz") });
  });

  const real = path.resolve("../shared/data/human_eval.jsonl.gz");
  if (!existsSync(real)) console.log(`skipped: ${real} is not there`);
  it.runIf(existsSync(real))("of others are read where they lie", async () => {
    workspace = new Workspace();
    const { result } = await build(`{ files: ${JSON.stringify(real)} }`);
    expect([result.shape, result.sources[0]?.rows]).toEqual(["verifiable", 164]);
  });
});

describe("CSV", () => {
  it("keeps out a record whose quote is never closed, and reads what is behind it", async () => {
    workspace = new Workspace();
    workspace.write("q.csv", 'text,n\n"good, with ""quotes""",1\n"never ends,2\nok,3\n"two\nlines",4\nlast "inner" one,5\n');
    const { rows, bad } = await build("{ files: q.csv }");
    expect(rows.map((row) => [row._file_row, row.text, row.n])).toEqual([[1, 'good, with "quotes"', 1], [3, "ok", 3], [4, "two\nlines", 4], [6, 'last "inner" one', 5]]);
    expect(bad.map(({ line, reason }) => [line, reason])).toEqual([[3, "something stands behind a closing quote"]]);
    workspace.write("e.csv", 'text,n\nok,1\n"never ends,2\nalso ok,3\n');
    const end = await build("{ files: e.csv }");
    expect(end.rows.map((row) => row.text)).toEqual(["ok", "also ok"]);
    expect(end.bad.map(({ line, reason }) => [line, reason])).toEqual([[3, "a quote is never closed"]]);
  });

  it("names a missing value's line, finds its delimiter, and lists NUL bytes and other encodings", async () => {
    workspace = new Workspace();
    workspace.write("d.csv", Buffer.from("text;topic\none, two;a\n\n;b\nnul\0;c\ncaf\xe9;d\nlast;e\n", "latin1"));
    const { rows, bad } = await build("{ files: d.csv }");
    expect(rows.map((row) => [row._file_row, row.text])).toEqual([[1, "one, two"], [6, "last"]]);
    expect(bad.map(({ line, reason }) => [line, reason])).toEqual([[4, "'text' is missing"], [5, "it has NUL bytes"], [6, "it is not valid UTF-8"]]);
  });
});

describe("a folder", () => {
  const row = (text: string) => `${JSON.stringify({ text })}\n`;
  const at = (folder: string, rest = "") => build(`{ files: ${folder}${rest} }`).then(({ rows }) => rows.map((one) => one.text));

  it("follows the hub's naming of shards, files and folders", async () => {
    workspace = new Workspace();
    for (const [file, text] of [["h/data/train-00001-of-00002.jsonl", "b"], ["h/data/train-00000-of-00002.jsonl", "a"], ["h/data/test-00000-of-00001.jsonl", "t"], ["h/extra.csv", "x"], ["f/train.jsonl", "a"], ["f/dev.jsonl", "v"], ["d/train/1.jsonl", "a"], ["d/train/2.jsonl", "b"], ["d/test/1.jsonl", "t"]] as const) workspace.write(file, row(text));
    expect(await at("h")).toEqual(["a", "b"]);
    expect(await at("h", ", split: test")).toEqual(["t"]);
    expect(await at("f")).toEqual(["a"]);
    expect(await at("f", ", split: validation")).toEqual(["v"]);
    expect(await at("d/")).toEqual(["a", "b"]);
    const problem = await problemOf(at("h", ", split: tests"));
    expect(problem).toMatchObject({ code: "unknown_split", line: 3 });
    expect(problem.message).toContain("Did you mean 'test'?");
  });

  it("follows its README's configs", async () => {
    workspace = new Workspace();
    for (const [file, text] of [["r/en/one.jsonl", "en"], ["r/de/one.jsonl", "de"], ["r/de/two.jsonl", "de2"], ["r/held.jsonl", "held"]] as const) workspace.write(file, row(text));
    workspace.write("r/README.md", '---\nlicense: mit\nconfigs:\n- config_name: en\n  default: true\n  data_files: "en/*.jsonl"\n- config_name: de\n  data_files:\n  - split: train\n    path: ["de/o*.jsonl", "de/two.jsonl"]\n  - split: test\n    path: held.jsonl\n---\n# A dataset\n');
    expect(await at("r")).toEqual(["en"]);
    expect(await at("r", ", config: de")).toEqual(["de", "de2"]);
    expect(await at("r", ", config: de, split: test")).toEqual(["held"]);
    expect((await problemOf(at("r", ", config: fr"))).message).toContain("There are en, de");
    workspace.write("r/README.md", "---\nconfigs: 7\n---\n");
    expect((await problemOf(at("r"))).code).toBe("broken_readme");
  });

  it("that says nothing is all of its files, of one format", async () => {
    workspace = new Workspace();
    for (const name of ["p/b.jsonl", "p/sub/a.jsonl", "p/.hidden.jsonl"]) workspace.write(name, row(name));
    workspace.write("p/README.md", "# No front matter\n");
    expect(await at("p")).toEqual(["p/b.jsonl", "p/sub/a.jsonl"]);
    workspace.write("p/c.csv", "text\nx\n");
    const problem = await problemOf(at("p"));
    expect(problem).toMatchObject({ code: "mixed_formats", line: 3 });
    expect(problem.message).toContain("2 jsonl, 1 csv");
    expect((await problemOf(at("p", ", split: test"))).code).toBe("unknown_split");
    mkdirSync(workspace.at("none"));
    expect((await problemOf(at("none"))).code).toBe("no_files");
    expect((await problemOf(build("{ files: p/b.jsonl, split: test }"))).code).toBe("no_folder");
  });

  it("that save_to_disk wrote is told apart", async () => {
    workspace = new Workspace();
    workspace.write("s/state.json", "{}");
    workspace.write("s/dataset_info.json", "{}");
    workspace.write("s/data-00000-of-00001.arrow", "ARROW1");
    const problem = await problemOf(at("s"));
    expect(problem).toMatchObject({ code: "saved_to_disk", line: 3 });
    expect(problem.remedy).toContain("to_parquet");
  });

  it.skipIf(process.platform === "win32")("with links in a circle is read once, as by a glob", async () => {
    workspace = new Workspace();
    workspace.write("l/a.jsonl", row("a"));
    workspace.write("l/sub/b.jsonl", row("b"));
    symlinkSync(workspace.at("l"), workspace.at("l/sub/again"));
    symlinkSync(workspace.at("nowhere"), workspace.at("l/gone.jsonl"));
    expect(await at("l")).toEqual(["a", "b"]);
    expect((await at('"l/**/*.jsonl"')).slice(0, 2)).toEqual(["a", "b"]);
  });

  it.each([["data/*.csv", "data/a.csv", true], ["data/*.csv", "data/x/a.csv", false], ["**/*.csv", "a.csv", true], ["**/*.csv", "x/y/a.csv", true], ["{train,dev}-?.jsonl", "dev-1.jsonl", true], ["a[0-9].txt", "a7.txt", true], ["a+(b).txt", "a+(b).txt", true], ["a.txt", "axtxt", false]])("matches %s as the hub does: %s", (glob, name, matches) => {
    expect(globPattern(glob).test(name)).toBe(matches);
  });
});
