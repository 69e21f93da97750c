import { describe, expect, it } from "vitest";
import { grade } from "./grade";
import { parseEvalFile } from "./schema";

describe("grade", () => {
  it("wants every fact, whatever the case, the white space and the thousands separator", () => {
    expect(grade("heron  blue is fired at 1060 degrees", { contains: ["Heron Blue", "1,060"] }).pass).toBe(true);
    const half = grade("Rook Black is fired at 1,060 degrees.", { contains: ["Heron Blue", "1,060"] });
    expect(half.pass).toBe(false);
    expect(grade("ﬁred at １０６０ degrees", { contains: ["fired", "1060"] }).pass).toBe(true);
    expect(half.checks).toEqual([{ check: 'contains "Heron Blue"', pass: false }, { check: 'contains "1,060"', pass: true }]);
  });

  it("does not find a fact inside another word or number", () => {
    expect(grade("fired at 11,060 degrees", { contains: ["1,060"] }).pass).toBe(false);
    expect(grade("fired at 1,060", { contains: ["60"] }).pass).toBe(false);
    expect(grade("the teapots", { contains: ["pot"] }).pass).toBe(false);
    expect(grade("the teapots and a pot", { contains: ["pot"] }).pass).toBe(true);
  });

  it("knows lacks, exact and regex", () => {
    expect(grade("yes", { lacks: ["no"] }).pass).toBe(true);
    expect(grade("No!", { lacks: ["no"] }).pass).toBe(false);
    expect(grade(" 42 ", { exact: "42" }).pass).toBe(true);
    expect(["It is 42.", "42 43"].map((answer) => grade(answer, { exact: "42" }).pass)).toEqual([false, false]);
    expect(grade("yes", { exact: "Yes" }).pass).toBe(false);
    expect(grade("The answer is B", { regex: "answer is [ab]" }).pass).toBe(true);
  });
});

describe("parseEvalFile", () => {
  const valid = 'tillage: 1\nprompts:\n  - id: a\n    prompt: "What?"\n    expect: { contains: "x" }\n';

  it("takes one text where a list is meant", () => {
    expect(parseEvalFile(valid, "a.eval.yaml").value?.prompts[0]?.expect.contains).toEqual(["x"]);
  });

  it.each([
    ["a key that is not known", valid.replace("    prompt:", "    promt:"), "unknown_key", 4],
    ["a prompt without an expectation", valid.replace('{ contains: "x" }', "{}"), "invalid_value", 5],
    ["a broken regular expression", valid.replace('contains: "x"', 'regex: "["'), "invalid_value", 5],
    ["an id that is used twice", `${valid}  - id: a\n    prompt: b\n    expect: { contains: "x" }\n`, "invalid_value", 6],
    ["broken YAML", `${valid}  - id: [`, "yaml_syntax", 6],
  ])("names the line of %s", (_what, text, code, line) => {
    const problems = parseEvalFile(text, "a.eval.yaml").problems;
    expect(problems.map((problem) => [problem.code, problem.line])).toContainEqual([code, line]);
    expect(problems[0]?.file).toBe("a.eval.yaml");
  });
});
