// The whole loop on the demo workspace. Installs and builds what is missing first; needs only Node and a Rust toolchain.
// usage: npm run demo [-- --json] [-- --raw] [-- --open] [-- --dir DIR]
import { spawn } from "node:child_process";
import path from "node:path";
import { entry, root } from "./lib/run.mjs";
import { ensureBuilt } from "./lib/setup.mjs";

await entry(import.meta, async () => {
  await ensureBuilt();
  process.exitCode = await new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [path.join(root, "dist/cli.js"), "demo", ...process.argv.slice(2)], { stdio: "inherit" });
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(signal ? 1 : (code ?? 1)));
  });
});
