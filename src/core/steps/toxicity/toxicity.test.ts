import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { StepBench } from "../../../../test/unit/data/support";
import { lexiconLanguages } from ".";

const bench = new StepBench();
const rows = [{ text: "A potter opens the kiln." }, { text: "You bastard, you b@stard!" }, { text: `One bastard ${"among many other words ".repeat(30)}` }, { text: "Der Hurensohn." }];

describe("toxicity", () => {
  it("drops rows by the share of their words, with the terms", async () => {
    bench.rows(rows);
    const left = await bench.dropped("  - toxicity: {}\n");
    expect(left.map(({ fileRow, effect, reason, value }) => [fileRow, effect, reason, value])).toEqual([[1, "dropped", "max_ratio", "0.4: bastard"]]);
  });

  it("drops every row with a term as C4 does, and flags instead", async () => {
    bench.rows(rows);
    const left = await bench.dropped("  - toxicity: { languages: [en, de], max_hits: 0 }\n");
    expect(left.map(({ fileRow, reason, value }) => [fileRow, reason, value])).toEqual([[1, "max_hits", "2: bastard"], [2, "max_hits", "1: bastard"], [3, "max_hits", "1: hurensohn"]]);
    expect((await bench.counts("  - toxicity: { languages: [en, de], max_hits: 0, action: flag }\n")).steps[0]).toMatchObject({ in: 4, out: 4, changed: 0 });
  });

  it("knows the lexicon's languages and no others", async () => {
    const lexicon = readFileSync("native/crates/duckdb_ext/src/text/toxicity/lexicon.txt", "utf8");
    const languages = [...new Set(lexicon.split("\n").filter((line) => line.includes("\t") && !line.startsWith("#")).map((line) => line.slice(0, line.indexOf("\t"))))];
    expect([...lexiconLanguages]).toEqual(languages);
    bench.rows(rows);
    expect((await bench.problem("  - toxicity: { languages: [xx] }\n")).message).toMatch(/languages/);
  });
});
