import { describe, expect, it } from "vitest";
import { nativeRow } from "./native-row";

describe("a file's row for the engine", () => {
  it("takes the columns of its shape, in any dialect", () => {
    expect(nativeRow("prompt/completion", { question: "Q?", answer: "A.", id: 3 })).toEqual({ prompt: "Q?", completion: "A." });
    expect(nativeRow("prompt/completion", { instruction: "Do", input: "this", output: "done" })).toEqual({ prompt: "Do\n\nthis", completion: "done" });
    expect(nativeRow("text", { text: "kiln", n: 1 })).toEqual({ text: "kiln" });
    expect(nativeRow("chat", { messages: '[{"role":"user","content":"hi"}]' })).toEqual({ messages: [{ role: "user", content: "hi" }] });
    expect(nativeRow("chat", { conversations: '[{"from":"human","value":"hi"},{"from":"gpt","value":"yes"}]' }))
      .toEqual({ messages: [{ role: "user", content: "hi" }, { role: "assistant", content: "yes" }] });
  });

  it("keeps both answers of a pair, a judgement's label, and what tools are offered and called", () => {
    expect(nativeRow("preference", { prompt: "Q?", chosen: "A.", rejected: "B." })).toEqual({ prompt: "Q?", chosen: "A.", rejected: "B." });
    const talk = (answer: string): string => JSON.stringify([{ role: "assistant", content: answer }]);
    expect(nativeRow("preference", { prompt: '[{"role":"user","content":"hi"}]', chosen: talk("yes"), rejected: talk("no") })).toEqual({
      chosen: [{ role: "user", content: "hi" }, { role: "assistant", content: "yes" }],
      rejected: [{ role: "user", content: "hi" }, { role: "assistant", content: "no" }],
    });
    expect(nativeRow("prompt/completion", { prompt: "Q?", completion: "A.", label: false })).toEqual({ prompt: "Q?", completion: "A.", label: false });
    const messages = [{ role: "assistant", content: null, tool_calls: [{ function: { name: "add", arguments: { b: 1, a: 2 } } }] }];
    const tools = [{ type: "function", function: { name: "add" } }];
    expect(nativeRow("chat", { messages: JSON.stringify(messages), tools: JSON.stringify(tools) })).toEqual({ messages, tools });
    expect(nativeRow("chat", { messages: JSON.stringify(messages), tools: null })).toEqual({ messages });
  });

  it("makes text of what has no trained shape", () => {
    expect(nativeRow("table", { a: "one", n: 2, b: "two" })).toEqual({ text: "one\ntwo" });
    expect(nativeRow("chat", { messages: "not json" })).toEqual({ text: "not json" });
  });
});
