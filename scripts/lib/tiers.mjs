// @ts-check
// The tiers of `npm test`: each runs one kind of check and counts what came out.
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { cache, Failure, root, run, say, which } from "./run.mjs";

/**
 * What a tier came to.
 * @typedef {{ passed: number, failed: number, skipped: number, failures: { name: string, message: string }[], skips?: string[] }} Result
 */

const results = path.join(cache, "results");

/** @returns {Result} */
export function nothing() {
  return { passed: 0, failed: 0, skipped: 0, failures: [], skips: [] };
}

/** @param {Result} into @param {Result} more @returns {Result} */
export function add(into, more) {
  into.passed += more.passed;
  into.failed += more.failed;
  into.skipped += more.skipped;
  into.failures.push(...more.failures);
  into.skips?.push(...(more.skips ?? []));
  return into;
}

/**
 * One check that passes or fails as a whole.
 * @param {string} name @param {() => Promise<unknown>} work @returns {Promise<Result>}
 */
export async function check(name, work) {
  try {
    await work();
    return { ...nothing(), passed: 1 };
  } catch (error) {
    const message = error instanceof Failure ? `${error.output.trimEnd()}\n${error.message} ${error.remedy}` : String(error instanceof Error ? error.stack : error);
    return { ...nothing(), failed: 1, failures: [{ name, message }] };
  }
}

/** ESLint and the TypeScript compiler. */
export async function lint() {
  const bin = (/** @type {string} */ name) => path.join(root, "node_modules", name);
  const total = nothing();
  add(total, await check("eslint", () => run(process.execPath, [bin("eslint/bin/eslint.js"), ".", "--max-warnings", "0"])));
  add(total, await check("tsc", () => run(process.execPath, [bin("typescript/bin/tsc"), "--noEmit", "-p", "tsconfig.json"])));
  return total;
}

/** rustfmt, clippy and the Rust tests. */
export async function rust() {
  const cargo = which("cargo");
  if (!cargo) throw new Failure("cargo is not installed.", "Install Rust from https://rustup.rs.");
  const cwd = path.join(root, "native");
  const total = nothing();
  const remedy = "If cargo does not know the command: `rustup component add rustfmt clippy`.";
  add(total, await check("cargo fmt --check", () => run(cargo, ["fmt", "--all", "--check"], { cwd, remedy })));
  add(total, await check("cargo clippy", () => run(cargo, ["clippy", "--release", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"], { cwd, remedy })));
  add(total, await cargoTest(cargo, cwd));
  return total;
}

/** @param {string} cargo @param {string} cwd @returns {Promise<Result>} */
async function cargoTest(cargo, cwd) {
  let output = "";
  let broken = "";
  try {
    await run(cargo, ["test", "--release", "--workspace", "--locked", "--no-fail-fast"], { cwd, onLine: (line) => (output += `${line}\n`) });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    broken = error.output;
  }
  return readCargoOutput(output, broken);
}

/**
 * Counts the tests in what `cargo test` printed.
 * @param {string} output @param {string} broken the end of the output of a run that failed, empty for one that did not
 * @returns {Result}
 */
export function readCargoOutput(output, broken) {
  const total = nothing();
  for (const line of output.split("\n")) {
    const summary = /^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/.exec(line);
    if (summary) add(total, { ...nothing(), passed: Number(summary[1]), failed: Number(summary[2]), skipped: Number(summary[3]) });
    const failed = /^test (\S+)(?: - should panic)? \.\.\. FAILED/.exec(line);
    if (failed) total.failures.push({ name: failed[1] ?? "", message: section(output, failed[1] ?? "") });
  }
  if (broken && total.failed === 0) add(total, { ...nothing(), failed: 1, failures: [{ name: "cargo test", message: broken }] });
  return total;
}

/** What a failed Rust test printed. @param {string} output @param {string} name */
function section(output, name) {
  const start = output.indexOf(`---- ${name} stdout ----`);
  if (start < 0) return "";
  const end = output.indexOf("\n---- ", start + 1);
  const stop = output.indexOf("\nfailures:", start);
  return output.slice(start, Math.min(...[end, stop, start + 3000].filter((place) => place > 0)));
}

/**
 * One project of vitest.config.mjs.
 * @param {string} project @param {{ env?: NodeJS.ProcessEnv, live?: boolean }} [options] live shows each test as it ends
 * @returns {Promise<Result>}
 */
export async function vitest(project, options = {}) {
  mkdirSync(results, { recursive: true });
  const file = path.join(results, `${project}.json`);
  rmSync(file, { force: true });
  const args = [path.join(root, "node_modules/vitest/vitest.mjs"), "run", "--project", project, "--reporter=json", `--outputFile.json=${file}`];
  if (options.live) args.push("--reporter=verbose");
  let output = "";
  try {
    await run(process.execPath, args, { env: { ...process.env, ...options.env }, quiet: !options.live });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    output = error.output || error.message;
  }
  if (!existsSync(file)) return { ...nothing(), failed: 1, failures: [{ name: `vitest ${project}`, message: output || "vitest wrote no results." }] };
  return readVitestResults(JSON.parse(readFileSync(file, "utf8")), output);
}

/**
 * Counts the tests in vitest's JSON report.
 * @param {{ testResults: { name: string, status: string, message?: string, assertionResults: { status: string, fullName: string, failureMessages?: string[] }[] }[] }} report
 * @param {string} broken what vitest printed when it failed, else empty
 * @returns {Result}
 */
export function readVitestResults(report, broken) {
  const total = nothing();
  for (const file of report.testResults) {
    const where = path.relative(root, file.name);
    for (const test of file.assertionResults) {
      const name = `${where}: ${test.fullName}`;
      if (test.status === "passed") total.passed += 1;
      else if (test.status === "failed") add(total, { ...nothing(), failed: 1, failures: [{ name, message: (test.failureMessages ?? []).join("\n") }] });
      else add(total, { ...nothing(), skipped: 1, skips: [name] });
    }
    // A file that cannot be loaded, or whose hooks fail, has no failed test of its own.
    if (file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed")) {
      add(total, { ...nothing(), failed: 1, failures: [{ name: where, message: file.message ?? "" }] });
    }
  }
  if (broken && total.failed === 0) add(total, { ...nothing(), failed: 1, failures: [{ name: "vitest", message: broken }] });
  if (total.passed + total.failed + total.skipped === 0) add(total, { ...nothing(), failed: 1, failures: [{ name: "vitest", message: "No test was found." }] });
  return total;
}

/** Prints what failed. @param {Result} result */
export function showFailures(result) {
  for (const { name, message } of result.failures) say(`\n  FAILED ${name}\n${message.trimEnd().replaceAll(/^/gm, "    ")}`);
}
