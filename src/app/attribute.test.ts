import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { AttributeParams } from "../protocol/native.gen";
import type { Engine } from "../runtime/engine";
import { attributeRows, readOutputs } from "./attribute";

let root: string;
let run: string;
let asked: AttributeParams[];

const deps = (): { root: string; engine: Engine } => {
  const engine: Partial<Engine> = {
    attribute: (params) => {
      asked.push(params);
      return Promise.reject(new Error("enough"));
    },
  };
  return { root, engine: engine as Engine };
};

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "tillage-attribute-"));
  run = path.join(root, ".tillage/runs/tune-1");
  asked = [];
  mkdirSync(path.join(run, "checkpoints"), { recursive: true });
  const spec = {
    version: 1, id: "tune-1", name: "tune", objective: "sft", model: { kind: "folder", path: "../../../base" },
    data: { train: [] }, template: { kind: "chat" }, loss_on: "assistant",
    train: { epochs: 1, batch_tokens: 64, context: 64, lr: 0.001, schedule: "cosine", seed: 1, checkpoint_every: 1 },
  };
  writeFileSync(path.join(run, "run.json"), JSON.stringify(spec));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe("asking which rows led to an answer", () => {
  it("finds the run by its folder and by its name", async () => {
    const outputs = [{ id: "a", row_id: "r1" }];
    for (const ref of [run, "run:tune"]) await expect(attributeRows({ run: ref, outputs, top: 3, by: "dot" }, deps())).rejects.toThrow("enough");
    expect(asked).toEqual([{ run, outputs, top: 3, by: "dot" }, { run, outputs, top: 3, by: "dot" }]);
    await expect(attributeRows({ run: "run:other", outputs }, deps())).rejects.toMatchObject({ problem: { code: "no_run" } });
    await expect(attributeRows({ run: root, outputs }, deps())).rejects.toMatchObject({ problem: { code: "no_run" } });
  });

  it("reads outputs line by line, and names the line that is none", () => {
    const file = path.join(root, "outputs.jsonl");
    writeFileSync(file, '{"id":"a","prompt":"p","completion":"c"}\n\n{"row_id":"r7"}\n{"id":4,"text":"t"}\n');
    expect(readOutputs(file)).toEqual([
      { id: "a", row: { id: "a", prompt: "p", completion: "c" } },
      { id: "3", row_id: "r7" },
      { id: "4", row: { id: 4, text: "t" } },
    ]);
    for (const line of ["{", "[1]", '"x"', '{"id":{},"text":"t"}']) {
      writeFileSync(file, `{"text":"t"}\n${line}\n`);
      expect(() => readOutputs(file)).toThrow("Line 2");
    }
  });
});
