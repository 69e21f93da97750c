import { writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { createLocalCorpus } from "../../../src/data/local";
import { datasetRows, problemOf, Workspace } from "./support";

const corpus = createLocalCorpus();
let workspace = new Workspace();
afterEach(() => workspace.remove());
afterAll(() => corpus.dispose());

/** What a build keeps and what it lists, and the most memory and time that it took. */
async function build(source: string) {
  const started = performance.now();
  let most = process.memoryUsage().rss;
  const before = most;
  const watch = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 20);
  try {
    const result = await corpus.build({ path: workspace.write("s.recipe.yaml", `tillage: 1\nsources:\n  s: ${source}\n`) });
    const rows = await datasetRows(corpus, result.split[0]?.files ?? []);
    return { texts: rows.sort((a, b) => Number(a._file_row) - Number(b._file_row)).map((row) => [row._file_row, row.text]), bad: (result.sources[0]?.bad ?? []).map(({ line, reason }) => [line, reason]), seconds: (performance.now() - started) / 1000, bytes: most - before };
  } finally {
    clearInterval(watch);
  }
}
const MB = 1024 * 1024;

describe("what is too large", () => {
  it("a line of 50 MB is listed, one of 15 MB is read, in bounded memory", async () => {
    workspace = new Workspace();
    const line = (size: number) => `{"text":"${"a ".repeat((size * MB) / 2)}"}\n`;
    workspace.write("l.jsonl", `{"text":"before"}\n${line(50)}${line(15)}{"text":"after"}\n`);
    const { texts, bad, seconds, bytes } = await build("{ files: l.jsonl }");
    expect(texts.map(([at, text]) => [at, String(text).slice(0, 6)])).toEqual([[0, "before"], [2, "a a a "], [3, "after"]]);
    expect(bad).toEqual([[2, "the line has 50 MB; at most 16 MB are read"]]);
    console.log(`lines of 50 and 15 MB: ${seconds.toFixed(1)} s, ${Math.round(bytes / MB)} MB more`);
    expect(bytes).toBeLessThan(2500 * MB);
  }, 120_000);

  it.each(["jsonl", "json", "csv", "txt", "jsonl.gz"])("a row of 200 MB is listed and kept out (.%s)", async (extension) => {
    workspace = new Workspace();
    const long = Buffer.alloc(200 * MB, "a ");
    const [head, tail] = { jsonl: ['{"text":"before"}\n{"text":"', '"}\n{"text":"after"}\n'], json: ['[{"text":"before"},\n{"text":"', '"},\n{"text":"after"}]'], csv: ['text,n\nbefore,1\n"', '",2\nafter,3\n'], txt: ["before\n", "\nafter\n"], "jsonl.gz": ['{"text":"before"}\n{"text":"', '"}\n{"text":"after"}\n'] }[extension] ?? ["", ""];
    const bytes = Buffer.concat([Buffer.from(head ?? ""), long, Buffer.from(tail ?? "")]);
    writeFileSync(workspace.at(`l.${extension}`), extension.endsWith("gz") ? gzipSync(bytes, { level: 1 }) : bytes);
    const { texts, bad, seconds, bytes: memory } = await build(`{ files: l.${extension}${extension === "txt" ? ", rows: line" : ""} }`);
    expect(texts.map(([, text]) => text)).toEqual(["before", "after"]);
    expect(bad).toHaveLength(1);
    expect(bad[0]?.[0]).toBe(extension === "csv" ? 3 : 2);
    expect(String(bad[0]?.[1])).toMatch(/200 MB; at most 16 MB are read|too long|not a JSON object/);
    console.log(`a row of 200 MB in .${extension}: ${seconds.toFixed(1)} s, ${Math.round(memory / MB)} MB more`);
    expect(memory).toBeLessThan(1000 * MB);
  }, 120_000);

  it.each(["jsonl", "csv"])("10,000 columns are read (.%s)", async (extension) => {
    workspace = new Workspace();
    const names = Array.from({ length: 10_000 }, (_, i) => `c${i}`);
    if (extension === "csv") workspace.write("w.csv", `text,${names.join(",")}\nx,${names.map((_, i) => i).join(",")}\ny,${names.map((_, i) => i).join(",")}\n`);
    else workspace.rows("w.jsonl", [{ text: "x", ...Object.fromEntries(names.map((name, i) => [name, i])) }, { text: "y" }]);
    const { texts, seconds } = await build(`{ files: w.${extension} }`);
    expect(texts.map(([, text]) => text)).toEqual(["x", "y"]);
    console.log(`10,000 columns in .${extension}: ${seconds.toFixed(1)} s`);
  }, 300_000);
});

