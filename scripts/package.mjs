// @ts-check
// Makes the package for this platform: tillage-<platform>-<version>.vsix, with engine, DuckDB and its extension inside.
// usage: npm run package
import { readFileSync, rmSync, statSync } from "node:fs";
import path from "node:path";
import { ensureBundles, ensureDependencies, ensureNative } from "./lib/setup.mjs";
import { ensureVsce } from "./lib/tools.mjs";
import { entry, Failure, root, run, say, step } from "./lib/run.mjs";

/** The most that the package may weigh. */
export const MAX_BYTES = 80e6;

/** @returns {{ target: string, file: string }} VS Code's name of this platform, and the package's path */
export function vsixOfThisPlatform() {
  const { name, version } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
  const target = `${process.platform}-${process.arch}`;
  return { target, file: path.join(root, `${name}-${target}-${version}.vsix`) };
}

/** Builds what is stale and packages it. @returns {Promise<string>} the VSIX */
export async function makePackage() {
  await ensureDependencies();
  await ensureNative();
  await ensureBundles({ production: true });
  const { node, env, vsce } = await ensureVsce();
  const { target, file } = vsixOfThisPlatform();
  rmSync(file, { force: true });
  await step(`Packaging ${path.basename(file)}`, () =>
    run(node, [vsce, "package", "--target", target, "--out", file, "--allow-missing-repository", "--no-rewrite-relative-links", "--no-git-tag-version"], { env, remedy: "vsce says above what it misses." }),
  );
  const bytes = statSync(file).size;
  say(`  ${(bytes / 1e6).toFixed(1)} MB`);
  if (bytes > MAX_BYTES) throw new Failure(`The package weighs ${(bytes / 1e6).toFixed(1)} MB; at most ${MAX_BYTES / 1e6} MB are allowed.`, "Look at what .vscodeignore lets in.");
  return file;
}

await entry(import.meta, async () => void (await makePackage()));
