// @ts-check
// Runs bundled suites in the desktop VS Code that @vscode/test-electron downloads. Started by scripts/test-electron.mjs under Node 24.
// usage: node electron.mjs TEST-ELECTRON-FOLDER EXTENSION SUITES WORKSPACE
import { createRequire } from "node:module";
import path from "node:path";

const [folder = "", extensionDevelopmentPath = "", suites = "", workspace = ""] = process.argv.slice(2);
const { runTests } = await import(createRequire(path.join(folder, "package.json")).resolve("@vscode/test-electron"));
process.exitCode = await runTests({
  extensionDevelopmentPath,
  extensionTestsPath: path.join(suites, "index.js"),
  cachePath: path.join(folder, "vscode"),
  launchArgs: [workspace, "--disable-workspace-trust", "--disable-telemetry", "--disable-updates", ...(process.platform === "linux" ? ["--no-sandbox", "--disable-gpu"] : [])],
});
