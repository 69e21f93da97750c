// @ts-check
// What every script here needs before anything is installed: the root, running a program, saying what is going on. Only Node's own modules.
import { spawn } from "node:child_process";
import { accessSync, constants, existsSync, mkdirSync, readdirSync, realpathSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";

/** The repository's root folder. */
export const root = path.resolve(import.meta.dirname, "../..");
/** Everything that can be thrown away and made again; git-ignored. */
export const cache = path.join(root, ".cache");
/** File name ending of programs on this platform. */
export const exe = process.platform === "win32" ? ".exe" : "";

/** A failure that says what to do: its message is shown without a stack. */
export class Failure extends Error {
  /**
   * @param {string} message what happened
   * @param {string} remedy what to do about it
   * @param {string} [output] the end of what the failed program printed
   */
  constructor(message, remedy, output = "") {
    super(message);
    this.name = "Failure";
    this.remedy = remedy;
    this.output = output;
  }
}

/** Where progress lines go; `setReporter(() => {})` makes everything here silent. */
/** @type {(line: string) => void} */
let report = (line) => {
  process.stderr.write(`${line}\n`);
};
/** @param {(line: string) => void} to */
export function setReporter(to) {
  report = to;
}
/** @param {string} line */
export function say(line) {
  report(line);
}

/** @param {number} ms @returns {string} seconds for people, such as `3.2 s` or `2 min 05 s` */
export function duration(ms) {
  const seconds = ms / 1000;
  if (seconds < 99.95) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${String(Math.round(seconds % 60)).padStart(2, "0")} s`;
}

/**
 * Does one step and says so: a line when it starts, and how long it took.
 * @template T
 * @param {string} title @param {() => Promise<T>} work @returns {Promise<T>}
 */
export async function step(title, work) {
  const started = performance.now();
  say(`- ${title} ...`);
  const result = await work();
  say(`  ${duration(performance.now() - started)}`);
  return result;
}

/** @param {string} name a program @returns {string | undefined} its full path when PATH has it */
export function which(name) {
  for (const folder of (process.env.PATH ?? "").split(path.delimiter)) {
    const file = path.join(folder, name + exe);
    try {
      accessSync(file, constants.X_OK);
      if (statSync(file).isFile()) return file;
    } catch {
      continue;
    }
  }
  return undefined;
}

/**
 * Runs a program. `quiet` (the default) keeps its output for the error message; `quiet: false` shows it as it comes.
 * @param {string} program @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, quiet?: boolean, remedy?: string, onLine?: (line: string) => void }} [options]
 * @returns {Promise<string>} stdout
 * @throws {Failure} when it cannot start or exits with another code than 0
 */
export function run(program, args, options = {}) {
  const { cwd = root, env = process.env, quiet = true, remedy = "Read the output above.", onLine } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    let out = "";
    let tail = "";
    let pending = "";
    const take = (/** @type {Buffer} */ chunk, /** @type {boolean} */ isOut) => {
      const text = chunk.toString("utf8");
      if (isOut) out += text;
      tail = (tail + text).slice(-64_000);
      if (!quiet) process.stderr.write(text);
      if (onLine) {
        const lines = (pending + text).split("\n");
        pending = lines.pop() ?? "";
        lines.forEach(onLine);
      }
    };
    child.stdout.on("data", (chunk) => take(chunk, true));
    child.stderr.on("data", (chunk) => take(chunk, false));
    child.on("error", (error) => reject(new Failure(`${program} cannot be started: ${error.message}`, remedy)));
    child.on("close", (code, signal) => {
      if (code === 0) resolve(out);
      else reject(new Failure(`${[path.basename(program), ...args].join(" ")} ended with ${signal ?? `exit code ${code}`}.`, remedy, quiet ? readable(tail) : ""));
    });
  });
}

/** The end of what a program printed, without what it printed for programs. @param {string} text */
function readable(text) {
  const lines = text.split("\n").filter((line) => !line.startsWith('{"reason":'));
  return lines.join("\n").slice(-16_000);
}

/**
 * How npm is started: without a shell, and under the Node given in PATH.
 * @returns {{ program: string, before: string[] }}
 */
function npm() {
  if (process.platform !== "win32") {
    if (!which("npm")) throw new Failure("npm is not installed.", "Install Node.js 20 or newer with npm (https://nodejs.org), then run the command again.");
    return { program: "npm", before: [] };
  }
  const script = process.env.npm_execpath ?? path.join(path.dirname(process.execPath), "node_modules/npm/bin/npm-cli.js");
  return { program: process.execPath, before: [script] };
}

/** @param {string[]} args @param {{ cwd?: string, env?: NodeJS.ProcessEnv, remedy?: string }} [options] */
export function runNpm(args, options = {}) {
  const { program, before } = npm();
  const remedy = options.remedy ?? "Check that the npm registry can be reached, then run the command again.";
  const env = withoutOuterNpm(options.env ?? process.env);
  return run(program, [...before, ...args, "--no-audit", "--no-fund", "--loglevel=error"], { ...options, env, remedy });
}

/**
 * Without what the npm that runs this script (`npm test`) says about itself and its Node: packages' install scripts would take it
 * for the npm and the Node that install them. The user's own npm settings stay.
 * @param {NodeJS.ProcessEnv} env @returns {NodeJS.ProcessEnv}
 */
function withoutOuterNpm(env) {
  const outer = /^(NODE|INIT_CWD|npm_command|npm_execpath|npm_node_execpath|npm_config_user_agent|npm_config_local_prefix|npm_lifecycle_.*|npm_package_.*)$/;
  return Object.fromEntries(Object.entries(env).filter(([name]) => !outer.test(name)));
}

/** @param {string} file @returns {number} when it was last written, 0 when it is not there */
export function modified(file) {
  return existsSync(file) ? statSync(file).mtimeMs : 0;
}

/**
 * The newest write time under the given files and folders.
 * @param {string[]} paths relative to the root @param {(name: string) => boolean} [skip] names of files or folders to leave out
 */
export function newest(paths, skip = () => false) {
  let latest = 0;
  const visit = (/** @type {string} */ file) => {
    const info = statSync(file, { throwIfNoEntry: false });
    if (!info) return;
    if (!info.isDirectory()) {
      latest = Math.max(latest, info.mtimeMs);
      return;
    }
    for (const name of readdirSync(file)) if (!skip(name)) visit(path.join(file, name));
  };
  for (const item of paths) visit(path.resolve(root, item));
  return latest;
}

/** Writes a stamp whose time says when a step was last done. @param {string} file @param {string} [text] */
export function stamp(file, text = "") {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/**
 * Runs a script's main function when the file is the one that was started, and shows failures without a stack.
 * @param {ImportMeta} meta @param {() => Promise<void>} main
 */
export async function entry(meta, main) {
  if (!process.argv[1] || realpathSync(process.argv[1]) !== meta.filename) return;
  try {
    await main();
  } catch (error) {
    printFailure(error);
    process.exitCode = 1;
  }
}

/** @param {unknown} error */
export function printFailure(error) {
  if (error instanceof Failure) {
    if (error.output) process.stderr.write(`${error.output.trimEnd()}\n\n`);
    process.stderr.write(`error: ${error.message}\n${error.remedy}\n`);
  } else {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  }
}
