import { describe, expect, it } from "vitest";
import { StepBench } from "../../../../test/unit/data/support";

const bench = new StepBench();
const rows = [{ text: "a", topic: "code" }, { text: "b b", topic: "spam" }, { text: "c" }, { text: "d d d", topic: "prose" }, { text: "e e", topic: "code" }];

describe("weight", () => {
  it("gives factors by the values of a column, and a receipt with its own effect to every row whose weight it changes", async () => {
    bench.rows(rows);
    const receipts = await bench.dropped("  - weight: { by: topic, values: { code: 2, spam: 0.25, prose: 1, (none): 3, other: 9 } }\n");
    expect(receipts.map(({ fileRow, effect, reason, value }) => [fileRow, effect, reason, value])).toEqual([
      [0, "weighted", "topic = code", "2"],
      [1, "weighted", "topic = spam", "0.25"],
      [2, "weighted", "topic = (none)", "3"],
      [4, "weighted", "topic = code", "2"],
    ]);
  });

  it("gives a factor where a predicate is true, and every row stays", async () => {
    bench.rows(rows);
    const steps = "  - weight: { where: \"words > 1\", factor: 0.5 }\n";
    const counts = await bench.counts(steps);
    expect(counts.steps[0]).toMatchObject({ step: "weight", in: 5, out: 5, changed: 0, weighted: 3, reasons: [{ reason: "predicate is true", rows: 3 }] });
    expect((await bench.dropped(steps)).map(({ fileRow, value }) => [fileRow, value])).toEqual([[1, "0.5"], [3, "0.5"], [4, "0.5"]]);
    expect(await bench.dropped("  - weight: { where: \"words > 1\", factor: 1 }\n")).toEqual([]);
  });

  it("names what is wrong with its settings, its column and its predicate", async () => {
    bench.rows(rows);
    expect((await bench.problem("  - weight: { by: topic }\n")).message).toMatch(/either by and values/);
    expect((await bench.problem("  - weight: { by: topic, values: { code: 2 }, factor: 3 }\n")).message).toMatch(/either by and values/);
    expect((await bench.problem("  - weight: { by: topic, values: { code: 0 } }\n")).message).toMatch(/write a where step/);
    expect(await bench.problem("  - weight: { by: topik, values: { code: 2 } }\n")).toMatchObject({ code: "unknown_column", line: 5 });
    expect(await bench.problem("  - weight: { where: \"text::INTEGER > 1\", factor: 2 }\n")).toMatchObject({ code: "sql_error", line: 5 });
    expect(await bench.problem("  - weight: { where: \"(SELECT count(*) FROM read_text('/etc/hostname')) > 0\", factor: 2 }\n")).toMatchObject({ code: "sql_no_files" });
  });
});
