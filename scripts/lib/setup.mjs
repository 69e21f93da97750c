// @ts-check
// Makes a clone ready to run: dependencies, the engine, the DuckDB extension, the bundles. Does only what is stale and says what it
// does. Imports nothing but Node's own modules, for it runs before anything is installed.
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { exe, Failure, modified, newest, root, run, runNpm, say, step, which } from "./run.mjs";

const dist = path.join(root, "dist");
const rustRemedy = "Install Rust from https://rustup.rs (or `rustup update stable`), then run the command again.";
const compilerRemedy = process.platform === "darwin"
  ? "Run `xcode-select --install`, then run the command again."
  : "Install one (Debian, Ubuntu: `apt install build-essential`; Fedora: `dnf install gcc gcc-c++`), then run the command again.";

/** Refuses a Node that the project does not run on. */
export function checkNode() {
  const major = Number(process.versions.node.split(".")[0]);
  if (major < 20) throw new Failure(`Tillage needs Node.js 20 or newer; this is ${process.version}.`, "Install it from https://nodejs.org, then run the command again.");
}

/** Installs the npm packages of package-lock.json when they are not there or differ from it. */
export async function ensureDependencies() {
  checkNode();
  if (dependenciesAreCurrent()) return;
  // No package needs its install script: esbuild's binary comes as an optional dependency of its own.
  await step("Installing npm packages", () => runNpm(["ci", "--ignore-scripts"]));
}

/** Every package that must be installed has the locked version. */
function dependenciesAreCurrent() {
  const installed = path.join(root, "node_modules/.package-lock.json");
  if (!existsSync(installed)) return false;
  /** @type {(file: string) => Record<string, { version?: string, optional?: boolean, devOptional?: boolean, peer?: boolean }>} */
  const packages = (file) => JSON.parse(readFileSync(file, "utf8")).packages;
  const have = packages(installed);
  return Object.entries(packages(path.join(root, "package-lock.json"))).every(
    ([name, entry]) => name === "" || have[name]?.version === entry.version || (have[name] === undefined && (entry.optional === true || entry.devOptional === true || entry.peer === true)),
  );
}

/**
 * Builds the engine and the DuckDB extension and lays them into dist/native, where the extension and the command line look.
 * Cargo itself decides what is stale, and honours CARGO_TARGET_DIR.
 * @returns {Promise<{ engine: string, duckdbExtension: string }>}
 */
export async function ensureNative() {
  const cargo = which("cargo");
  if (!cargo) throw new Failure("cargo, Rust's build tool, is not installed.", rustRemedy);
  if (process.platform !== "win32" && !["cc", "gcc", "clang"].some(which)) throw new Failure("There is no C compiler, which the engine's tokenizer is built with.", compilerRemedy);
  const started = performance.now();
  const artifacts = await cargoBuild(cargo);
  const engine = path.join(dist, "native", `tillage-native${exe}`);
  const duckdbExtension = path.join(dist, "native", "tillage.duckdb_extension");
  if (modified(artifacts.engine) > modified(engine)) await replace(artifacts.engine, engine);
  if (modified(artifacts.library) > modified(duckdbExtension)) {
    await run(process.execPath, [path.join(root, "scripts/sign-extension.mjs"), artifacts.library, duckdbExtension]);
  }
  if (performance.now() - started > 3_000) say(`  engine and DuckDB extension are in ${path.relative(root, path.dirname(engine))}`);
  return { engine, duckdbExtension };
}

/** @param {string} cargo */
async function cargoBuild(cargo) {
  let compiled = 0;
  let said = performance.now();
  const onLine = (/** @type {string} */ line) => {
    if (!/^\s*Compiling /.test(line)) return;
    if (compiled++ === 0) say("- Building the engine (Rust; the first time takes some minutes) ...");
    if (performance.now() - said < 15_000) return;
    said = performance.now();
    say(`  ${compiled} crates so far, now ${line.trim().split(" ")[1]}`);
  };
  const args = ["build", "--release", "--locked", "-p", "tillage-native", "-p", "tillage-duckdb-ext", "--message-format", "json-render-diagnostics"];
  const out = await run(cargo, args, { cwd: path.join(root, "native"), onLine, remedy: `The engine does not build. If the Rust toolchain is older than 1.89: ${rustRemedy}` });
  let engine = "";
  let library = "";
  for (const line of out.split("\n")) {
    if (!line.startsWith('{"reason":"compiler-artifact"')) continue;
    const message = JSON.parse(line);
    if (message.executable && message.target.name === "tillage-native") engine = message.executable;
    if (message.target.crate_types.includes("cdylib") && message.manifest_path.includes("duckdb_ext")) {
      library = message.filenames.find((/** @type {string} */ file) => /\.(so|dylib|dll)$/.test(file));
    }
  }
  if (!engine || !library) throw new Failure("Cargo did not say where it put the engine and the DuckDB extension.", rustRemedy);
  return { engine, library };
}

/** Copies under another name first: a running engine keeps its own file. @param {string} from @param {string} to */
async function replace(from, to) {
  mkdirSync(path.dirname(to), { recursive: true });
  const partial = `${to}.${process.pid}.partial`;
  copyFileSync(from, partial);
  renameSync(partial, to);
}

/**
 * Bundles the extension, the corpus service, the command line and the panels when a source is newer than the bundles.
 * @param {{ production?: boolean }} [options] minified, without source maps: what goes into the package
 */
export async function ensureBundles(options = {}) {
  const stampFile = path.join(dist, ".bundled");
  const mode = options.production ? "production" : "development";
  const sources = ["src", "webview", "esbuild.mjs", "package-lock.json", "native/crates/duckdb_ext/thresholds.json"];
  const latest = newest(sources, (name) => name.endsWith(".test.ts"));
  if (latest <= modified(stampFile) && readFileSync(stampFile, "utf8") === mode) return;
  const started = Date.now();
  await step("Bundling", () => run(process.execPath, [path.join(root, "esbuild.mjs"), ...(options.production ? ["--production"] : [])]));
  mkdirSync(dist, { recursive: true });
  // A source that was saved while esbuild ran counts as newer.
  if (newest(sources) <= started) writeFileSync(stampFile, mode);
}

/** Fails when src/protocol/native.gen.ts is not what the engine's schema makes. */
export async function checkProtocol() {
  await run(process.execPath, [path.join(root, "scripts/gen-protocol.mjs"), "--check"], { remedy: "Run `node scripts/gen-protocol.mjs` and commit the file." });
}

/** All of it: after this the extension, the command line and the demo can run. */
export async function ensureBuilt() {
  await ensureDependencies();
  const native = await ensureNative();
  await ensureBundles();
  return native;
}
