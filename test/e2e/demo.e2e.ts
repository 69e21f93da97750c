import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { cache } from "../../scripts/lib/run.mjs";
import type { VsCode } from "../harness/vscode";
import { open, pictureOfFailure } from "./context";
import { MixerPage } from "./pages/mixer";
import { until } from "./pages/poll";
import { TrainingPage } from "./pages/training";

/** The names in a folder that may not be there yet. */
const names = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder) : []);

/** What the window asks or tells, for the message of a failure. */
const said = async (code: VsCode): Promise<string[]> => [...await code.notifications(), ...await code.page.locator(".monaco-dialog-box:visible").allInnerTexts()];

describe("a newcomer with the package in a clean VS Code", () => {
  let first: VsCode;
  /** The window of the demo. */
  let code: VsCode;
  // The demo goes outside any repository, as at a newcomer's.
  const home = mkdtempSync(path.join(tmpdir(), "tillage-newcomer-"));
  const demo = path.join(home, "tillage-demo");
  const made = (...parts: string[]): string => path.join(demo, ".tillage", ...parts);

  beforeAll(async () => {
    const empty = path.join(cache, "run", "nothing-open");
    mkdirSync(empty, { recursive: true });
    code = first = await open(empty);
  });
  afterEach((context) => pictureOfFailure(code, context));
  afterAll(async () => {
    await first.dispose();
    rmSync(home, { recursive: true, force: true });
  });

  /**
   * Goes to the walkthrough, opens one of its steps and presses a button of it. A file that was opened just before may come to the front
   * a second time when it has been read, and hide the walkthrough: then it is gone to again, as a person would.
   */
  async function step(title: string, button: string): Promise<void> {
    const walkthrough = code.page.locator(".gettingStartedContainer");
    const wanted = walkthrough.locator(".monaco-button:visible", { hasText: button }).first();
    for (let attempt = 0; ; attempt++) {
      await code.runCommand("Tillage: Open the walkthrough");
      try {
        // A click on the open step closes it.
        if (!(await wanted.isVisible())) await walkthrough.locator(".getting-started-step", { hasText: title }).first().click({ timeout: 8_000 });
        await wanted.click({ timeout: 8_000 });
        return;
      } catch (error) {
        if (attempt === 3) throw error;
      }
    }
  }

  it("opens the demo, and the walkthrough goes on in its window", async () => {
    const windows: Page[] = [];
    first.page.context().on("page", (page) => windows.push(page));
    await first.runCommand("Tillage: Open the demo");
    const input = first.page.locator(".quick-input-widget input").first();
    const ok = first.page.locator(".quick-input-widget .monaco-button", { hasText: "Create tillage-demo here" }).first();
    await ok.waitFor();
    await until("the dialog in the folder, and the copied demo", async () => {
      // The dialog writes its own folder when it has read that, over what was typed; and while it reads a folder it may take no notice of a press.
      if (await ok.isVisible()) {
        if ((await input.inputValue()) !== `${home}${path.sep}`) await input.fill(`${home}${path.sep}`);
        const rows = await first.page.locator(".quick-input-list .monaco-list-row").allInnerTexts();
        // It takes what it last listed: an empty folder lists only the way up.
        if (rows.length === 1 && rows[0]?.trim() === "..") await ok.click({ timeout: 1_000 }).catch(() => undefined);
      }
      return { copied: existsSync(path.join(demo, "corpus.recipe.yaml")), says: await said(first) };
    }, (seen) => seen.copied, 60_000);
    await until("the window of the demo", async () => ({ windows: windows.length, says: await said(first) }), (seen) => seen.windows > 0, 60_000);
    code = first.window(windows[0] ?? first.page);
    const walkthrough = code.page.locator(".gettingStartedContainer");
    await walkthrough.locator(".getting-started-step", { hasText: "Open the demo workspace" }).locator(".codicon-getting-started-step-checked").waitFor({ timeout: 60_000 });
    await code.page.locator(".sidebar .monaco-list-row", { hasText: "Datasets" }).first().waitFor();
  });

  it("looks at the corpus", async () => {
    await step("Look at the corpus", "Open the notes");
    const corpus = await code.webview("corpus");
    await corpus.getByTestId("grid-row").first().waitFor();
  });

  it("reads the recipe and its mixer", async () => {
    await step("Read the recipe", "Open the recipe");
    await code.page.locator(".tab.active", { hasText: "corpus.recipe.yaml" }).waitFor();
    await step("Read the recipe", "Open the mixer");
    const mixer = new MixerPage(code, await code.webview("mixer"));
    expect(await until("the groups", () => mixer.groups(), (groups) => groups.length > 0)).toEqual(["notes", "letters", "web"]);
  });

  it("builds the dataset", async () => {
    await step("Build the dataset", "Build");
    const receipts = await code.webview("receipts", 60_000);
    await receipts.getByTestId("receipt").first().waitFor();
    const [built] = names(made("datasets")).filter((name) => name.startsWith("corpus@"));
    expect(readdirSync(made("datasets", built ?? ""))).toEqual(expect.arrayContaining(["manifest.json", "receipts.parquet", "train-00000.parquet", "valid-00000.parquet"]));
  });

  it.each([["Pretrain a small model", "Plan the pretraining", "pretrain"], ["Tune it on questions and answers", "Plan the tuning", "tune"]])("goes through \"%s\"", { timeout: 300_000 }, async (title, button, name) => {
    await step(title, button);
    const run = new TrainingPage(await code.webview("training", 60_000));
    await run.start();
    await run.untilPhase("completed", 240_000);
    expect(names(made("runs")).some((run) => run.startsWith(name))).toBe(true);
  });

  it("asks the five questions, and is told how many were answered right", async () => {
    await step("Compare before and after", "Ask the five questions");
    await code.choose("tune");
    await until("the number of right answers", () => code.notifications(), (texts) => texts.some((text) => /tune: [45] of 5 right/.test(text)));
    const lenses = code.page.locator(".codelens-decoration");
    await until("the verdicts above the prompts", () => lenses.allInnerTexts(), (texts) => texts.filter((text) => text.replaceAll("\u00a0", " ").includes("tune ✓")).length >= 4);
    await code.screenshotThemes("walkthrough-asked");
  });

  it("compares before and after", async () => {
    await step("Compare before and after", "Compare");
    const compare = await code.webview("compare");
    const cases = compare.getByTestId("compare-case");
    await cases.nth(4).waitFor({ timeout: 60_000 });
    expect(await compare.locator("[data-testid=compare-case][data-change=fixed]").count()).toBeGreaterThanOrEqual(4);
    await code.screenshotThemes("walkthrough-compare");
  });
});
