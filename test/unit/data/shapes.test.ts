import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { detect } from "../../../src/core/dataset";
import { nativeRow } from "../../../src/core/dataset/native-row";
import { createLocalCorpus } from "../../../src/data/local";
import { datasetRows, problemOf, Workspace } from "./support";

const corpus = createLocalCorpus();
let workspace = new Workspace();
afterEach(() => workspace.remove());
afterAll(() => corpus.dispose());

async function built(rows: readonly object[], source = "{ files: r.jsonl }") {
  workspace = new Workspace();
  workspace.rows("r.jsonl", rows);
  const result = await corpus.build({ path: workspace.write("r.recipe.yaml", `tillage: 1\nsources:\n  r: ${source}\n`) });
  const read = await datasetRows(corpus, result.split[0]?.files ?? []);
  return { result, rows: read.sort((a, b) => Number(a._file_row) - Number(b._file_row)), bad: result.sources[0]?.bad ?? [] };
}
const json = (value: unknown): unknown => JSON.parse(String(value));
const user = (content: string) => ({ role: "user", content });
const assistant = (content: string) => ({ role: "assistant", content });

describe("detection", () => {
  it.each([
    [["prompt", "chosen", "rejected", "messages"], "preference", "sure"],
    [["prompt", "answer"], "verifiable", "sure"],
    [["task_id", "prompt", "canonical_solution", "test"], "verifiable", "sure"],
    [["question", "answer"], "prompt/completion", "sure"],
    [["prompt", "completion", "text"], "prompt/completion", "unsure"],
    [["prompt", "completion", "answer"], "prompt/completion", "unsure"],
    [["messages", "text"], "chat", "unsure"],
    [["input", "output"], "prompt/completion", "unsure"],
    [["body", "id"], "table", "unsure"],
  ])("%j is %s, %s", (columns, shape, confidence) => {
    expect(detect(columns)).toMatchObject({ shape, confidence });
  });

  it("names the columns, the reason and the alternatives", () => {
    expect(detect(["question", "answer", "id"])).toMatchObject({
      columns: { prompt: "question", completion: "answer" }, reason: "it has 'question' and 'answer'",
      alternatives: [{ shape: "verifiable", columns: { prompt: "question", answer: "answer" } }],
    });
    expect(detect(["body", "id"]).alternatives).toEqual([{ shape: "text", columns: { text: "body" } }]);
    expect(detect(["messages", "text"])).toMatchObject({ reason: "it has 'messages', and 'text' too, which would make it text", alternatives: [{ shape: "text", columns: { text: "text" } }] });
  });

  it("goes by what a label holds", () => {
    const of = (label: "boolean" | "number" | "text") => detect(["prompt", "completion", "label"], (name) => (name === "label" ? label : "text"));
    expect(of("boolean")).toMatchObject({ shape: "preference", confidence: "sure", columns: { label: "label" }, alternatives: [{ shape: "prompt/completion" }] });
    expect(of("number")).toMatchObject({ shape: "preference", confidence: "unsure" });
    expect(of("text")).toMatchObject({ shape: "prompt/completion", confidence: "sure" });
  });

  it("is told when a file is opened, and again from the cache", async () => {
    workspace = new Workspace();
    const file = workspace.rows("u.jsonl", [{ messages: [user("hi"), assistant("yes")], text: "hi yes" }]);
    for (let i = 0; i < 2; i++) {
      const opened = await corpus.open({ path: file });
      expect(opened.detection).toMatchObject({ shape: "chat", confidence: "unsure", columns: { messages: "messages" }, alternatives: [{ shape: "text", columns: { text: "text" } }] });
      await corpus.close({ handle: opened.handle });
    }
    expect((await problemOf(built([{ body: "x" }]))).remedy).toContain("as: text, map: { text: body }");
  });
});

