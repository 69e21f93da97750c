// @ts-check
// The suites of test/integration in the desktop VS Code, downloaded by @vscode/test-electron; `npm test` runs the same suites in
// VS Code's server.
// usage: npm run test:electron
import { cpSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { makePackage } from "./package.mjs";
import { ensureBuilt } from "./lib/setup.mjs";
import { ensureTestElectron } from "./lib/tools.mjs";
import { cache, entry, Failure, root, run, step } from "./lib/run.mjs";

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
  const { bundleSuites, readOutcomes } = await importTs("test/harness/in-host.ts");
  const extension = await installVsix(await makePackage(), path.join(cache, "run", "unpacked"));
  const suites = await bundleSuites();
  const workspace = path.join(mkdtempSync(path.join(tmpdir(), "tillage-")), "demo");
  cpSync(path.join(root, "demo"), workspace, { recursive: true });
  await step("Running the suites in VS Code (downloaded at the first time)", () =>
    run(node, [path.join(root, "test/harness/electron.mjs"), folder, extension, suites, workspace], {
      env,
      quiet: false,
      remedy: "If VS Code could not be downloaded: `npm test` runs the same suites without a download.",
    }),
  );
  /** @type {{ ok: boolean }[]} */
  const outcomes = readOutcomes(suites);
  const passed = outcomes.filter((outcome) => outcome.ok).length;
  process.stdout.write(`${passed} passed, ${outcomes.length - passed} failed\n`);
});
