import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { freePlace } from "../../vscode/free-place";
import { replacing } from "./export-place";

let dir = "";
const at = (name: string): string => path.join(dir, name);
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "tillage-export-"));
  writeFileSync(at("tune.gguf"), "old");
  writeFileSync(at("tune.Modelfile"), "FROM ./tune.gguf");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe("the place of an export", () => {
  it("is the first name that nothing has", () => {
    expect(freePlace(at("tune"), ".gguf")).toBe(at("tune-2.gguf"));
    writeFileSync(at("tune-2.gguf"), "");
    expect(freePlace(at("tune"), ".gguf")).toBe(at("tune-3.gguf"));
    expect(freePlace(at("other"), "")).toBe(at("other"));
  });

  it("is free while the file that stands there is replaced", async () => {
    const seen = await replacing(at("tune.gguf"), () => {
      const there = readdirSync(dir);
      writeFileSync(at("tune.gguf"), "new");
      return Promise.resolve(there);
    });
    expect(seen).not.toContain("tune.gguf");
    expect(seen).not.toContain("tune.Modelfile");
    expect(readdirSync(dir)).toEqual(["tune.gguf"]);
    expect(readFileSync(at("tune.gguf"), "utf8")).toBe("new");
  });

  it("has what stood there again when the work fails", async () => {
    await expect(replacing(at("tune.gguf"), () => Promise.reject(new Error("The disk is full.")))).rejects.toThrow("full");
    expect(readdirSync(dir).sort()).toEqual(["tune.Modelfile", "tune.gguf"]);
    expect(readFileSync(at("tune.gguf"), "utf8")).toBe("old");
  });
});
