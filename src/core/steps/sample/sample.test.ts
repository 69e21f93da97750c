import { describe, expect, it } from "vitest";
import { StepBench } from "../../../../test/unit/data/support";

const bench = new StepBench();
const rows = Array.from({ length: 100 }, (_, i) => ({ text: `text ${i}`, topic: i % 10 === 0 ? "rare" : "common" }));
const kept = async (config: string, tail = "") => {
  const out = new Set((await bench.dropped(`  - sample: ${config}\n${tail}`)).map((receipt) => receipt.fileRow));
  return rows.map((_, i) => i).filter((i) => !out.has(i));
};

describe("sample", () => {
  it("keeps so many rows, or such a share, and a larger sample contains a smaller one", async () => {
    bench.rows(rows);
    const [few, many, share] = [await kept("{ rows: 7 }"), await kept("{ rows: 30 }"), await kept("{ share: 30% }")];
    expect([few.length, many.length]).toEqual([7, 30]);
    expect(share).toEqual(many);
    expect(many).toEqual(expect.arrayContaining(few));
    expect(many).not.toEqual(Array.from({ length: 30 }, (_, i) => i));
    expect(await kept("{ rows: 30 }", "seed: 5\n")).not.toEqual(many);
  });

  it("keeps the share of each value of a column, and names the value of those that leave", async () => {
    bench.rows(rows);
    const left = await kept("{ share: 50%, by: topic }");
    expect([left.filter((i) => i % 10 === 0).length, left.length]).toEqual([5, 50]);
    const receipts = await bench.dropped("  - sample: { rows: 3, by: topic }\n");
    expect([receipts.length, receipts.filter((receipt) => receipt.value === "rare").length]).toEqual([94, 7]);
    expect(receipts[0]).toMatchObject({ effect: "dropped", reason: "not sampled" });
  });

  it("names the columns when there is none of that name", async () => {
    bench.rows(rows);
    expect(await bench.problem("  - sample: { share: 50%, by: topik }\n")).toMatchObject({ code: "unknown_column", message: expect.stringContaining("topic") as string });
    expect((await bench.problem("  - sample: { share: 50%, rows: 3 }\n")).message).toMatch(/either rows or share/);
  });
});
