// @ts-check
// Tools that are too heavy for the project's own dependencies, installed on demand into .cache: Node 24, VS Code's server, vsce,
// test-electron, and a browser. Nothing is written outside the clone except Debian packages, and those only when run as root.
import { existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { cache, Failure, modified, root, run, runNpm, say, stamp, step, which } from "./run.mjs";

const versions = {
  node: "24.21.0",
  "code-server": "4.139.1",
  "@vscode/vsce": "4.1.0",
  "@vscode/test-electron": "3.1.0",
};

/**
 * Installs packages into `.cache/<folder>` unless just these are there already.
 * @param {string} folder @param {(keyof typeof versions)[]} packages @param {string} title @param {NodeJS.ProcessEnv} [env]
 * @returns {Promise<string>} the folder
 */
async function install(folder, packages, title, env = process.env) {
  const where = path.join(cache, folder);
  const wanted = packages.map((name) => `${name}@${versions[name]}`);
  const ready = path.join(where, ".ready");
  if (modified(ready) && readFileSync(ready, "utf8") === wanted.join("\n")) return where;
  await step(title, async () => {
    mkdirSync(where, { recursive: true });
    writeFileSync(path.join(where, "package.json"), '{"private":true}\n');
    await runNpm(["install", "--save-exact", ...wanted], { cwd: where, env });
    stamp(ready, wanted.join("\n"));
  });
  return where;
}

/** Node 24, which VS Code's server and its packaging tool demand. @returns {Promise<{ node: string, env: NodeJS.ProcessEnv }>} */
export async function ensureNode24() {
  const where = await install("node", ["node"], "Installing Node 24 for VS Code's tools (100 MB)");
  const bin = path.join(where, "node_modules/node/bin");
  const node = path.join(bin, process.platform === "win32" ? "node.exe" : "node");
  if (!existsSync(node)) throw new Failure(`${node} is missing.`, "Delete .cache/node and run the command again.");
  return { node, env: { ...process.env, PATH: `${bin}${path.delimiter}${process.env.PATH ?? ""}` } };
}

/** @returns {Promise<{ node: string, env: NodeJS.ProcessEnv, vsce: string }>} the packaging tool's script and the Node to run it with */
export async function ensureVsce() {
  const runtime = await ensureNode24();
  const where = await install("vsce", ["@vscode/vsce"], "Installing the packaging tool vsce", runtime.env);
  return { ...runtime, vsce: path.join(where, "node_modules/@vscode/vsce/vsce") };
}

/** @returns {Promise<{ node: string, env: NodeJS.ProcessEnv, folder: string }>} */
export async function ensureTestElectron() {
  const runtime = await ensureNode24();
  const folder = await install("test-electron", ["@vscode/test-electron"], "Installing @vscode/test-electron", runtime.env);
  return { ...runtime, folder };
}

/** Lets node-gyp compile against the headers that came with this Node instead of downloading them. @param {string} node @returns {NodeJS.ProcessEnv} */
function headersOf(node) {
  const folder = path.resolve(realpathSync(node), "../..");
  const platform = path.join(path.resolve(node, "../.."), "node_modules", `node-${process.platform}-${process.arch}`);
  const found = [folder, platform].find((place) => existsSync(path.join(place, "include/node/node_api.h")));
  return found ? { npm_config_nodedir: found } : {};
}

/** VS Code's own server with its web front end. @returns {Promise<{ node: string, env: NodeJS.ProcessEnv, serverMain: string }>} */
export async function ensureVsCodeServer() {
  if (process.platform === "win32") {
    throw new Failure("VS Code's server cannot be built on Windows.", "Run the tests in WSL, or `npm run test:electron` for the suites inside VS Code.");
  }
  const runtime = await ensureNode24();
  if (process.platform === "linux" && !existsSync("/usr/include/gssapi/gssapi.h")) {
    await debian(["libkrb5-dev"], "Kerberos headers, which VS Code's server is compiled with", "Install libkrb5-dev (Debian, Ubuntu) or krb5-devel (Fedora)");
  }
  if (!which("c++") && !which("g++") && !which("clang++")) {
    await debian(["g++", "make"], "a C++ compiler", "Install g++ and make");
  }
  const where = await install("vscode", ["code-server"], "Installing VS Code's server (750 MB, about 2 minutes)", { ...runtime.env, ...headersOf(runtime.node) });
  const serverMain = path.join(where, "node_modules/code-server/lib/vscode/out/server-main.js");
  if (!existsSync(serverMain)) throw new Failure(`${serverMain} is missing.`, "Delete .cache/vscode and run the command again.");
  return { ...runtime, serverMain };
}

/**
 * A Chromium that playwright-core can drive: CHROME_PATH, an installed one, Playwright's own, or Debian's package.
 * @returns {Promise<string>} its executable
 */
export async function ensureBrowser() {
  const named = process.env.CHROME_PATH;
  if (named) {
    if (existsSync(named)) return named;
    throw new Failure(`CHROME_PATH names ${named}, which is not there.`, "Correct it or unset it.");
  }
  const found = installedBrowser();
  if (found) return found;
  const fonts = ["fonts-dejavu-core", "fonts-liberation", "fonts-noto-color-emoji"];
  await debian(["chromium", ...fonts], "a browser", "Install Chrome or Chromium, or run `npx playwright-core install chromium`, or set CHROME_PATH");
  const installed = installedBrowser();
  if (!installed) throw new Failure("The browser was installed but is not on PATH.", "Set CHROME_PATH to its executable.");
  return installed;
}

/** @returns {string | undefined} */
function installedBrowser() {
  for (const name of ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome", "msedge"]) {
    const file = which(name);
    if (file) return file;
  }
  const places = [
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    path.join(process.env.PROGRAMFILES ?? "C:/Program Files", "Google/Chrome/Application/chrome.exe"),
  ];
  const place = places.find((file) => existsSync(file));
  if (place) return place;
  const require = createRequire(path.join(root, "package.json"));
  const own = require("playwright-core").chromium.executablePath();
  return own && existsSync(own) ? own : undefined;
}

/** @param {string[]} packages @param {string} what @param {string} remedy */
async function debian(packages, what, remedy) {
  const missing = `${what[0]?.toUpperCase()}${what.slice(1)} is missing.`;
  if (!which("apt-get") || process.getuid?.() !== 0) throw new Failure(missing, `${remedy}, then run the command again.`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  await step(`Installing ${packages.join(", ")}`, async () => {
    const install = () => run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...packages], { env, remedy });
    try {
      await install();
    } catch {
      say("  the package lists are missing or old: apt-get update");
      await run("apt-get", ["update", "-qq"], { env, remedy });
      await install();
    }
  });
}
