import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, expect, it } from "vitest";
import type { CorpusApi } from "../../protocol/corpus";
import type { RunSpec } from "../../protocol/native.gen";
import { batchRows } from "./batch-rows";

let root = "";
afterEach(() => rmSync(root, { recursive: true, force: true }));

it("shows the rows of a step with the answers that were drawn to them", async () => {
  root = mkdtempSync(path.join(tmpdir(), "batch-rows-"));
  const dir = path.join(root, "run");
  mkdirSync(dir);
  writeFileSync(path.join(root, "manifest.json"), "{}");
  const step = { type: "step", step: 3, epoch: 1, loss: -1, lr: 1, grad_norm: 1, tokens: 8, tokens_per_second: 1, memory_bytes: 1, seconds: 1, rows: ["a", "b"] };
  writeFileSync(path.join(dir, "events.jsonl"), `${JSON.stringify(step)}\n`);
  const drawn = (rowId: string, place: number, reward: number): string => JSON.stringify({ step: 3, row_id: rowId, place, text: `answer ${place}`, reward, rewards: { exact: reward }, advantage: reward - 0.5, tokens: 2, ended: place > 0 });
  writeFileSync(path.join(dir, "rollouts.jsonl"), `${[drawn("a", 0, 0), drawn("a", 1, 1)].join("\n")}\n`);
  const row = (rowId: string): unknown => ({ rowId, source: "s", values: { prompt: "1 + 1", completion: "2" } });
  const corpus = { rows: () => Promise.resolve([row("a"), row("b")]) } as unknown as CorpusApi;
  const spec = { policy: { rewards: [{ kind: "exact" }] }, data: { train: ["../train.parquet"] } } as unknown as RunSpec;
  const { rows } = await batchRows(dir, spec, 3, corpus, new AbortController().signal);
  expect(rows).toEqual([
    { rowId: "a", source: "s", text: "1 + 1 → 2", answers: [
      { text: "answer 0", reward: 0, rewards: { exact: 0 }, advantage: -0.5, ended: false },
      { text: "answer 1", reward: 1, rewards: { exact: 1 }, advantage: 0.5, ended: true },
    ] },
    { rowId: "b", source: "s", text: "1 + 1 → 2" },
  ]);
  const earned = rows.map((item) => item.rowId);
  expect(earned).toEqual(["a", "b"]);
  // A run that draws nothing is not asked for what it drew.
  const plain = await batchRows(dir, { data: spec.data } as RunSpec, 3, corpus, new AbortController().signal);
  expect(plain.rows.every((item) => item.answers === undefined)).toBe(true);
});
