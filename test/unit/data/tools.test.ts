import { afterAll, afterEach, expect, it } from "vitest";
import { createLocalCorpus } from "../../../src/data/local";
import { datasetRows, Workspace } from "./support";

const corpus = createLocalCorpus();
let workspace = new Workspace();
afterEach(() => workspace.remove());
afterAll(() => corpus.dispose());

const tools = [{ type: "function", function: { name: "add", parameters: { type: "object", properties: { b: { type: "number" }, a: { type: "number" } } } } }];
const call = { role: "assistant", content: null, tool_calls: [{ type: "function", function: { name: "add", arguments: { b: 2, a: 1 } } }] };
const rows = [
  { messages: [{ role: "user", content: "1 and 2?" }, call, { role: "tool", content: "3" }, { role: "assistant", content: "It is 3." }], tools, weight: 0.5 },
  { messages: [{ role: "user", content: "Hello?" }, { role: "assistant", content: "Hello." }], tools: null, weight: 2 },
  { messages: [{ role: "user", content: "Nobody answers." }, { role: "assistant", content: null }], tools: null, weight: 1 },
];

it("keeps tool calls, the tools that are offered and what rows weigh, as they are in the file", async () => {
  workspace = new Workspace();
  workspace.rows("talks.jsonl", rows);
  const result = await corpus.build({ path: workspace.write("talks.recipe.yaml", "tillage: 1\nsources:\n  talks: { files: talks.jsonl }\n") });
  // A turn without a text is a fault only where it calls nothing.
  expect(result.sources[0]).toMatchObject({ badRows: 1 });
  const built = await datasetRows(corpus, result.split[0]?.files ?? []);
  expect(built).toHaveLength(2);
  const [first, second] = [...built].sort((a, b) => Number(a.weight) - Number(b.weight));
  expect(JSON.parse(String(first?.messages))).toEqual(rows[0]?.messages);
  // Byte for byte: the order of keys is the order in the prompt.
  expect(String(first?.tools).replaceAll(" ", "")).toBe(JSON.stringify(tools));
  expect([first?.weight, second?.weight]).toEqual([0.5, 2]);
  expect(second?.tools === null || second?.tools === "null").toBe(true);
});
