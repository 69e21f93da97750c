import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Page } from "playwright-core";
import { afterEach, describe, expect, it } from "vitest";
import { cache } from "../../scripts/lib/run.mjs";
import type { VsCode } from "../harness/vscode";
import { open, pictureOfFailure } from "./context";
import { until } from "./pages/poll";

/** Opens a step of the walkthrough and presses its button. */
async function step(page: Page, title: string, button: string): Promise<void> {
  await page.locator(".gettingStartedContainer .getting-started-step", { hasText: title }).first().click();
  await page.locator(".gettingStartedContainer .monaco-button", { hasText: button }).first().click();
}

describe("a newcomer with the package in a clean VS Code", () => {
  let code: VsCode | undefined;
  // The demo goes outside any repository, as at a newcomer's.
  const home = mkdtempSync(path.join(tmpdir(), "tillage-newcomer-"));
  afterEach(async (context) => {
    await pictureOfFailure(code, context);
    await code?.dispose();
    code = undefined;
    rmSync(home, { recursive: true, force: true });
  });

  it("opens the demo, and the walkthrough builds its dataset", async () => {
    const empty = path.join(cache, "run", "nothing-open");
    mkdirSync(empty, { recursive: true });
    const window = (code = await open(empty));
    const opened = window.page.context().waitForEvent("page", { timeout: 60_000 });
    await window.runCommand("Tillage: Open the demo");
    const input = window.page.locator(".quick-input-widget input").first();
    await input.waitFor();
    await input.fill(`${home}${path.sep}`);
    // The dialog takes what it last listed: an empty folder lists only the way up.
    await until("the empty folder in the dialog", () => window.page.locator(".quick-input-list .monaco-list-row").allInnerTexts(), (rows) => rows.length === 1 && rows[0]?.trim() === "..");
    await window.page.locator(".quick-input-widget .monaco-button", { hasText: "Create tillage-demo here" }).first().click();
    const page = await opened;
    const demo = path.join(home, "tillage-demo");
    await until("the copied demo", () => Promise.resolve(existsSync(path.join(demo, "corpus.recipe.yaml"))), (there) => there);
    await page.locator(".gettingStartedContainer").waitFor({ timeout: 60_000 });
    await step(page, "Build the dataset", "Build");
    const datasets = path.join(demo, ".tillage", "datasets");
    const built = await until("the dataset", () => Promise.resolve(existsSync(datasets) ? readdirSync(datasets).filter((name) => name.startsWith("corpus@")) : []), (names) => names.length > 0);
    expect(readdirSync(path.join(datasets, built[0] ?? ""))).toEqual(expect.arrayContaining(["manifest.json", "receipts.parquet", "train-00000.parquet", "valid-00000.parquet"]));
    await page.locator(".sidebar .monaco-list-row", { hasText: "Datasets" }).first().waitFor();
    await page.close();
  });
});
