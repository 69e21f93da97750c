// Browsing a large corpus: what a person waits for, measured through the service as the editor uses it (a process of its own).
//   node bench/data/browse.mjs FOLDER [--cold]
// FOLDER holds Parquet files with a column `text`; --cold computes what lies beside it anew.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("../..", import.meta.url));
const [folder, ...flags] = process.argv.slice(2);
if (!folder) throw new Error("usage: node bench/data/browse.mjs FOLDER [--cold]");
const scratch = mkdtempSync(path.join(tmpdir(), "tillage-bench-"));
const client = path.join(scratch, "client.mjs");
await build({ entryPoints: [path.join(root, "src/data/client.ts")], bundle: true, platform: "node", format: "esm", outfile: client, logLevel: "error", banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" } });
const { connectCorpusService } = await import(client);
const cache = flags.includes("--cold") ? path.join(scratch, "cache") : path.join(path.resolve(folder), "..", "browse-cache");
const service = connectCorpusService({ module: path.join(root, "dist/corpus-service.js"), env: { TILLAGE_CACHE: cache } });

const milliseconds = async (work) => {
  const started = performance.now();
  const result = await work();
  return [performance.now() - started, result];
};
const quantile = (values, q) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))];
const say = (what, value, unit = "ms") => console.log(`${what.padEnd(62)} ${value.toFixed(value < 10 ? 1 : 0).padStart(8)} ${unit}`);
let peak = 0;
const watch = setInterval(() => {
  try {
    const pids = execFileSync("pgrep", ["-f", "dist/corpus-service.js"]).toString().trim().split("\n");
    for (const pid of pids) peak = Math.max(peak, Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024);
  } catch {
    // It is not there yet, or no more.
  }
}, 100);

let seed = 17;
const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
try {
  await service.open({ path: root }).catch(() => undefined); // the process and DuckDB are up, as in an editor
  const [openMs, open] = await milliseconds(() => service.open({ path: folder }));
  const { handle, rows } = open;
  const page = (query, offset, limit = 100) => service.page({ handle, query, offset, limit, partial: true });
  const facets = (clauses) => service.facets({ handle, query: { clauses }, partial: true });
  const [firstMs] = await milliseconds(() => page({ clauses: [] }, 0));
  console.log(`${rows.toLocaleString("en-US")} rows, ${(open.bytes / 1e9).toFixed(2)} GB in ${open.files ?? 1} files`);
  say("open", openMs);
  say("open and first page", openMs + firstMs);
  const [estimateMs, estimate] = await milliseconds(() => facets([]));
  say(`facets at once, ${estimate.rows === rows ? "exact" : `from ${estimate.rows} rows`}`, estimateMs);
  const [brushed] = await milliseconds(() => facets([{ kind: "range", column: "words", min: 100, max: 200 }]));
  say("a brush, estimated or exact", brushed);
  const pages = async (label, query, total, count = 60) => {
    const times = [];
    for (let i = 0; i < count; i++) times.push((await milliseconds(() => page(query, Math.floor(random() * Math.max(1, total - 100)))))[0]);
    say(`${label}: median`, quantile(times, 0.5));
    say(`${label}: p95`, quantile(times, 0.95));
  };
  await pages("a page anywhere while columns are computed", { clauses: [] }, rows);
  const word = async (label, clause) => {
    const query = { clauses: [clause] };
    const started = performance.now();
    let first;
    for (;;) {
      const found = await page(query, 0);
      if (found.rows.length > 0) first ??= performance.now() - started;
      if (found.scanned === undefined) {
        if (first !== undefined) say(`${label}: first rows`, first);
        say(`${label}: all ${found.total.toLocaleString("en-US")}`, (performance.now() - started) / 1000, "s");
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  await word("search 'committee'", { kind: "search", text: "committee", mode: "literal", caseSensitive: false });
  await word("regular expression", { kind: "search", text: "[0-9]{3}-[0-9]{4}", mode: "regex", caseSensitive: true });
  const [ready] = await milliseconds(() => service.facets({ handle, query: { clauses: [] } }));
  say("until all columns are computed (from here)", ready / 1000, "s");
  const all = (await facets([])).facets;
  const histograms = all.filter((facet) => facet.kind === "histogram");
  const brushes = async (label, bounds) => {
    const times = [];
    for (let i = 0; i < 30; i++) {
      const { column, bins } = histograms[i % histograms.length];
      const from = Math.floor(random() * (bins.length - 1));
      const to = from + Math.floor(random() * (bins.length - from));
      const [ms, result] = await milliseconds(() => facets([{ kind: "range", column, ...bounds(bins[from].x0, to === bins.length - 1 ? null : bins[to].x1) }]));
      if (result.rows !== rows) throw new Error("an estimate where all columns are there");
      times.push(ms);
    }
    say(`${label}: median`, quantile(times, 0.5));
    say(`${label}: p95`, quantile(times, 0.95));
  };
  await brushes("a new brush over bins", (min, max) => ({ min, max: max === null ? null : max - 1 }));
  await brushes("a new brush with bounds that are typed", (min, max) => ({ min: min + 3, max: (max ?? 2000) - 7 }));
  const drag = [];
  const { column, bins } = histograms[0];
  for (let i = 1; i < bins.length; i++) drag.push((await milliseconds(() => facets([{ kind: "range", column, min: bins[0].x0, max: bins[i].x0 - 1 }])))[0]);
  say("a brush that is drawn over the bins: median", quantile(drag, 0.5));
  say("a brush that is drawn over the bins: p95", quantile(drag, 0.95));
  const ticks = [];
  for (const facet of all.filter((one) => one.kind === "categories")) {
    for (const { value } of facet.values.slice(0, 6)) ticks.push((await milliseconds(() => facets([{ kind: "in", column: facet.column, values: [value] }, { kind: "range", column: "words", min: 50, max: null }])))[0]);
  }
  say("a tick beside a brush, exact: median", quantile(ticks, 0.5));
  say("a tick beside a brush, exact: p95", quantile(ticks, 0.95));
  await pages("a page anywhere", { clauses: [] }, rows, 200);
  const english = { clauses: [{ kind: "in", column: "language", values: ["en"] }] };
  await pages("a page of what is ticked (English)", english, (await page(english, 0)).total);
  const rare = { clauses: [{ kind: "range", column: "words", min: 700, max: 720 }] };
  const few = await page(rare, 0);
  await pages(`a page of a rare brush (${few.total.toLocaleString("en-US")} rows)`, rare, few.total, 20);
  const [sortMs] = await milliseconds(() => page({ clauses: [], sort: { column: "words", descending: true } }, 0));
  say("sorted by words: first page, the order made", sortMs);
  await pages("sorted by words: a page anywhere", { clauses: [], sort: { column: "words", descending: true } }, rows, 20);
  const again = connectCorpusService({ module: path.join(root, "dist/corpus-service.js"), env: { TILLAGE_CACHE: cache } });
  await again.open({ path: path.join(root, "demo") }).catch(() => undefined);
  const [againMs] = await milliseconds(async () => {
    const reopened = await again.open({ path: folder });
    await again.facets({ handle: reopened.handle, query: { clauses: [] } });
  });
  say("opened again, exact facets", againMs);
  again.dispose();
  say("most memory of the service", peak, "MB");
} finally {
  clearInterval(watch);
  service.dispose();
  rmSync(scratch, { recursive: true, force: true });
}
