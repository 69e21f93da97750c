// Bundles the extension, the corpus service, the command line and one bundle per webview panel into dist/, and removes bundles that no
// source makes any more.
// usage: node esbuild.mjs [--watch] [--production]
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import * as esbuild from "esbuild";

const root = import.meta.dirname;
const production = process.argv.includes("--production");
/** zod carries its messages in forty languages; Tillage speaks English. Half of its size, and of the time to load it, goes with them. */
const englishOnly = {
  name: "english-only",
  setup(build) {
    build.onLoad({ filter: /zod[\\/]v4[\\/]locales[\\/]index\.(js|cjs)$/ }, () => ({ contents: 'export { default as en } from "./en.js";', loader: "js" }));
  },
};
const common = { plugins: [englishOnly], bundle: true, sourcemap: production ? false : "linked", minify: production, logLevel: "warning", absWorkingDir: root, metafile: true };

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
const copied = ["codicon.css", "codicon.ttf"];
for (const file of copied) cpSync(path.join(root, "node_modules/@vscode/codicons/dist", file), path.join(root, "dist/webview", file));

if (process.argv.includes("--watch")) {
  for (const build of builds) await (await esbuild.context({ ...build, logLevel: "info" })).watch();
} else {
  // esbuild has printed what is wrong, with file and line; all bundles are tried.
  const results = await Promise.allSettled(builds.map((build) => esbuild.build(build)));
  if (results.every((result) => result.status === "fulfilled")) {
    const made = results.flatMap((result) => Object.keys(result.value.metafile.outputs).map((file) => path.resolve(root, file)));
    prune(new Set([...made, ...copied.map((file) => path.join(root, "dist/webview", file))]));
  } else {
    process.exitCode = 1;
  }
}

/** @param {Set<string>} keep */
function prune(keep) {
  for (const folder of ["dist", "dist/webview"]) {
    for (const entry of readdirSync(path.join(root, folder), { withFileTypes: true })) {
      const file = path.join(root, folder, entry.name);
      if (entry.isFile() && /\.(js|css|map|ttf)$/.test(entry.name) && !keep.has(file)) rmSync(file);
    }
  }
}
