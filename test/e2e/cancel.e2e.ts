import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { VsCode } from "../harness/vscode";
import { loop, open, pictureOfFailure } from "./context";
import { notification, press } from "./pages/notifications";
import { until } from "./pages/poll";

const words = "the kiln holds its heat while a glaze of crushed feldspar and ground tin settles on the shelf beside our tall vases each morning".split(" ");

/** Rows whose building takes long enough to be cancelled: every text is new, so that near duplicates have to be looked for. */
function manyRows(rows: number): string {
  let state = 17;
  const next = (): number => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31);
  const text = (): string => Array.from({ length: 80 }, () => words[next() % words.length]).join(" ");
  return Array.from({ length: rows }, (_, row) => JSON.stringify({ text: `${row} ${text()}` })).join("\n");
}

/** What lies in a folder of the workspace, however deep; nothing where there is none. */
const inside = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: "utf8" }).sort() : []);

describe("Cancel", () => {
  let code: VsCode;
  beforeAll(async () => {
    code = await open(loop());
    code.write("large.jsonl", manyRows(60_000));
    code.write("large.recipe.yaml", "tillage: 1\nsources:\n  large: { files: large.jsonl, as: text }\nsteps:\n  - quality: { preset: gopher }\n  - dedup: { near: { threshold: 0.8 } }\n");
    const prompts = Array.from({ length: 120 }, (_, at) => `  - { id: p${at}, prompt: "Question ${at}", expect: { contains: ["heat"] } }`);
    code.write("long.eval.yaml", ["tillage: 1", "max_new_tokens: 200", "prompts:", ...prompts, ""].join("\n"));
  });
  afterEach((context) => pictureOfFailure(code, context));
  afterAll(() => code.dispose());
  const at = (...names: string[]): string => path.join(code.workspace, ".tillage", ...names);

  it("ends a build at once and leaves nothing of it", async () => {
    const before = inside(at("datasets"));
    await code.openFile("large.recipe.yaml");
    await code.runCommand("Tillage: Build dataset");
    const shown = notification(code, "Building large");
    await shown.waitFor();
    await code.screenshot("build-progress");
    await press(shown, "Cancel");
    await shown.waitFor({ state: "hidden", timeout: 5_000 });
    // The notification goes whatever becomes of the work. Longer than the whole build would take: its dataset would be there by now.
    await code.page.waitForTimeout(25_000);
    expect(inside(at("datasets"))).toEqual(before);
    expect(await code.notifications()).toEqual([]);
  });

  it("leaves a service that builds the next one", async () => {
    rmSync(at("datasets"), { recursive: true, force: true });
    await code.openFile("pairs.recipe.yaml");
    await code.runCommand("Tillage: Build dataset");
    await until("the dataset", () => inside(at("datasets")), (now) => now.some((file) => file.endsWith("manifest.json")));
    await (await code.webview("receipts")).getByTestId("receipt").first().waitFor();
  });

  it("ends an evaluation, and keeps no half of its answers", async () => {
    const before = inside(at("evals"));
    await code.openFile("long.eval.yaml");
    await code.runCommand("Tillage: Run evaluation");
    await code.choose("pretrain");
    const shown = notification(code, /question \d+ of 120/);
    await shown.waitFor({ timeout: 30_000 });
    await code.screenshot("eval-progress");
    await press(shown, "Cancel");
    await shown.waitFor({ state: "hidden", timeout: 5_000 });
    // Longer than the whole evaluation would take: its result would be there by now.
    await code.page.waitForTimeout(20_000);
    expect(inside(at("evals"))).toEqual(before);
    expect((await code.notifications()).filter((text) => /right|error|defect/i.test(text))).toEqual([]);
  });

  it("ends the asking in the compare panel, which says what is missing", async () => {
    mkdirSync(at("evals"), { recursive: true });
    await code.runCommand("Tillage: Compare before and after");
    const compare = await code.webview("compare");
    await compare.getByTestId("compare-cancel").click();
    await compare.getByTestId("compare-cancel").waitFor({ state: "detached", timeout: 5_000 });
    await code.screenshotThemes("compare-cancelled");
    expect(inside(at("evals")).filter((file) => file.includes("long"))).toEqual([]);
  });
});
