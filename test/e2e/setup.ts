import { cpSync, existsSync, rmSync } from "node:fs";
import path from "node:path";
import type { TestProject } from "vitest/node";
import { cache, Failure, root, run, step } from "../../scripts/lib/run.mjs";
import { vsixOfThisPlatform } from "../../scripts/package.mjs";
import { installVsix } from "../harness/server";

/**
 * Gives the tests the package and a workspace in which the loop has run, so that the panels have real results to show.
 * TILLAGE_VSIX names the package; TILLAGE_LOOP a workspace of an earlier run, while one works on a test.
 */
export default async function setup(project: TestProject): Promise<void> {
  const vsix = process.env["TILLAGE_VSIX"] ?? vsixOfThisPlatform().file;
  if (!existsSync(vsix)) throw new Failure(`${vsix} is not there.`, "Run `npm run package`, or `npm test -- --only e2e`.");
  rmSync(path.join(root, "test/e2e/screenshots"), { recursive: true, force: true });
  const loop = process.env["TILLAGE_LOOP"] ?? path.join(cache, "e2e", "demo");
  if (process.env["TILLAGE_LOOP"] === undefined) await runLoop(vsix, loop);
  project.provide("vsix", vsix);
  project.provide("loop", loop);
}

/** Lets the packaged command line run the whole loop in a new copy of the demo workspace. */
async function runLoop(vsix: string, loop: string): Promise<void> {
  const extension = await installVsix(vsix, path.join(cache, "e2e", "installed"));
  rmSync(loop, { recursive: true, force: true });
  cpSync(path.join(root, "demo"), loop, { recursive: true, filter: (file) => path.basename(file) !== ".tillage" });
  const args = [path.join(extension, "dist/cli.js"), "--json", "demo", "--dir", loop];
  await step("Running the loop with the packaged command line", () => run(process.execPath, args, { cwd: loop }));
}
