import type { Locator } from "playwright-core";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { cache } from "../../scripts/lib/run.mjs";
import type { VsCode } from "../harness/vscode";
import { loop, open, openInPlace, pictureOfFailure } from "./context";
import { until } from "./pages/poll";

const rows = (code: VsCode): Locator => code.page.locator(".sidebar .monaco-list-row");

async function showExplorer(code: VsCode): Promise<void> {
  await code.page.locator(".activitybar .action-item a[aria-label^='Tillage']").click();
  // Away from the icon, whose hover would cover rows in the pictures.
  await code.page.mouse.move(900, 500);
}

describe("the sidebar", () => {
  let code: VsCode | undefined;
  afterEach(async (context) => {
    await pictureOfFailure(code, context);
    await code?.dispose();
    code = undefined;
  });

  it("lists sources, recipes, datasets, models, runs and evals", async () => {
    const window = (code = await openInPlace(loop()));
    await showExplorer(window);
    const texts = await until("the tree", () => rows(window).allInnerTexts(), (seen) => seen.length > 15);
    const all = texts.join("\n");
    for (const group of ["Sources", "Recipes", "Datasets", "Models", "Runs", "Evals"]) expect(all).toContain(group);
    for (const item of ["notes.jsonl", "letters.csv", "corpus.recipe.yaml", "pretrain", "tune", "five-questions.eval.yaml"]) expect(all).toContain(item);
    await window.screenshotThemes("explorer");
    await rows(window).filter({ hasText: "notes.jsonl" }).first().click();
    const corpus = await window.webview("corpus");
    await corpus.getByTestId("grid-row").first().waitFor();
  });

  it("says what to do where there is nothing yet", async () => {
    const empty = path.join(cache, "run", "nothing-here");
    mkdirSync(empty, { recursive: true });
    const window = (code = await open(empty));
    await showExplorer(window);
    const welcome = window.page.locator(".sidebar .welcome-view");
    await welcome.waitFor();
    expect(await welcome.innerText()).toContain("Open the demo");
    await window.screenshotThemes("welcome");
    await window.runCommand("Tillage: Open the walkthrough");
    const walkthrough = window.page.locator(".gettingStartedContainer");
    await walkthrough.waitFor();
    await until("the walkthrough's steps", () => walkthrough.innerText(), (text) => text.includes("Pretrain a small model") && text.includes("Compare before and after"));
    await window.screenshotThemes("walkthrough");
  });
});
