// @ts-check
// Every check of the project in one command; the last line says how many passed and failed over all tiers.
// usage: npm test [-- --only lint,protocol,rust,unit,package,host,e2e]
import path from "node:path";
import { parseArgs } from "node:util";
import { checkProtocol, ensureBuilt, ensureDependencies } from "./lib/setup.mjs";
import { add, check, lint, nothing, rust, showFailures, vitest } from "./lib/tiers.mjs";
import { makePackage } from "./package.mjs";
import { ensureBrowser, ensureVsCodeServer } from "./lib/tools.mjs";
import { cache, duration, entry, Failure, printFailure, say } from "./lib/run.mjs";

/** @typedef {import("./lib/tiers.mjs").Result} Result */

let vsix = "";
/** The package, made once. */
async function packaged() {
  vsix ||= await makePackage();
  return vsix;
}

/** @type {Record<string, { title: string, work: () => Promise<Result> }>} */
const tiers = {
  lint: { title: "lint and types", work: lint },
  protocol: { title: "generated contract", work: () => check("src/protocol/native.gen.ts is what the engine says", checkProtocol) },
  rust: { title: "Rust: format, clippy, tests", work: rust },
  unit: { title: "unit, contract and reference tests", work: () => vitest("unit") },
  package: {
    title: "the package",
    work: async () => {
      await ensureVsCodeServer();
      return vitest("package", { env: { TILLAGE_VSIX: await packaged() } });
    },
  },
  host: { title: "suites inside a real VS Code", work: insideVsCode },
  e2e: {
    title: "a person's clicks in a browser",
    work: async () => {
      await ensureBrowser();
      await ensureVsCodeServer();
      return vitest("e2e", { env: { TILLAGE_VSIX: await packaged() }, live: true });
    },
  },
};

/** The suites of test/integration, run by the extension host of VS Code's server against the unpacked package. */
async function insideVsCode() {
  await ensureBrowser();
  await ensureVsCodeServer();
  const { importTs } = await import("./lib/run-ts.mjs");
  /** @type {typeof import("../test/harness/server.js")} */
  const { installVsix } = await importTs("test/harness/server.ts");
  /** @type {typeof import("../test/harness/in-host.js")} */
  const { runInHost } = await importTs("test/harness/in-host.ts");
  const developmentPath = await installVsix(await packaged(), path.join(cache, "run", "unpacked"));
  /** @type {{ name: string, ok: boolean, error?: string }[]} */
  const outcomes = await runInHost({ developmentPath });
  const total = nothing();
  for (const { name, ok, error } of outcomes) {
    if (ok) total.passed += 1;
    else add(total, { ...nothing(), failed: 1, failures: [{ name, message: error ?? "" }] });
  }
  return total;
}

/** @param {string[]} names */
async function runTiers(names) {
  const started = performance.now();
  /** @type {{ title: string, result: Result, ms: number }[]} */
  const rows = [];
  for (const name of names) {
    const tier = tiers[name];
    if (!tier) throw new Failure(`There is no tier "${name}".`, `Tiers: ${Object.keys(tiers).join(", ")}.`);
    say(`\n== ${tier.title}`);
    const began = performance.now();
    /** @type {Result} */
    let result;
    try {
      result = await tier.work();
    } catch (error) {
      // A tier that cannot run at all has failed; the others still say what they know.
      printFailure(error);
      result = { ...nothing(), failed: 1, failures: [{ name: tier.title, message: "This tier could not run; see above." }] };
    }
    showFailures(result);
    rows.push({ title: tier.title, result, ms: performance.now() - began });
    say(`   ${result.passed} passed, ${result.failed} failed${result.skipped ? `, ${result.skipped} skipped` : ""} in ${duration(performance.now() - began)}`);
  }
  summary(rows, performance.now() - started);
}

/** @param {{ title: string, result: Result, ms: number }[]} rows @param {number} ms */
function summary(rows, ms) {
  const total = nothing();
  say("\n== summary");
  for (const { title, result, ms: took } of rows) {
    add(total, result);
    const counts = `${String(result.passed).padStart(5)} passed ${String(result.failed).padStart(3)} failed ${String(result.skipped).padStart(3)} skipped`;
    say(`${title.padEnd(36)} ${counts}  ${duration(took).padStart(12)}`);
  }
  for (const name of total.skips ?? []) say(`skipped: ${name}`);
  for (const { name } of total.failures) say(`failed: ${name}`);
  say(`all of it took ${duration(ms)}`);
  process.stdout.write(`${total.passed} passed, ${total.failed} failed\n`);
  if (total.failed > 0) process.exitCode = 1;
}

await entry(import.meta, async () => {
  const { values } = parseArgs({ options: { only: { type: "string" } } });
  const names = values.only ? values.only.split(",") : Object.keys(tiers);
  try {
    say("== set-up");
    await (names.every((name) => name === "lint") ? ensureDependencies() : ensureBuilt());
  } catch (error) {
    printFailure(error);
    process.stdout.write("0 passed, 1 failed\n");
    process.exitCode = 1;
    return;
  }
  await runTiers(names);
});
