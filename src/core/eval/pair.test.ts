import { describe, expect, it } from "vitest";
import { defaultPair } from "./pair";

const random = { ref: "run:pretrain@0", base: "/runs/p/checkpoints/step-000000" };
const middle = { ref: "run:pretrain@100", base: "/runs/p/checkpoints/step-000100" };
const pretrained = { ref: "run:pretrain", base: "/runs/p/model" };
const tuned = { ref: "run:tune", base: "/runs/p/model", adapter: "/runs/t/adapter" };
const foreign = { ref: "/models/other", base: "/models/other" };
const refs = (pair: ReturnType<typeof defaultPair>): unknown => pair && [pair.before.ref, pair.after.ref];

describe("the pair that is compared when nobody said", () => {
  it("is an adapter and its base, in whatever order they were asked", () => {
    expect(refs(defaultPair([tuned, pretrained, middle, random]))).toEqual(["run:pretrain", "run:tune"]);
    expect(refs(defaultPair([random, foreign, pretrained, tuned]))).toEqual(["run:pretrain", "run:tune"]);
  });
  it("is a pretrained model and its random weights when there is no adapter", () => {
    expect(refs(defaultPair([pretrained, middle, random]))).toEqual(["run:pretrain@0", "run:pretrain"]);
  });
  it("is whatever two there are otherwise", () => {
    expect(refs(defaultPair([tuned, foreign]))).toEqual(["/models/other", "run:tune"]);
    expect(refs(defaultPair([middle, random]))).toEqual(["run:pretrain@0", "run:pretrain@100"]);
  });
  it("needs two", () => {
    expect(defaultPair([tuned])).toBeUndefined();
    expect(defaultPair([])).toBeUndefined();
  });
});
