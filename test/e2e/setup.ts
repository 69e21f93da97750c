import { cpSync, existsSync, rmSync } from "node:fs";
import path from "node:path";
import type { TestProject } from "vitest/node";
import { cache, Failure, root, run, step } from "../../scripts/lib/run.mjs";
import { vsixOfThisPlatform } from "../../scripts/package.mjs";
import { installVsix } from "../harness/server";

/** Lets the packaged command line run the whole loop once, so that the panels have real results to show. */
export default async function setup(project: TestProject): Promise<void> {
  const vsix = process.env["TILLAGE_VSIX"] ?? vsixOfThisPlatform().file;
  if (!existsSync(vsix)) throw new Failure(`${vsix} is not there.`, "Run `npm run package`, or `npm test -- --only e2e`.");
  rmSync(path.join(root, "test/e2e/screenshots"), { recursive: true, force: true });
  const extension = await installVsix(vsix, path.join(cache, "e2e", "installed"));
  const loop = path.join(cache, "e2e", "demo");
  rmSync(loop, { recursive: true, force: true });
  cpSync(path.join(root, "demo"), loop, { recursive: true, filter: (file) => path.basename(file) !== ".tillage" });
  await step("Running the loop with the packaged command line", () => run(process.execPath, [path.join(extension, "dist/cli.js"), "demo", "--dir", loop, "--json"], { cwd: loop }));
  project.provide("vsix", vsix);
  project.provide("loop", loop);
}
