// @ts-check
// The suites of test/integration in the desktop VS Code, downloaded by @vscode/test-electron; `npm test` runs the same suites in
// VS Code's server.
// usage: npm run test:electron
import { cpSync, existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { makePackage } from "./package.mjs";
import { ensureBuilt } from "./lib/setup.mjs";
import { ensureTestElectron } from "./lib/tools.mjs";
import { cache, entry, Failure, root, run, say, step } from "./lib/run.mjs";

await entry(import.meta, async () => {
  if (process.platform === "linux" && !process.env.DISPLAY && !process.env.WAYLAND_DISPLAY) {
    throw new Failure("The desktop VS Code needs a display.", "Run `xvfb-run -a npm run test:electron` (Debian's package xvfb).");
  }
  await ensureBuilt();
  const { node, env, folder } = await ensureTestElectron();
  const { importTs } = await import("./lib/run-ts.mjs");
  /** @type {typeof import("../test/harness/server.js")} */
  const { installVsix } = await importTs("test/harness/server.ts");
  /** @type {typeof import("../test/harness/in-host.js")} */
  const { bundleSuites, readOutcomes, workspaceOf } = await importTs("test/harness/in-host.ts");
  const extension = await installVsix(await makePackage(), path.join(cache, "run", "unpacked"));
  /** @type {import("../test/harness/in-host.js").Outcome[]} */
  const outcomes = [];
  for (const place of /** @type {const} */ (["empty", "demo"])) {
    const suites = await bundleSuites(place);
    const workspace = path.join(mkdtempSync(path.join(tmpdir(), "tillage-")), place);
    cpSync(workspaceOf(place), workspace, { recursive: true, filter: (file) => path.basename(file) !== ".tillage" });
    const args = [path.join(root, "test/harness/electron.mjs"), folder, extension, suites, workspace];
    const remedy = "If VS Code could not be downloaded: `npm test` runs the same suites without a download.";
    // Failed suites end VS Code with an exit code of their own; what they wrote says more.
    const failure = await step(`Running the suites in the ${place} workspace in VS Code`, () => run(node, args, { env, quiet: false, remedy }).then(() => undefined, (error) => error));
    if (failure && !existsSync(path.join(suites, "results.json"))) throw failure;
    outcomes.push(...readOutcomes(suites));
  }
  for (const outcome of outcomes) if (!outcome.ok) say(`failed: ${outcome.name}\n${outcome.error ?? ""}`);
  const passed = outcomes.filter((outcome) => outcome.ok).length;
  process.stdout.write(`${passed} passed, ${outcomes.length - passed} failed\n`);
  if (passed < outcomes.length) process.exitCode = 1;
});