describe("chat", () => {
  const shared = (turns: readonly (readonly [string, string])[]) => ({ conversations: turns.map(([from, value]) => ({ from, value })) });

  it("knows who speaks in ShareGPT's dialects, and calls of tools", async () => {
    const talk = shared([["system", "s"], ["human", "h"], ["function_call", '{"name":"heat","arguments":{"to":5}}'], ["observation", "hot"], ["gpt", "g"], ["user", "u"], ["assistant", "a"], ["tool", "t"], ["chatgpt", "c"]]);
    const { result, rows } = await built([talk]);
    expect(result.shape).toBe("chat");
    const expected = [
      { role: "system", content: "s" }, user("h"), { role: "assistant", content: null, tool_calls: [{ type: "function", function: { name: "heat", arguments: { to: 5 } } }] },
      { role: "tool", content: "hot" }, assistant("g"), user("u"), assistant("a"), { role: "tool", content: "t" }, assistant("c"),
    ];
    expect(json(rows[0]?.messages)).toEqual(expected);
    expect(nativeRow("chat", { conversations: JSON.stringify(talk.conversations) })).toEqual({ messages: expected });
  });

  it("lists a speaker that nobody knows and a call that is none", async () => {
    const { bad, rows } = await built([shared([["human", "h"], ["narrator", "n"]]), shared([["function_call", "heat it"]]), shared([["human", "good"], ["gpt", "yes"]])]);
    expect(rows).toHaveLength(1);
    expect(bad.map((row) => row.reason.replace(/; known.*/, ""))).toEqual(["a turn of 'conversations' is from 'narrator'", "a turn of 'conversations' is a function_call, but no JSON with a name"]);
  });

  it("puts a system text that stands apart in front", async () => {
    const { rows } = await built([{ ...shared([["human", "h"], ["gpt", "g"]]), system: "Be brief." }, { ...shared([["human", "h2"], ["gpt", "g"]]), system: "" }]);
    expect(rows.map((row) => json(row.messages))).toEqual([[{ role: "system", content: "Be brief." }, user("h"), assistant("g")], [user("h2"), assistant("g")]]);
  });

  it("joins parts of text, keeps what else a turn has, and lists parts that are no text", async () => {
    const parts = (...content: object[]) => ({ messages: [{ role: "user", content, name: "jo" }, assistant("yes")] });
    const one = parts({ type: "text", text: "one, " }, { type: "text", text: "two" });
    const { rows, bad } = await built([one, parts({ type: "text", text: "see" }, { type: "image_url", image_url: { url: "x" } })]);
    expect(json(rows[0]?.messages)).toEqual([{ role: "user", content: "one, two", name: "jo" }, assistant("yes")]);
    expect(bad).toEqual([{ file: "r.jsonl", line: 2, reason: "a turn of 'messages' has a part that is no text: image_url" }]);
    expect(nativeRow("chat", { messages: JSON.stringify(one.messages) })).toEqual({ messages: [{ role: "user", content: "one, two", name: "jo" }, assistant("yes")] });
  });

  it("reads messages that stand as a text, in CSV too, and lists those that are no list", async () => {
    workspace = new Workspace();
    const cell = (value: unknown) => `"${(typeof value === "string" ? value : JSON.stringify(value)).replaceAll('"', '""')}"`;
    workspace.write("c.csv", `id,messages\n1,${cell([user("hi"), assistant("yes")])}\n2,${cell("[{broken")}\n3,${cell([{ role: "user" }])}\n`);
    const result = await corpus.build({ path: workspace.write("c.recipe.yaml", "tillage: 1\nsources:\n  c: { files: c.csv }\n") });
    expect(result.shape).toBe("chat");
    expect(result.sources[0]?.bad.map((row) => row.reason)).toEqual(["'messages' is not a list of turns", "a turn of 'messages' lacks role or content"]);
  });

  it("joins a prompt and a completion that are both turns", async () => {
    const { result, rows } = await built([{ prompt: [user("hi")], completion: [assistant("yes")], label: true }]);
    expect(result.shape).toBe("chat");
    expect(json(rows[0]?.messages)).toEqual([user("hi"), assistant("yes")]);
    expect(rows[0]?.label).toBe(true);
  });
});

