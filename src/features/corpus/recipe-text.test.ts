import { describe, expect, it } from "vitest";
import { addStep, parseRecipe } from "../../core/recipe";
import { smallestReplacement } from "../../core/text-edit";
import { escapeGlob } from "./glob";
import { newRecipe, sourceName, whereStep } from "./recipe-text";

const sql = `"words" BETWEEN 20 AND 410 AND language = 'en' AND till_contains("text", 'a "quoted"\\word', false)`;

describe("newRecipe", () => {
  it("is a recipe that reads the file and keeps the predicate as it is", () => {
    const text = newRecipe("/w/gsm8k.recipe.yaml", "/w/data/gsm8k train.jsonl", "prompt/completion", sql);
    const { recipe, problems } = parseRecipe(text, "gsm8k.recipe.yaml");
    expect(problems).toEqual([]);
    expect(recipe?.sources).toMatchObject([{ name: "gsm8k_train", files: ["data/gsm8k train.jsonl"], as: "prompt/completion" }]);
    expect(recipe?.steps).toMatchObject([{ key: "where", config: sql }]);
  });

  it("leaves the shape open where a recipe cannot declare it", () => {
    expect(newRecipe("/w/a.recipe.yaml", "/w/a.csv", "table", "x > 1")).not.toContain("as:");
  });
});

describe("whereStep", () => {
  it("goes into a recipe of several sources for the one it is about", () => {
    const before = "tillage: 1\nsources:\n  a: { files: a.jsonl }\n  b: { files: b.jsonl }\nsteps:\n  # why\n  - dedup: { exact: normalized }\n";
    const { recipe, problems } = parseRecipe(addStep(before, whereStep(sql, "b")), "x.recipe.yaml");
    expect(problems).toEqual([]);
    expect(recipe?.steps[1]).toMatchObject({ key: "where", config: sql, only: ["b"] });
  });
});

describe("sourceName", () => {
  it("is a name that recipes accept", () => {
    expect(sourceName("/d/gsm8k train (1).jsonl")).toBe("gsm8k_train_1");
    expect(sourceName("/d/2024.csv")).toBe("source_2024");
  });
});

describe("smallestReplacement", () => {
  it("gives the new text when applied", () => {
    for (const [before, after] of [["a b c", "a x c"], ["aa", "aaa"], ["", "x"], ["x", ""], ["abab", "ab"]] as const) {
      const edit = smallestReplacement(before, after);
      expect(edit && before.slice(0, edit.start) + edit.newText + before.slice(edit.end)).toBe(after);
    }
    expect(smallestReplacement("same", "same")).toBeUndefined();
  });
});

describe("escapeGlob", () => {
  it("takes the meaning from special characters", () => expect(escapeGlob("a[1]*{x}?.jsonl")).toBe("a[[]1[]][*][{]x[}][?].jsonl"));
});
