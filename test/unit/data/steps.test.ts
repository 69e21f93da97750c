import { afterAll, afterEach, describe, expect, it } from "vitest";
import { createLocalCorpus } from "../../../src/data/local";
import type { RecipeCounts } from "../../../src/protocol/corpus";
import { Workspace } from "./support";

const corpus = createLocalCorpus();
let workspace = new Workspace();
afterEach(() => workspace.remove());
afterAll(() => corpus.dispose());

const head = "tillage: 1\nsources:\n  s: { files: s.jsonl }\nsteps:\n";
const counts = (steps: string): Promise<RecipeCounts> => corpus.counts({ path: workspace.at("s.recipe.yaml"), text: head + steps });
const rows = (list: readonly object[]) => {
  workspace = new Workspace();
  workspace.rows("s.jsonl", list);
};

describe("steps", () => {
  it("with 'only' leave the other sources alone", async () => {
    workspace = new Workspace();
    workspace.rows("a.jsonl", [{ text: "x" }, { text: "xx" }]);
    workspace.rows("b.jsonl", [{ text: "x" }, { text: "xx" }]);
    const text = 'tillage: 1\nsources: { a: { files: a.jsonl }, b: { files: b.jsonl } }\nsteps:\n  - where: "length(text) > 1"\n    only: [a]\n';
    const left = await corpus.dropped({ path: workspace.at("r.recipe.yaml"), text, step: 0, limit: 10 });
    expect(left.map((receipt) => [receipt.source, receipt.text])).toEqual([["a", "x"]]);
  });
});

describe("live counts", () => {
  it("follow the text: later steps see what earlier ones left, also when a step is changed or taken away", async () => {
    rows(Array.from({ length: 20 }, (_, i) => ({ text: `text number ${i}`, n: i })));
    const a = '  - where: "n < 15"\n';
    const b = '  - where: "n % 2 = 0"\n';
    expect((await counts(a + b)).steps.map((step) => step.out)).toEqual([15, 8]);
    expect((await counts(a)).steps.map((step) => step.out)).toEqual([15]);
    expect((await counts(b + a)).steps.map((step) => step.out)).toEqual([10, 8]);
    expect((await counts(a + '  - where: "n > 13"\n')).steps.map((step) => step.out)).toEqual([15, 1]);
    workspace.rows("s.jsonl", [{ text: "only one", n: 2 }]);
    expect((await counts(a + b)).steps.map((step) => step.in)).toEqual([1, 1]);
  });

  it("run a step again when it is to apply to other sources", async () => {
    workspace = new Workspace();
    for (const name of ["a", "b"]) workspace.rows(`${name}.jsonl`, [{ text: "x" }, { text: "xx" }]);
    const out = async (only: string) => (await corpus.counts({ path: workspace.at("r.recipe.yaml"), text: `tillage: 1\nsources: { a: { files: a.jsonl }, b: { files: b.jsonl } }\nsteps:\n  - where: "length(text) > 1"\n${only}` })).steps.map((step) => step.out);
    expect([await out("    only: [a]\n"), await out("")]).toEqual([[3], [2]]);
  });

  it("keep the counts of the steps before a broken one", async () => {
    rows([{ text: "a", n: 1 }, { text: "b", n: 2 }]);
    const result = await counts('  - where: "n > 1"\n  - where: "nope > 1"\n');
    expect(result.steps.map((step) => step.out)).toEqual([1]);
    expect(result.diagnostics.map((diagnostic) => diagnostic.code)).toContain("unknown_column");
  });

  it("tell of personal data and duplicates, with fixes that give a valid recipe", async () => {
    rows([{ text: "Write to a@example.org" }, { text: "the same" }, { text: "The same." }]);
    const text = "tillage: 1\nsources:\n  s: { files: s.jsonl }\n";
    const result = await corpus.counts({ path: workspace.at("s.recipe.yaml"), text });
    expect(result.diagnostics.map((diagnostic) => diagnostic.code)).toEqual(["pii", "duplicates"]);
    const fix = result.diagnostics[0]?.fixes[0];
    const mended = text.slice(0, fix?.start) + (fix?.newText ?? "") + text.slice(fix?.end);
    const after = await corpus.counts({ path: workspace.at("s.recipe.yaml"), text: mended });
    expect(after.steps.map((step) => [step.step, step.changed])).toEqual([["pii redact", 1]]);
  });

  it("warn of a step that leaves a tenth or less", async () => {
    rows(Array.from({ length: 20 }, (_, i) => ({ text: `text number ${i}`, n: i })));
    const codes = async (most: number) => (await counts(`  - where: "n < ${most}"\n`)).diagnostics.map((diagnostic) => [diagnostic.severity, diagnostic.code]);
    expect(await codes(2)).toEqual([["warning", "drops_most"]]);
    expect(await codes(3)).toEqual([]);
  });

  it("are for an unknown key a diagnostic with a fix, not an error", async () => {
    rows([{ text: "a" }]);
    const result = await counts("  - dedup: { exat: normalized }\n");
    expect(result.diagnostics[0]).toMatchObject({ code: "unknown_key", severity: "error" });
    expect(result.diagnostics[0]?.message).toContain("Did you mean 'exact'?");
  });
});
