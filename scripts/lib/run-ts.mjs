// @ts-check
// Runs a TypeScript entry point on Node 20: bundled by esbuild into .cache/ts, packages left outside.
import path from "node:path";
import { pathToFileURL } from "node:url";
import { cache, root } from "./run.mjs";

/**
 * @template T the type of the module, `typeof import("...")`
 * @param {string} file relative to the root @returns {Promise<T>}
 */
export async function importTs(file) {
  const { build } = await import("esbuild");
  const outfile = path.join(cache, "ts", `${file.replaceAll(/[\\/]/g, "-").replace(/\.ts$/, "")}.mjs`);
  await build({
    absWorkingDir: root,
    entryPoints: [file],
    outfile,
    bundle: true,
    packages: "external",
    platform: "node",
    target: "node20",
    format: "esm",
    sourcemap: "inline",
    logLevel: "error",
    define: { "import.meta.dirname": JSON.stringify(path.dirname(path.join(root, file))) },
  });
  return import(`${pathToFileURL(outfile).href}?${Date.now()}`);
}
