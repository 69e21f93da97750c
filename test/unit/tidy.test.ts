import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { ESLint } from "eslint";
import { describe, expect, it } from "vitest";
import { root } from "../../scripts/lib/run.mjs";
import { stepDefinitions } from "../../src/core/recipe";

const binary = /\.(png|ttf|parquet|safetensors|gguf|gz|npz|bin|ico)$/;
/** Every file that is in the repository or about to be, relative to the root. */
const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], { cwd: root, encoding: "utf8" })
  .split("\n")
  .filter((file) => file !== "" && existsSync(path.join(root, file)));
const text = (file: string): string => readFileSync(path.join(root, file), "utf8");
const code = files.filter((file) => /\.(ts|mjs|rs|css|yaml|json|toml|md|sh)$/.test(file) && !/(^|\/)(package-lock\.json|Cargo\.lock)$|^test\/fixtures\//.test(file));
const rust = files.filter((file) => file.endsWith(".rs"));

/** `file:line` of each line of the files that matches and is not let through. */
function places(among: string[], pattern: RegExp, except: (line: string, file: string) => boolean = () => false): string[] {
  return among.flatMap((file) => {
    const lines = text(file).split("\n");
    return lines.flatMap((line, index) => (pattern.test(line) && !except(line, file) ? [`${file}:${index + 1}: ${line.trim().slice(0, 120)}`] : []));
  });
}

/** The words are put together here so that this file does not hold what it forbids. */
const word = (...parts: string[]): string => parts.join("");

describe("the repository", () => {
  it("is looked at: there are sources of each kind", () => {
    expect(code.length).toBeGreaterThan(50);
    expect(rust.length).toBeGreaterThan(10);
    expect(files.some((file) => file.startsWith("webview/"))).toBe(true);
  });

  it("names no folder of the machine that it was written on", () => {
    const machine = new RegExp(`(^|[\\s"'\`(=])(/${word("wo", "rk")}/|/${word("ro", "ot")}/|/${word("ho", "me")}/[a-z]+/|/${word("Us", "ers")}/[A-Za-z]+/|/tmp/[a-z])`);
    expect(places(code, machine)).toEqual([]);
  });

  it("names no package registry, in its lock files neither", () => {
    const registry = new RegExp([word("registry\\.", "npmjs"), word("registry\\.", "yarnpkg"), word("index\\.", "crates\\.io"), word("static\\.", "crates\\.io"), word("pypi\\.", "org")].join("|"));
    expect(places([...code, "package-lock.json"], registry)).toEqual([]);
  });

  it("holds no mark of unfinished work", () => {
    const marks = new RegExp([`\\b${word("TO", "DO")}\\b`, `\\b${word("FIX", "ME")}\\b`, word("todo", "!\\("), word("unimplemented", "!\\("), word("@ts-", "ignore"), word("eslint-", "disable"), word("#\\[", "ignore"), word("\\b(it|test|describe|suite)\\.", "(only|skip)\\(")].join("|"));
    expect(places(code.filter((file) => !file.endsWith(".md")), marks)).toEqual([]);
  });

  it("keeps no binary file that nothing reads as one", () => {
    const heavy = files.filter((file) => readFileSync(path.join(root, file)).length > 2e6);
    expect(heavy.filter((file) => !binary.test(file) && !/^test\/fixtures\/|^package-lock\.json$|\.lock$/.test(file))).toEqual([]);
  });

  it("keeps the reference fixtures under 12 MB", () => {
    const bytes = files.filter((file) => file.startsWith("test/fixtures/")).reduce((sum, file) => sum + readFileSync(path.join(root, file)).length, 0);
    expect(bytes).toBeLessThan(12e6);
  });

  it("keeps each step of a recipe in a folder of its own: its words, its SQL, its tests", () => {
    const steps = [...new Set(files.flatMap((file) => /^src\/core\/steps\/([a-z_]+)\//.exec(file)?.[1] ?? []))];
    expect(steps.length).toBeGreaterThan(5);
    const wanted = steps.flatMap((step) => ["index.ts", "sql.ts", "README.md", `${step}.test.ts`].map((name) => `src/core/steps/${step}/${name}`));
    expect(wanted.filter((file) => !files.includes(file))).toEqual([]);
    expect(Object.keys(stepDefinitions).sort()).toEqual(steps.sort());
  });

  it("splits Rust files before 400 lines", () => {
    expect(rust.filter((file) => text(file).split("\n").length > 401)).toEqual([]);
  });

  it("has unsafe code only in the kernels and the DuckDB extension", () => {
    const unsafe = new RegExp(`\\b${word("un", "safe")}\\s*(\\{|fn|impl|extern)|allow\\(${word("unsafe", "_code")}\\)`);
    expect(places(rust.filter((file) => !/^native\/crates\/(kernels|duckdb_ext)\//.test(file)), unsafe)).toEqual([]);
  });

  it("gives each unsafe block its reason", () => {
    const block = new RegExp(`\\b${word("un", "safe")}\\s*(\\{|impl)`);
    const bare = rust.flatMap((file) => {
      const lines = text(file).split("\n");
      return lines.flatMap((line, index) => {
        if (!block.test(line.replace(/\/\/.*/, ""))) return [];
        const before = lines.slice(Math.max(0, index - 8), index + 1).join("\n");
        return before.includes("SAFETY:") ? [] : [`${file}:${index + 1}`];
      });
    });
    expect(bare).toEqual([]);
  });

  it("gives every webview a content security policy", () => {
    const pages = files.filter((file) => file.startsWith("src/") && !file.endsWith(".test.ts") && /\.webview\.html\s*=/.test(text(file)));
    expect(pages.length).toBeGreaterThan(0);
    const bare = pages.filter((file) => !/\.webview\.html\s*=\s*webviewHtml\(/.test(text(file)) && !text(file).includes("Content-Security-Policy"));
    expect(bare).toEqual([]);
    expect(text("src/vscode/webview-html.ts")).toContain("default-src 'none'");
  });

  it("lints every TypeScript file", async () => {
    const eslint = new ESLint({ cwd: root });
    const sources = files.filter((file) => file.endsWith(".ts") && !file.endsWith(".gen.ts"));
    const ignored: string[] = [];
    for (const file of sources) if (await eslint.isPathIgnored(path.join(root, file))) ignored.push(file);
    expect(ignored).toEqual([]);
  });

  it("starts no shell", () => {
    const shell = /\bshell:\s*true|\bexecSync\(|\bexec\(\s*[`"']/;
    expect(places(files.filter((file) => /^(src|scripts|test|bench)\/.*\.(ts|mjs)$/.test(file)), shell, (_line, file) => file === "test/unit/tidy.test.ts")).toEqual([]);
  });
});
