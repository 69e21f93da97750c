// Browsing a large corpus in a real VS Code in a browser: from the click to the painted answer, and how long the extension host was ever blocked.
//   npm run package && node bench/data/browse-editor.mjs FOLDER
// With Node 22 or later. FOLDER as for browse.mjs. What lies beside the corpus is made in FOLDER's workspace when it is not there (that takes a while).
import { execFileSync } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { importTs } from "../../scripts/lib/run-ts.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const [folder] = process.argv.slice(2);
if (!folder) throw new Error("usage: node bench/data/browse-editor.mjs FOLDER");
const { startVsCode } = await importTs("test/harness/vscode.ts");

/** Code in the extension host, through its inspector. */
async function inHost() {
  const pid = Number(execFileSync("pgrep", ["-n", "-f", "type=extensionHost"]).toString());
  process.kill(pid, "SIGUSR1");
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const [target] = await (await fetch("http://127.0.0.1:9229/json/list")).json();
  const socket = new WebSocket(target.webSocketDebuggerUrl);
  await new Promise((resolve, reject) => Object.assign(socket, { onopen: resolve, onerror: reject }));
  return (expression) =>
    new Promise((resolve) => {
      socket.onmessage = ({ data }) => resolve(JSON.parse(data).result.result.value);
      socket.send(JSON.stringify({ id: 1, method: "Runtime.evaluate", params: { expression, returnByValue: true } }));
    });
}

const quantile = (values, q) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))];
const say = (what, values) => console.log(`${what.padEnd(56)} median ${quantile(values, 0.5).toFixed(0).padStart(5)} ms   p95 ${quantile(values, 0.95).toFixed(0).padStart(5)} ms`);
const workspace = path.resolve(folder, "..");
const code = await startVsCode({ workspace, inPlace: true, vsix: path.join(root, "tillage-linux-x64-0.1.0.vsix") });
try {
  const entry = code.page.getByRole("treeitem", { name: path.basename(folder) });
  const item = code.page.getByRole("menuitem", { name: "Open folder as corpus" });
  for (let tries = 0; tries < 20 && !(await item.isVisible()); tries++) {
    await code.page.keyboard.press("Escape");
    await entry.click({ button: "right" });
    await item.waitFor({ timeout: 2000 }).catch(() => undefined);
  }
  const started = performance.now();
  await item.click();
  const frame = await code.webview("corpus");
  await frame.locator("[data-testid=grid-row]:not([data-row=''])").first().waitFor();
  console.log(`from the menu to the first rows (with the start of the service and of the panel) ${(performance.now() - started).toFixed(0)} ms`);
  await frame.locator("[data-testid=facet]").first().waitFor();
  await frame.getByTestId("facets-estimate").waitFor({ state: "detached", timeout: 1_800_000 });
  const evaluate = await inHost();
  await evaluate("globalThis.delays = process.getBuiltinModule('node:perf_hooks').monitorEventLoopDelay({ resolution: 1 }); delays.enable(); 1");
  await new Promise((resolve) => setTimeout(resolve, 500));
  await evaluate("delays.reset(); 1");
  // In the page itself, from the event to the frame after the one in which the answer stands.
  const measure = (act, count) => frame.evaluate(async ([source, times]) => {
    const app = document.querySelector("tillage-corpus");
    const painted = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    const grid = app.renderRoot.querySelector("tillage-grid");
    const until = async (done) => { while (!done()) await painted(); };
    const work = new Function("app", "grid", "i", "until", "painted", `return (async () => { ${source} })();`);
    const found = [];
    for (let i = 0; i < times; i++) {
      const at = performance.now();
      await work(app, grid, i, until, painted);
      await painted();
      found.push(performance.now() - at);
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    return found;
  }, [act, count]);
  say("scroll to anywhere: all rows in view are there", await measure(`
    const scroller = grid.renderRoot.querySelector(".scroller");
    scroller.scrollTop = ((i * 0.6180339 + 0.1) % 1) * scroller.scrollHeight;
    await painted();
    await until(() => { const rows = [...grid.renderRoot.querySelectorAll("[data-testid=grid-row]")]; return rows.length > 5 && rows.every((row) => row.dataset.row !== ""); });`, 60));
  say("a brush: facets and rows are those of the brush", await measure(`
    const facet = app.store.facets.find((one) => one.kind === "histogram" && one.column === "words");
    const bins = facet.bins;
    const from = i % (bins.length - 2);
    app.store.act({ kind: "brush", column: "words", range: { min: bins[from].x0, max: bins[from + 1].x1 - 1 } });
    await until(() => !app.store.facetsBusy && !app.store.stale && !app.store.estimated);`, 30));
  say("a tick: facets and rows are those of the tick", await measure(`
    if (i === 0) app.store.act({ kind: "clear" });
    const facet = app.store.facets.find((one) => one.kind === "categories" && one.values.length > 3);
    app.store.act({ kind: "toggle", column: facet.column, value: facet.values[i % facet.values.length].value });
    await until(() => !app.store.facetsBusy && !app.store.stale && !app.store.estimated);`, 16));
  const { max, p99 } = await evaluate("({ max: delays.max / 1e6, p99: delays.percentile(99) / 1e6 })");
  console.log(`the extension host was blocked for at most ${max.toFixed(1)} ms (99 % below ${p99.toFixed(1)} ms)`);
} finally {
  await code.dispose();
}
