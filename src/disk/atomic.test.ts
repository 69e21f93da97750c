import { linkSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { writeAtomic } from "./atomic";

const calls = vi.hoisted((): string[] => []);
vi.mock("node:fs", async (original) => {
  const fs = await original<typeof import("node:fs")>();
  return {
    ...fs,
    fsyncSync: (handle: number) => {
      calls.push(fs.fstatSync(handle).isDirectory() ? "fsync of the folder" : "fsync of the file");
      fs.fsyncSync(handle);
    },
    renameSync: (from: string, to: string) => {
      calls.push("rename");
      fs.renameSync(from, to);
    },
  };
});

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "tillage-atomic-"));
  calls.length = 0;
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe("a file that is written whole", () => {
  it("takes the old one's place, and its folder is made", () => {
    const file = path.join(root, "a/b/result.json");
    writeAtomic(file, "old");
    linkSync(file, path.join(root, "kept"));
    writeAtomic(file, "new");
    expect(readFileSync(file, "utf8")).toBe("new");
    // Whoever has the old one open goes on reading it.
    expect(readFileSync(path.join(root, "kept"), "utf8")).toBe("old");
    expect(readdirSync(path.dirname(file))).toEqual(["result.json"]);
  });

  it("is on the disk before it gets its name, and its name after that", () => {
    writeAtomic(path.join(root, "result.json"), "text");
    expect(calls).toEqual(["fsync of the file", "rename", ...(process.platform === "win32" ? [] : ["fsync of the folder"])]);
  });

  it("leaves nothing beside what it could not replace", () => {
    const file = path.join(root, "result.json");
    mkdirSync(file);
    writeFileSync(path.join(file, "inside"), "");
    expect(() => writeAtomic(file, "text")).toThrow();
    expect(readdirSync(root)).toEqual(["result.json"]);
  });
});
