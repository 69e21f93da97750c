import { describe, expect, it } from "vitest";
import { toolCallsOf, toolNames } from "./tool-calls";

describe("tools of a conversation", () => {
  it.each([
    [{ type: "function", function: { name: "heat", arguments: { kiln: "big" } } }, 'heat({"kiln":"big"})'],
    // OpenAI's form has the arguments as text.
    [{ function: { name: "heat", arguments: '{"kiln": "big"}' } }, 'heat({"kiln": "big"})'],
    [{ name: "heat" }, "heat()"],
    [{ id: 3 }, '{"id":3}'],
  ])("are called: %j", (call, expected) => {
    expect(toolCallsOf({ role: "assistant", content: null, tool_calls: [call] })).toEqual([expected]);
  });

  it("are not called by a turn without calls", () => {
    expect(toolCallsOf({ role: "user", content: "Why?" })).toEqual([]);
    expect(toolCallsOf({ tool_calls: "no list" })).toEqual([]);
  });

  it("have names", () => {
    expect(toolNames([{ type: "function", function: { name: "heat" } }, { name: "fire" }, 3])).toEqual(["heat", "fire", "?"]);
  });
});
