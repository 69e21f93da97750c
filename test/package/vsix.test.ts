import { execFileSync } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { cache, root } from "../../scripts/lib/run.mjs";
import { MAX_BYTES, vsixOfThisPlatform } from "../../scripts/package.mjs";
import { installVsix } from "../harness/server";

const { file, target } = vsixOfThisPlatform();
const onWindows = process.platform === "win32";

/** Files of the repository under a folder that are tracked or about to be. */
function tracked(...paths: string[]): string[] {
  const out = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "--", ...paths], { cwd: root, encoding: "utf8" });
  return out.split("\n").filter((name) => name !== "" && existsSync(path.join(root, name)));
}

/** Everything that the package must hold, and nothing else. */
function expected(): string[] {
  const panels = readdirSync(path.join(root, "webview"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(path.join(root, "webview", entry.name, "main.ts")))
    .map((entry) => entry.name);
  return [
    ".vsixmanifest",
    "package.json",
    "readme.md",
    "changelog.md",
    "LICENSE.txt",
    "dist/extension.js",
    "dist/corpus-service.js",
    "dist/cli.js",
    `dist/native/tillage-native${onWindows ? ".exe" : ""}`,
    "dist/native/tillage.duckdb_extension",
    "dist/webview/codicon.css",
    "dist/webview/codicon.ttf",
    ...panels.map((panel) => `dist/webview/${panel}.js`),
    ...tracked("media"),
    ...tracked("demo").filter((name) => !name.endsWith(".mjs") && !name.includes(".tillage/")),
  ];
}

/** Where DuckDB's binding may lie; its own list of files changes with its version. */
const duckdb = new RegExp(`^node_modules/@duckdb/(node-api/(package\\.json|LICENSE|lib/.*\\.js)|node-bindings/(package\\.json|LICENSE|duckdb\\.js)|node-bindings-${target}(-musl)?/(package\\.json|LICENSE|duckdb\\.node|libduckdb\\.(so|dylib)|duckdb\\.dll))$`);
/** Styles that a panel's own imports make. */
const panelStyle = /^dist\/webview\/[a-z-]+\.css$/;

describe("the package", () => {
  let folder = "";
  let files: string[] = [];
  beforeAll(async () => {
    folder = await installVsix(file, path.join(cache, "run", "package-test"));
    files = (readdirSync(folder, { recursive: true }) as string[]).map((name) => name.replaceAll("\\", "/")).filter((name) => statSync(path.join(folder, name)).isFile());
  });

  it(`weighs at most ${MAX_BYTES / 1e6} MB`, () => {
    expect(statSync(file).size).toBeLessThanOrEqual(MAX_BYTES);
  });

  it("holds every file that it needs", () => {
    expect(expected().filter((name) => !files.includes(name))).toEqual([]);
    expect(files.filter((name) => name.endsWith("duckdb.node"))).toHaveLength(1);
  });

  it("holds nothing else", () => {
    const wanted = new Set(expected());
    expect(files.filter((name) => !wanted.has(name) && !duckdb.test(name) && !panelStyle.test(name))).toEqual([]);
  });

  it("holds an engine that runs", () => {
    const engine = path.join(folder, `dist/native/tillage-native${onWindows ? ".exe" : ""}`);
    accessSync(engine, constants.X_OK);
    expect(execFileSync(engine, ["--version"], { encoding: "utf8" })).toMatch(/^tillage-native \d+\.\d+\.\d+/);
  });

  it("holds DuckDB and an extension for it that load", () => {
    const script = `
      const { DuckDBInstance } = require("@duckdb/node-api");
      (async () => {
        const instance = await DuckDBInstance.create(":memory:", { allow_unsigned_extensions: "true" });
        const connection = await instance.connect();
        await connection.run("LOAD '" + process.argv[1].replaceAll("'", "''") + "'");
        const rows = await (await connection.run("SELECT till_words('three short words') AS n")).getRowsJson();
        process.stdout.write(String(rows[0][0]));
      })();`;
    const out = execFileSync(process.execPath, ["-e", script, path.join(folder, "dist/native/tillage.duckdb_extension")], { cwd: folder, encoding: "utf8" });
    expect(out).toBe("3");
  });

  it("holds a command line that runs", () => {
    const out = execFileSync(process.execPath, [path.join(folder, "dist/cli.js"), "--help"], { encoding: "utf8" });
    for (const command of ["build", "train", "eval", "compare", "tokens", "stats", "report"]) expect(out).toContain(command);
  });
});
