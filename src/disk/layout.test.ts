import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cacheFolder, tillageFolder } from "./layout";

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "tillage-layout-"));
  mkdirSync(path.join(root, "w/.tillage"), { recursive: true });
});
afterEach(() => {
  delete process.env["TILLAGE_CACHE"];
  rmSync(root, { recursive: true, force: true });
});

describe("the cache", () => {
  it("lies in the workspace, or where TILLAGE_CACHE says", () => {
    expect(cacheFolder(path.join(root, "w/a.jsonl"))).toBe(path.join(root, "w/.tillage/cache/browse"));
    process.env["TILLAGE_CACHE"] = path.join(root, "elsewhere");
    expect(cacheFolder(path.join(root, "w/a.jsonl"))).toBe(path.join(root, "elsewhere/browse"));
    expect(statSync(path.join(root, "elsewhere")).mode & 0o777).toBe(0o700);
  });

  it.runIf(process.platform !== "win32")("is not a folder that others can read, nor a link that somebody else laid", () => {
    const shared = path.join(root, "shared");
    mkdirSync(shared);
    chmodSync(shared, 0o777);
    symlinkSync(shared, path.join(root, "link"));
    for (const name of ["shared", "link"]) {
      process.env["TILLAGE_CACHE"] = path.join(root, name);
      const made = cacheFolder(path.join(root, "w/a.jsonl"));
      expect(made.startsWith(`${path.join(root, name)}-`)).toBe(true);
      expect(statSync(made).mode & 0o777).toBe(0o700);
    }
  });
});

describe("what Tillage makes", () => {
  it("stays out of git, unless the workspace has a rule of its own", () => {
    const ignore = path.join(root, "w/.tillage/.gitignore");
    expect(statSync(tillageFolder(path.join(root, "w"), "runs")).isDirectory()).toBe(true);
    expect(readFileSync(ignore, "utf8")).toBe("*\n");
    writeFileSync(ignore, "cache\n");
    tillageFolder(path.join(root, "w"), "runs");
    expect(readFileSync(ignore, "utf8")).toBe("cache\n");
  });
});
