import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { sizeCategory } from "../../../src/core/dataset/card";
import { createLocalCorpus } from "../../../src/data/local";
import type { DatasetFormat } from "../../../src/protocol/corpus";
import { problemOf, Workspace } from "./support";

const corpus = createLocalCorpus();
let workspace = new Workspace();
afterEach(() => workspace.remove());
afterAll(() => corpus.dispose());

const messages = (question: string, answer: string) => [{ role: "user", content: question }, { role: "assistant", content: answer }];
const recipe = "sources:\n  s: { files: s.jsonl }\nsteps:\n  - dedup: { exact: exact }\nsplit: { train: 80%, valid: 20% }\n";
const build = async (text = recipe): Promise<string> => (await corpus.build({ path: workspace.at("chats.recipe.yaml"), text: `tillage: 1\n${text}` })).dataset;
const write = async (to: DatasetFormat, plain = false, text?: string) => corpus.exportDataset({ dataset: await build(text), to, out: workspace.at(`out-${to}`), plain });
const lines = (file: string): Record<string, unknown>[] => readFileSync(file, "utf8").trimEnd().split("\n").map((line) => JSON.parse(line) as Record<string, unknown>);
const chats = () => {
  workspace = new Workspace();
  const rows = Array.from({ length: 20 }, (_, i) => ({ messages: messages(`Question ${i} about thing ${i * 7}?`, `Answer | ${i}.`), topic: i % 2 === 0 ? "a" : "b" }));
  workspace.rows("s.jsonl", [...rows, rows[3] ?? {}]);
};

describe("a dataset that is written for others", () => {
  it("as JSON lines has conversations as lists, each side in a file, with or without the way back to the sources", async () => {
    chats();
    const { files, rows } = await write("jsonl");
    expect([files.map((file) => path.basename(file)), rows]).toEqual([["train.jsonl", "valid.jsonl"], 20]);
    const all = files.flatMap(lines);
    expect(all.length).toBe(20);
    const first = all.find((row) => JSON.stringify(row["messages"]).includes("Question 3 "));
    expect(first).toMatchObject({ messages: messages("Question 3 about thing 21?", "Answer | 3."), topic: "b", _source: "s", _file: "s.jsonl", _file_row: 3 });
    const plain = await corpus.exportDataset({ dataset: await build(), to: "jsonl", out: workspace.at("plain"), plain: true });
    expect(plain.files.flatMap(lines).map((row) => Object.keys(row).sort().join())).toEqual(Array.from({ length: 20 }, () => "messages,topic"));
  });

  it("as Parquet has conversations as lists of structs, which are read back as the same rows", async () => {
    chats();
    const { files } = await write("parquet", true);
    const opened = await corpus.open({ path: files[0] ?? "" });
    expect(opened).toMatchObject({ shape: "chat", columns: expect.arrayContaining([expect.objectContaining({ name: "messages", kind: "nested" })]) as unknown });
    const again = await corpus.build({ path: workspace.at("again.recipe.yaml"), text: "tillage: 1\nsources:\n  s: { files: out-parquet/*.parquet }\n" });
    const diff = await corpus.diff({ before: await build(), after: again.dataset, limit: 1 });
    expect(diff).toMatchObject({ same: 20, added: 0, removed: 0, changed: 0 });
  });

  it("for the hub names its splits and files, and its card lists what each step took out", async () => {
    chats();
    const { files, out } = await write("hub", false, `${recipe}mix: { by: topic, shares: { a: 60%, b: 40% }, budget: 200 tokens }\n# a comment with \`\`\` in it\n`);
    expect(files.map((file) => path.relative(out, file))).toEqual(["data/train-00000-of-00001.parquet", "data/validation-00000-of-00001.parquet"]);
    const card = readFileSync(path.join(out, "README.md"), "utf8");
    expect(parse(card.split("---\n")[1] ?? "")).toEqual({
      configs: [{ config_name: "default", data_files: [{ split: "train", path: "data/train-*" }, { split: "validation", path: "data/validation-*" }] }],
      size_categories: ["n<1K"],
    });
    expect(card).toContain("| dedup exact | 21 | 20 | 0 | exact duplicate 1 |");
    expect(card).toMatch(/\| s \| 21 \| \d+ \| 0 \| `s\.jsonl` \([0-9a-f]{12}\) \|/);
    expect(card).toMatch(/\| a \| \d+ \| \d+ \| 60 % \| \d\.\d\d \|/);
    expect(card).toMatch(/````yaml\n[^]*by: topic[^]*````\n$/);
    expect(card).not.toContain(workspace.folder);
  });

  it("never goes over what is there, and leaves nothing behind when it fails", async () => {
    chats();
    mkdirSync(workspace.at("out-jsonl"));
    expect((await write("jsonl")).rows).toBe(20);
    expect(await problemOf(write("jsonl"))).toMatchObject({ blame: "user", code: "out_exists" });
    writeFileSync(workspace.at("file"), "mine");
    expect(await problemOf(corpus.exportDataset({ dataset: await build(), to: "hub", out: workspace.at("file") }))).toMatchObject({ code: "out_exists" });
    expect(readFileSync(workspace.at("file"), "utf8")).toBe("mine");
    const aborted = new AbortController();
    aborted.abort();
    expect((await problemOf(corpus.exportDataset({ dataset: await build(), to: "hub", out: workspace.at("late") }, aborted.signal))).code).toBe("cancelled");
    expect(existsSync(workspace.at("late"))).toBe(false);
    expect(readdirSync(workspace.folder).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });

  it("has the hub's size categories", () => {
    expect([1, 999, 1000, 99_999, 1e6, 3e12].map(sizeCategory)).toEqual(["n<1K", "n<1K", "1K<n<10K", "10K<n<100K", "1M<n<10M", "n>1T"]);
  });
});
