import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { rolloutsOf } from "./rollouts";

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(path.join(tmpdir(), "rollouts-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const line = (step: number, rowId: string, place: number): string =>
  JSON.stringify({ step, row_id: rowId, place, text: ` In Graz\n${place}.`, reward: 1, rewards: { exact: 1 }, advantage: 0.5, tokens: 4, ended: true });

it("finds the answers of a step or of a row, and waits for a line that is not whole", async () => {
  expect(await rolloutsOf(dir, { step: 1 })).toEqual([]);
  const file = path.join(dir, "rollouts.jsonl");
  writeFileSync(file, `${[line(1, "a", 0), line(1, "b", 0), line(11, "a", 0), "not JSON", '{"step":1,"row_id":"a"}'].join("\n")}\n`);
  appendFileSync(file, line(1, "a", 1).slice(0, 40));
  expect((await rolloutsOf(dir, { step: 1 })).map((rollout) => rollout.row_id)).toEqual(["a", "b"]);
  expect((await rolloutsOf(dir, { rowId: "a" })).map((rollout) => rollout.step)).toEqual([1, 11]);
  expect(await rolloutsOf(dir, { step: 11, rowId: "b" })).toEqual([]);
});
