import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { builtDatasets, previousBuild, resolveDataset } from "./datasets";

const root = mkdtempSync(path.join(tmpdir(), "tillage-datasets-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const at = (name: string): string => path.join(root, ".tillage/datasets", name);

describe("which dataset is meant", () => {
  it("is told by its folder, its name, a beginning of its hash, or its recipe", () => {
    expect(builtDatasets(root)).toEqual([]);
    expect(() => resolveDataset(root, "notes", root)).toThrow(/no dataset 'notes'/);
    for (const [i, name] of ["notes@aa11", "notes@aa22", "notes2@bb11", "notes@cc33", "my-notes@cc34"].entries()) {
      mkdirSync(at(name), { recursive: true });
      writeFileSync(path.join(at(name), "manifest.json"), "{}");
      utimesSync(path.join(at(name), "manifest.json"), 1000 + i, 1000 + i);
    }
    mkdirSync(at("notes@unfinished"));
    mkdirSync(at(".building-notes@dd44"));
    expect(builtDatasets(root)).toEqual(["my-notes@cc34", "notes@cc33", "notes2@bb11", "notes@aa22", "notes@aa11"]);
    expect(resolveDataset(root, at("notes@aa11"), "/")).toBe(at("notes@aa11"));
    expect(resolveDataset(root, ".tillage/datasets/notes@aa11", root)).toBe(at("notes@aa11"));
    expect(resolveDataset(root, "notes@aa2", root)).toBe(at("notes@aa22"));
    for (const ref of ["notes", "sub/notes.recipe.yaml", "notes.recipe.yml"]) expect(resolveDataset(root, ref, root)).toBe(at("notes@cc33"));
    expect(() => resolveDataset(root, "notes@aa", root)).toThrow(/may be notes@aa22 or notes@aa11/);
    expect(previousBuild(at("notes@cc33"))).toBe(at("notes@aa22"));
    expect(previousBuild(at("notes@aa22"))).toBe(at("notes@aa11"));
    for (const name of ["notes@aa11", "notes2@bb11", "notes@gone"]) expect(previousBuild(at(name))).toBeUndefined();
    expect(() => resolveDataset(root, "note", root)).toThrow(/no dataset 'note'/);
  });
});
