import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { oneRun } from "../../test/unit/app/support";
import type { AttributeParams } from "../protocol/native.gen";
import { attributeRows, readOutputs } from "./attribute";

const here = oneRun<AttributeParams>((asked) => ({
  attribute: (params) => {
    asked.push(params);
    return Promise.reject(new Error("enough"));
  },
}));
beforeEach(() => mkdirSync(path.join(here.run, "checkpoints")));

describe("asking which rows led to an answer", () => {
  it("finds the run by its folder and by its name", async () => {
    const { root, run } = here;
    const outputs = [{ id: "a", row_id: "r1" }];
    for (const ref of [run, "run:tune"]) await expect(attributeRows({ run: ref, outputs, top: 3, by: "dot" }, here.deps())).rejects.toThrow("enough");
    expect(here.asked).toEqual([{ run, outputs, top: 3, by: "dot" }, { run, outputs, top: 3, by: "dot" }]);
    await expect(attributeRows({ run: "run:other", outputs }, here.deps())).rejects.toMatchObject({ problem: { code: "no_run" } });
    await expect(attributeRows({ run: root, outputs }, here.deps())).rejects.toMatchObject({ problem: { code: "no_run" } });
  });

  it("reads outputs line by line, and names the line that is none", () => {
    const file = path.join(here.root, "outputs.jsonl");
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
