// How long the steps of a recipe take on a corpus, and how much memory: `tillage build` in a workspace of its own, with nothing stored from before.
//
//   node bench/data/build.mjs --files "c1m/*.parquet" --step "dedup: { near: { threshold: 0.8 } }" [--step ...] [--memory 3GB] [--scratch DIR]
//
// Prints one JSON object: seconds of the whole command and of each stage, rows in and out, rows a second, the peak memory of the process.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { root } from "../../scripts/lib/run.mjs";

const { values } = parseArgs({ options: { files: { type: "string" }, step: { type: "string", multiple: true, default: [] }, memory: { type: "string" }, scratch: { type: "string" }, keep: { type: "boolean", default: false } } });
if (!values.files) throw new Error("Name the corpus: --files 'folder/*.parquet'");

const scratch = values.scratch ?? mkdtempSync(path.join(tmpdir(), "tillage-bench-"));
mkdirSync(path.join(scratch, ".tillage"), { recursive: true });
const recipe = path.join(scratch, "bench.recipe.yaml");
const steps = values.step.length > 0 ? `steps:\n${values.step.map((step) => `  - ${step}\n`).join("")}` : "";
writeFileSync(recipe, `tillage: 1\nsources:\n  corpus: { files: ${JSON.stringify(path.resolve(values.files))} }\n${steps}`);

const started = performance.now();
const seconds = () => Math.round((performance.now() - started) / 10) / 100;
const env = { ...process.env, ...(values.memory ? { TILLAGE_MEMORY: values.memory } : {}) };
const child = spawn(process.execPath, [path.join(root, "dist/cli.js"), "build", recipe], { env, stdio: ["ignore", "pipe", "pipe"] });
const stages = [];
let said = "";
let peak = 0;
const watch = setInterval(() => {
  try {
    peak = Math.max(peak, Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1] ?? 0));
  } catch {
    // It has just ended.
  }
}, 100);
child.stdout.on("data", (text) => (said += text));
child.stderr.on("data", (text) => {
  said += text;
  for (const [, stage] of String(text).matchAll(/build \d+\/\d+ (.+)/g)) stages.push({ stage: stage.trim(), at: seconds() });
});
const code = await new Promise((resolve) => child.on("exit", resolve));
clearInterval(watch);
const total = seconds();
if (code !== 0) {
  if (!values.scratch) rmSync(scratch, { recursive: true, force: true });
  process.stderr.write(said);
  process.exit(code ?? 1);
}
const datasets = path.join(scratch, ".tillage/datasets");
const manifest = JSON.parse(readFileSync(path.join(datasets, readdirSync(datasets).find((name) => name.startsWith("bench@")), "manifest.json"), "utf8"));
const rows = manifest.sources[0].rows;
console.log(JSON.stringify({
  rows,
  seconds: total,
  rowsPerSecond: Math.round(rows / total),
  peakMB: Math.round(peak / 1024),
  stages: stages.map(({ stage, at }, i) => ({ stage, seconds: Math.round(((stages[i + 1]?.at ?? total) - at) * 100) / 100 })),
  steps: manifest.steps.map(({ step, in: before, out }) => ({ step, in: before, out })),
  dataset: values.keep ? datasets : undefined,
}, null, 2));
if (!values.keep && !values.scratch) rmSync(scratch, { recursive: true, force: true });