describe("preference", () => {
  it("parts dialogues in one text where both begin alike", async () => {
    const begin = "\n\nHuman: Who?\n\nAssistant: Anna.\n\nHuman: Where?\n\nAssistant:";
    const pair = { chosen: `${begin} In the shed.`, rejected: `${begin} Nowhere.` };
    const { result, rows, bad } = await built([pair, { chosen: "a", rejected: "b" }, { chosen: "\n\nHuman: A\n\nAssistant: x", rejected: "\n\nHuman: B\n\nAssistant: x" }]);
    expect(result.shape).toBe("preference");
    expect(rows.map(({ prompt, chosen, rejected }) => ({ prompt, chosen, rejected }))).toEqual([{ prompt: begin, chosen: " In the shed.", rejected: " Nowhere." }]);
    expect(bad.map((row) => row.line)).toEqual([2, 3]);
    expect(nativeRow("preference", pair)).toEqual({ prompt: begin, chosen: " In the shed.", rejected: " Nowhere." });
  });

  it.each([
    ["a prompt in turns before answers in words", { prompt: [user("hi")], chosen: "yes", rejected: "no" }],
    ["a prompt in words before answers in turns", { prompt: "hi", chosen: [assistant("yes")], rejected: [assistant("no")] }],
    ["a prompt in words that the conversations repeat", { prompt: "hi", chosen: [user("hi"), assistant("yes")], rejected: [user("hi"), assistant("no")] }],
  ])("reads %s", async (_what, row) => {
    const { result, rows } = await built([row]);
    expect(result.shape).toBe("preference/chat");
    const expected = { chosen: [user("hi"), assistant("yes")], rejected: [user("hi"), assistant("no")] };
    expect({ chosen: json(rows[0]?.chosen), rejected: json(rows[0]?.rejected) }).toEqual(expected);
    expect(nativeRow("preference", Object.fromEntries(Object.entries(row).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)])))).toEqual(expected);
  });

  it("takes KTO's verdicts as booleans, whatever they are written as", async () => {
    const { result, rows, bad } = await built(
      [true, 1, "True", false, 0, null, "maybe"].map((verdict, i) => ({ prompt: "Who?", completion: `a${i}`, good: verdict })),
      "{ files: r.jsonl, as: preference, map: { label: good } }",
    );
    expect(result.shape).toBe("preference/label");
    expect(rows.map((row) => row.label)).toEqual([true, true, true, false, false]);
    expect(rows[0]).toMatchObject({ prompt: "Who?", completion: "a0" });
    expect(bad.map((row) => row.reason)).toEqual(["'good' is missing", "'good' is neither true nor false"]);
    const opened = await corpus.open({ path: result.split[0]?.files[0] ?? "" });
    expect(opened.columns.find((column) => column.name === "label")?.type).toBe("BOOLEAN");
    await corpus.close({ handle: opened.handle });
  });
});

describe("verifiable", () => {
  it("is built with what answers are judged by as the completion", async () => {
    const { result, rows, bad } = await built([{ prompt: "2 + 2?", answer: 4 }, { prompt: "Write f", answer: null, tests: ["f(1) == 2"] }, { prompt: "3?", answer: "three", tests: null }, { prompt: "What?" }]);
    expect(result.shape).toBe("verifiable");
    expect(rows.map((row) => [row.prompt, row.completion])).toEqual([["2 + 2?", "4"], ["Write f", '["f(1) == 2"]'], ["3?", "three"]]);
    expect(bad).toEqual([{ file: "r.jsonl", line: 4, reason: "'answer' and 'tests' are missing" }]);
    expect(rows[1]?.tests).toBe('["f(1) == 2"]');
    expect(nativeRow("verifiable", { prompt: "2 + 2?", answer: 4 })).toEqual({ prompt: "2 + 2?", completion: "4" });
  });

  it("is what a question with its answer may be declared as", async () => {
    const { result, rows } = await built([{ question: "2 + 2?", answer: "so\n#### 4" }], "{ files: r.jsonl, as: verifiable }");
    expect(result.shape).toBe("verifiable");
    expect(rows[0]).toMatchObject({ prompt: "2 + 2?", completion: "so\n#### 4" });
  });
});

describe("real files", () => {
  const data = path.resolve("../shared/data");
  const there = existsSync(data);
  if (!there) console.log(`skipped: ${data} is not there`);
  const unpacked = (name: string) => gunzipSync(readFileSync(path.join(data, name)));

  it.runIf(there)("hh-rlhf's pairs, HumanEval and GSM8K are detected and read without a bad row", async () => {
    workspace = new Workspace();
    workspace.write("hh.jsonl", unpacked("hh_harmless_base_test.jsonl.gz"));
    workspace.write("he.jsonl", unpacked("human_eval.jsonl.gz"));
    workspace.write("gsm.jsonl", readFileSync(path.join(data, "gsm8k_test.jsonl")));
    for (const [file, shape, rows] of [["hh.jsonl", "preference", 2312], ["he.jsonl", "verifiable", 164], ["gsm.jsonl", "prompt/completion", 1319]] as const) {
      const result = await corpus.build({ path: workspace.write("r.recipe.yaml", `tillage: 1\nsources:\n  r: { files: ${file} }\n`) });
      expect([file, result.shape]).toEqual([file, shape]);
      const [source] = result.sources;
      expect((source?.rows ?? 0) + (source?.badRows ?? 0)).toBe(rows);
      expect(source?.bad).toEqual([]);
    }
  });
});
