import { describe, expect, it } from "vitest";
import { missingRoles } from "../../src/core/dataset/mapping";
import type { SourceMapping } from "../../src/protocol/corpus";
import { rolesShown, withRole, withShape } from "./wish";

const mapping = (read: SourceMapping["read"]): SourceMapping => ({
  file: "/w/a.jsonl", files: 1, columns: [], columnsLeft: 0, problem: null, rows: [], sampled: 0, bad: 0, whole: true, read,
  detection: {
    shape: "prompt/completion", columns: { prompt: "question", completion: "response" }, confidence: "unsure", reason: "",
    alternatives: [{ shape: "verifiable", columns: { prompt: "question", answer: "answer" } }],
  },
});
const read = mapping({ shape: "prompt/completion", columns: { prompt: "question", completion: "response" } });

describe("what is asked of a source's columns", () => {
  it("starts from how the rows are read", () => {
    expect(rolesShown({ as: null, map: {} }, read)).toEqual({ prompt: "question", completion: "response" });
    expect(rolesShown({ as: "verifiable", map: { prompt: "title" } }, read)).toEqual({ prompt: "title" });
  });

  it("takes with another shape the columns that speak of it", () => {
    expect(withShape(read, "verifiable")).toEqual({ as: "verifiable", map: { prompt: "question", answer: "answer" } });
    expect(withShape(read, "chat")).toEqual({ as: "chat", map: {} });
  });

  it("changes one role and says the others, so that the whole is written down", () => {
    expect(withRole({ as: null, map: {} }, read, "prompt/completion", "completion", "answer")).toEqual({ as: "prompt/completion", map: { prompt: "question", completion: "answer" } });
    expect(withRole({ as: "prompt/completion", map: { prompt: "question", input: "context", completion: "answer" } }, read, "prompt/completion", "input", "")).toEqual({ as: "prompt/completion", map: { prompt: "question", completion: "answer" } });
  });
});

describe("what is still to be chosen", () => {
  it("is each role without which rows cannot be read", () => {
    expect(missingRoles("prompt/completion", {})).toEqual(["prompt", "completion"]);
    expect(missingRoles("prompt/completion", { prompt: "q", completion: "a" })).toEqual([]);
    expect(missingRoles("chat", { system: "s", messages: "" })).toEqual(["messages"]);
  });

  it("is nothing where one of both ways is there as a whole", () => {
    expect(missingRoles("preference", {})).toEqual(["chosen", "rejected"]);
    expect(missingRoles("preference", { completion: "c" })).toEqual(["chosen", "rejected"]);
    expect(missingRoles("preference", { completion: "c", label: "l" })).toEqual([]);
    expect(missingRoles("verifiable", { prompt: "p", tests: "t" })).toEqual([]);
  });
});
