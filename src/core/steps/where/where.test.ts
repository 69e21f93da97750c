import { describe, expect, it } from "vitest";
import { StepBench } from "../../../../test/unit/data/support";

const bench = new StepBench();

describe("where", () => {
  it("drops rows for which it is false or NULL, and says which", async () => {
    bench.rows([{ text: "a", n: 1 }, { text: "b", n: 5 }, { text: "c" }]);
    const result = await bench.counts('  - where: "n > 3"\n');
    expect(result.steps[0]).toMatchObject({ in: 3, out: 1, reasons: [{ reason: "predicate is NULL", rows: 1 }, { reason: "predicate is false", rows: 1 }] });
    expect((await bench.dropped('  - where: "n > 3"\n')).map(({ text, effect, fileRow, reason }) => [text, effect, fileRow, reason])).toEqual([["a", "dropped", 0, "predicate is false"], ["c", "dropped", 2, "predicate is NULL"]]);
    const first = await bench.dropped('  - where: "n > 3"\n', 0, 1);
    expect(first.map((receipt) => receipt.text)).toEqual(["a"]);
  });

  it("sees derived columns and the file's own names of mapped ones", async () => {
    bench.rows([{ question: "How many?", answer: "Three in all." }, { question: "Why?", answer: "So." }]);
    const result = await bench.counts('  - where: "words > 2 and length(question) > 5 and chars < 100 and pii = \'none\' and prompt = question"\n');
    expect(result.diagnostics.filter((diagnostic) => diagnostic.severity === "error")).toEqual([]);
    expect(result.steps[0]?.out).toBe(1);
  });

  it.each([
    ["words >", "sql_syntax", /at character \d+/],
    ["lenght > 3", "unknown_column", /no column 'lenght'/],
    ["text::INTEGER > 1", "sql_error", /Conversion/],
    ["(SELECT count(*) FROM read_text('/etc/hostname')) > 0", "sql_no_files", /reads a file/],
    ["true) UNION SELECT (1", "sql_syntax", /more than one expression|syntax/],
    ["sum(n) > 1", "sql_error", /GROUP BY/],
  ])("'%s' is the user's error at the step's line", async (predicate, code, message) => {
    bench.rows([{ text: "a", n: 1 }]);
    const steps = `  - where: ${JSON.stringify(predicate)}\n`;
    const result = await bench.counts(steps);
    const diagnostic = result.diagnostics.find((candidate) => candidate.severity === "error");
    expect(diagnostic).toMatchObject({ code });
    expect(diagnostic?.message).toMatch(message);
    expect((StepBench.head + steps).slice(diagnostic?.start).startsWith("- where")).toBe(true);
    const problem = await bench.problem(steps);
    expect(problem).toMatchObject({ blame: "user", code, file: bench.workspace.at("s.recipe.yaml"), line: 5 });
  });
});
