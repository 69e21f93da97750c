// Bundles the extension, the corpus service, the command line and one bundle per webview panel into dist/.
// usage: node esbuild.mjs [--watch] [--production]
import { cpSync, existsSync, mkdirSync, readdirSync } from "node:fs";
import path from "node:path";
import * as esbuild from "esbuild";

const root = import.meta.dirname;
const production = process.argv.includes("--production");
const common = { bundle: true, sourcemap: production ? false : "linked", minify: production, logLevel: "info", absWorkingDir: root };

/** Panels are the folders of webview/ that have a main.ts. */
const panels = readdirSync(path.join(root, "webview"), { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && existsSync(path.join(root, "webview", entry.name, "main.ts")))
  .map((entry) => entry.name);

const node = { ...common, platform: "node", target: "node20", format: "cjs", external: ["vscode", "@duckdb/node-api"] };
const builds = [
  { ...node, entryPoints: { extension: "src/extension.ts" }, outdir: "dist" },
  { ...node, entryPoints: { "corpus-service": "src/data/service-main.ts" }, outdir: "dist" },
  { ...node, entryPoints: { cli: "src/cli/main.ts" }, outdir: "dist", banner: { js: "#!/usr/bin/env node" } },
  {
    ...common,
    platform: "browser",
    target: "es2022",
    format: "esm",
    entryPoints: Object.fromEntries(panels.map((name) => [name, `webview/${name}/main.ts`])),
    outdir: "dist/webview",
    loader: { ".ttf": "file", ".css": "css" },
    assetNames: "[name]",
  },
].filter((build) => Object.values(build.entryPoints).every((file) => existsSync(path.join(root, file))) && Object.keys(build.entryPoints).length > 0);

mkdirSync(path.join(root, "dist/webview"), { recursive: true });
for (const file of ["codicon.css", "codicon.ttf"]) {
  cpSync(path.join(root, "node_modules/@vscode/codicons/dist", file), path.join(root, "dist/webview", file));
}
if (process.argv.includes("--watch")) {
  for (const build of builds) await (await esbuild.context(build)).watch();
} else {
  await Promise.all(builds.map((build) => esbuild.build(build)));
}
