import { expect, it } from "vitest";
import { forkText } from "./fork";
import { parseRunFile } from "./schema";

const text = "# my run\ntillage: 1\nobjective: sft # answers only\nmodel: run:base\ndata: pairs.recipe.yaml\ntrain: { context: 64, lr: 1e-3 }\n";

it("puts the fork under the objective, and leaves all else as it was", () => {
  const forked = forkText(text, "tune@40");
  expect(forked).toBe(text.replace("only\n", "only\nfork: tune@40\n"));
  expect(parseRunFile(forked, "x.run.yaml").value?.fork).toBe("tune@40");
});

it("takes the place of an earlier fork", () => {
  expect(forkText(forkText(text, "tune@40"), "tune-20250101-000000-abcd@60")).toBe(forkText(text, "tune-20250101-000000-abcd@60"));
});

it("finds a place in a file that begins otherwise", () => {
  expect(forkText("model: a\n", "tune@40")).toBe("fork: tune@40\nmodel: a\n");
});