describe("what is nested", () => {
  const deep = 100_000;
  it.each([["lists", "[".repeat(deep) + "]".repeat(deep)], ["objects", '{"a":'.repeat(deep) + "1" + "}".repeat(deep)], ["lists that are never closed", "[".repeat(deep)]])("100,000 %s deep is listed and kept out", async (_what, value) => {
    workspace = new Workspace();
    workspace.write("d.jsonl", `{"text":"before"}\n{"text":"x","a":${value}}\n{"text":"after, with [[[ in it"}\n`);
    workspace.write("d.json", `[{"text":"before"},\n{"text":"x","a":${value}}${value.endsWith("[") ? "" : ',\n{"text":"after, with [[[ in it"}'}]`);
    const lines = await build("{ files: d.jsonl }");
    expect(lines.texts.map(([, text]) => text)).toEqual(["before", "after, with [[[ in it"]);
    expect(lines.bad).toEqual([[2, "it is nested deeper than 1000 levels"]]);
    const json = await build("{ files: d.json }");
    expect(json.texts[0]).toEqual([0, "before"]);
    expect(json.bad).toEqual([[2, "it is nested deeper than 1000 levels"]]);
    expect(lines.seconds + json.seconds).toBeLessThan(20);
  });

  it("900 deep, and many brackets in a text, is read", async () => {
    workspace = new Workspace();
    workspace.rows("d.jsonl", [{ text: "[{".repeat(5000) }, { text: "x", a: JSON.parse("[".repeat(900) + "]".repeat(900)) as unknown }]);
    expect((await build("{ files: d.jsonl }")).texts.map(([, text]) => String(text).length)).toEqual([400, 1]);
  });

  it("100,000 deep in a text that should be a conversation is a bad row", async () => {
    workspace = new Workspace();
    const cell = `[{"role":"user","content":${"[".repeat(deep)}${"]".repeat(deep)}}]`;
    workspace.rows("c.jsonl", [{ messages: cell }, { messages: '[{"role":"user","content":"hi"}]' }]);
    expect((await build("{ files: c.jsonl, as: chat }")).bad).toEqual([[1, "a turn of 'messages' has a part that is no text: unknown"]]);
  });
});

describe("what is in another encoding", () => {
  it.each([["UTF-16", Buffer.from('\uFEFF{"text":"x"}\n', "utf16le")], ["UTF-16", Buffer.from('\uFEFF{"text":"x"}\n', "utf16le").swap16()], ["UTF-32", Buffer.from([0xff, 0xfe, 0, 0, 0x7b, 0, 0, 0])]])("%s is told as such, with what to do", async (name, bytes) => {
    workspace = new Workspace();
    for (const file of ["e.jsonl", "e.csv", "e.txt", "e.json"]) {
      workspace.write(file, bytes);
      for (const call of [() => build(`{ files: ${file} }`), () => corpus.open({ path: workspace.at(file) })]) {
        const problem = await problemOf(call());
        expect(problem).toMatchObject({ blame: "user", code: "wrong_encoding", file: workspace.at(file) });
        expect(problem.message).toContain(name);
        expect(problem.remedy).toContain("iconv");
      }
    }
  });

  it("lines of Latin-1 among UTF-8 and NUL bytes are listed", async () => {
    workspace = new Workspace();
    workspace.write("m.jsonl", Buffer.concat([Buffer.from('{"text":"caf\u00e9"}\n'), Buffer.from('{"text":"caf\u00e9"}\n', "latin1"), Buffer.from('{"text":"nul\0"}\n{"text":"escaped\\u0000nul"}\n{"text":"half \\ud800"}\n')]));
    const { texts, bad } = await build("{ files: m.jsonl }");
    expect(texts.slice(0, 2)).toEqual([[0, "caf\u00e9"], [3, "escaped\0nul"]]);
    expect(bad.map(([line, reason]) => [line, String(reason).replace(/:.*/, "")])).toEqual([[2, "it is not valid UTF-8"], [3, "it is not valid JSON"], [5, "it has escapes that are no text, such as half of a surrogate pair (\\ud800)"]]);
  });
});
