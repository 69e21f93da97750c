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

  it("makes text of what has no trained shape", () => {
    expect(nativeRow("table", { a: "one", n: 2, b: "two" })).toEqual({ text: "one\ntwo" });
    expect(nativeRow("chat", { messages: "not json" })).toEqual({ text: "not json" });
  });
});
