import { afterAll, afterEach, describe, expect, it } from "vitest";
import { createLocalCorpus } from "../../../src/data/local";
import { datasetRows, problemOf, Workspace } from "./support";

const corpus = createLocalCorpus();
let workspace = new Workspace();
afterEach(() => workspace.remove());
afterAll(() => corpus.dispose());

const turn = (role: string, content: string) => ({ role, content });

async function built(rows: readonly object[], source = "{ files: pairs.jsonl }", steps = "") {
  workspace = new Workspace();
  workspace.rows("pairs.jsonl", rows);
  const result = await corpus.build({ path: workspace.write("pairs.recipe.yaml", `tillage: 1\nsources:\n  pairs: ${source}\n${steps}`) });
  return { result, rows: await datasetRows(corpus, result.split[0]?.files ?? []) };
}

describe("preferences", () => {
  const pairs = [
    { prompt: "Who fires the kiln?", chosen: "Anna does.", rejected: "Nobody.", topic: "kiln" },
    { prompt: "Where is the clay?", chosen: "In the shed.", rejected: "Ask anna@pots.example.", topic: "clay" },
  ];

  it("are recognised by their columns and built with them", async () => {
    const { result, rows } = await built(pairs);
    expect(result.shape).toBe("preference");
    expect(rows.map(({ prompt, chosen, rejected, topic }) => ({ prompt, chosen, rejected, topic })).sort((a, b) => (String(a.topic) < String(b.topic) ? 1 : -1))).toEqual(pairs);
    expect(rows.every((row) => !("completion" in row) && !("messages" in row) && !("text" in row))).toBe(true);
    const ids = rows.map((row) => String(row._row_id));
    expect(new Set(ids).size).toBe(2);
    // Another rejected answer makes it another row.
    const changed = await built([{ ...pairs[0], rejected: "Someone." }, pairs[1] ?? {}]);
    expect(changed.rows.filter((row) => ids.includes(String(row._row_id))).length).toBe(1);
  });

  it("may have their columns under other names", async () => {
    const { rows } = await built([{ question: "Why?", better: "So.", worse: "No." }], "{ files: pairs.jsonl, map: { prompt: question, chosen: better, rejected: worse } }");
    expect(rows[0]).toMatchObject({ prompt: "Why?", chosen: "So.", rejected: "No." });
    expect(rows[0]).not.toHaveProperty("better");
    const problem = await problemOf(built([{ question: "Why?", better: "So." }], "{ files: pairs.jsonl, as: preference, map: { chosen: better } }"));
    expect(problem).toMatchObject({ code: "missing_column", line: 3 });
    expect(problem.message).toContain("rejected");
  });

  it("are seen as a whole by the steps, and redacted in every column", async () => {
    const { result, rows } = await built(pairs, undefined, 'steps:\n  - where: "contains(text, \'Nobody\') or contains(text, \'shed\')"\n  - pii: { action: redact, kinds: [email] }\n');
    expect(result.steps.map((step) => [step.in, step.out])).toEqual([[2, 2], [2, 2]]);
    expect(rows.find((row) => row.prompt === "Where is the clay?")).toMatchObject({ chosen: "In the shed.", rejected: expect.not.stringContaining("anna@") as unknown });
    expect(rows.find((row) => row.prompt === "Who fires the kiln?")).toMatchObject({ rejected: "Nobody." });
  });

  it("may be conversations, with their beginning apart or in both", async () => {
    const question = turn("user", "Who fires the kiln?");
    for (const row of [
      { chosen: [question, turn("assistant", "Anna.")], rejected: [question, turn("assistant", "Nobody.")] },
      { prompt: [question], chosen: [turn("assistant", "Anna.")], rejected: [turn("assistant", "Nobody.")] },
    ]) {
      const { result, rows } = await built([row], undefined, "steps:\n  - where: \"contains(text, 'Nobody.')\"\n");
      expect(result.shape).toBe("preference/chat");
      expect(JSON.parse(String(rows[0]?.chosen))).toEqual([question, turn("assistant", "Anna.")]);
      expect(JSON.parse(String(rows[0]?.rejected))).toEqual([question, turn("assistant", "Nobody.")]);
      expect(rows[0]).not.toHaveProperty("prompt");
    }
  });

  it("whose answers are the same are named by a guard", async () => {
    const { result } = await built([...pairs, { prompt: "And now?", chosen: "Yes.", rejected: "yes. " }]);
    const guard = result.guards.find((candidate) => candidate.guard === "same_answers");
    expect(guard?.ok).toBe(false);
    expect(guard?.rows.length).toBe(1);
    const [row] = await corpus.rows({ dataset: result.dataset, rowIds: [guard?.rows[0]?.rowId ?? ""] });
    expect(row?.values.prompt).toBe("And now?");
    const clean = await built(pairs);
    expect(clean.result.guards.find((candidate) => candidate.guard === "same_answers")?.ok).toBe(true);
  });

  it("lack nothing: a row without one of the texts is bad", async () => {
    const { result } = await built([...pairs, { prompt: "Why?", chosen: "So." }]);
    expect(result.sources[0]).toMatchObject({ rows: 2, badRows: 1 });
    expect(result.sources[0]?.bad[0]?.reason).toBe("'rejected' is missing");
  });
});

describe("judged answers", () => {
  it("keep their label beside prompt and completion", async () => {
    const { rows } = await built([{ prompt: "Who?", completion: "Anna.", label: true }, { prompt: "Who?", completion: "Nobody.", label: false }]);
    expect(rows.map((row) => [row.completion, row.label]).sort()).toEqual([["Anna.", true], ["Nobody.", false]]);
  });
});
