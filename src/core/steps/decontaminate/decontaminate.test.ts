import { describe, expect, it } from "vitest";
import { StepBench } from "../../../../test/unit/data/support";

const bench = new StepBench();

describe("decontaminate", () => {
  it("wants as many words in a row as it says, names the prompt that shares most, and each step has its own evaluations", async () => {
    bench.rows([]);
    const words = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name}${i}`).join(" ");
    bench.workspace.rows("a.jsonl", [{ text: words("a", 20) }, { text: `${words("a", 6)} ${words("z", 6)}` }]);
    bench.workspace.rows("b.jsonl", [{ text: words("b", 20) }]);
    bench.workspace.rows("s.jsonl", [{ text: `so ${words("a", 5)} and no more` }, { text: `so ${words("a", 12)} too` }, { text: `so ${words("b", 12)} too` }]);
    const steps = "  - decontaminate: { against: a.jsonl, ngram: 6 }\n  - decontaminate: { against: b.jsonl, ngram: 6 }\n";
    expect((await bench.dropped(steps, 0)).map(({ fileRow, matchedRowId }) => [fileRow, matchedRowId])).toEqual([[1, "a.jsonl#1"]]);
    expect((await bench.dropped(steps, 1)).map(({ fileRow, matchedRowId }) => [fileRow, matchedRowId])).toEqual([[2, "b.jsonl#1"]]);
  });

  it("looks for a short prompt as a whole, and for a data file's prompts", async () => {
    bench.rows([{ text: "He asked: who rang the brass gong? Nobody knew." }, { text: "Who rang the bell?" }, { text: "What is the sum of all the even numbers from two to twenty, both included, please?" }], "leak.eval.yaml");
    bench.workspace.rows("test.jsonl", [{ question: "What is the sum of all the even numbers from two to twenty, both included, please?", answer: "110" }]);
    const left = await bench.dropped("  - decontaminate: { against: [leak.eval.yaml, test.jsonl], ngram: 13 }\n");
    expect(left.map(({ fileRow, matchedRowId }) => [fileRow, matchedRowId])).toEqual([[0, "leak.eval.yaml#short"], [2, "test.jsonl#1"]]);
  });

  it("a broken evaluation file is an error with its line", async () => {
    bench.rows([{ text: "a" }]);
    bench.workspace.write("e.eval.yaml", "tillage: 1\nprompts:\n  - id: a\n    prompt: fine\n  - id: b\n");
    const problem = await bench.problem("  - decontaminate: { against: [e.eval.yaml] }\n");
    expect(problem).toMatchObject({ blame: "user", code: "invalid_eval", file: bench.workspace.at("e.eval.yaml"), line: 5 });
  });
});
