import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { VsCode } from "../harness/vscode";
import { loop, openUntrusted, pictureOfFailure } from "./context";
import { CorpusPage } from "./pages/corpus";
import { notification, press } from "./pages/notifications";
import { until } from "./pages/poll";

const REFUSAL = /This workspace is not trusted/;

describe("a workspace that is not trusted", () => {
  let code: VsCode;
  /** Every file and folder of the workspace as it was opened. */
  let found: string[];
  const files = (): string[] => readdirSync(code.workspace, { recursive: true, encoding: "utf8" }).sort();
  beforeAll(async () => {
    code = await openUntrusted(loop());
    found = files();
  });
  afterEach((context) => pictureOfFailure(code, context));
  afterAll(() => code.dispose());

  /** Waits for the refusal, and takes it away so that the next one is seen. */
  async function refused(why: string): Promise<void> {
    const shown = notification(code, REFUSAL);
    await shown.waitFor({ timeout: 20_000 });
    expect(await shown.innerText()).toContain(why);
    await code.clearNotifications();
    await shown.waitFor({ state: "hidden" });
  }

  it("can be browsed, filtered and read", async () => {
    const corpus = await CorpusPage.open(code, "data/notes.jsonl");
    await corpus.facet("words").waitFor({ timeout: 60_000 });
    await corpus.brush("words", 0.5, 1);
    await corpus.untilFiltered(true);
    await code.screenshotThemes("untrusted");
  });

  it("offers no filter to be written into a recipe", async () => {
    const keep = (await code.webview("corpus")).getByTestId("corpus-keep");
    expect(await keep.getAttribute("disabled")).not.toBeNull();
    expect(await keep.getAttribute("title")).toContain("trusted workspace");
  });

  it.each([
    ["builds nothing", "corpus.recipe.yaml", "Tillage: Build dataset", "nothing is built in it"],
    ["starts no run", "pretrain.run.yaml", "Tillage: Start run", "no run is started, paused or resumed in it"],
    ["asks no model", "five-questions.eval.yaml", "Tillage: Run evaluation", "no model is asked in it"],
  ])("%s", async (_what, file, command, why) => {
    await code.openFile(file);
    await code.runCommand(command);
    await refused(why);
  });

  it("was not written to", () => {
    expect(files()).toEqual(found);
  });

  it("builds as soon as it is trusted", async () => {
    await code.openFile("pairs.recipe.yaml");
    await code.runCommand("Tillage: Build dataset");
    await press(notification(code, REFUSAL), "Manage trust");
    await code.page.locator(".workspace-trust-editor .monaco-button", { hasText: /^Trust/ }).first().click();
    const reloaded = code.page.locator(".workspace-trust-editor .workspace-trust-header.workspace-trust-trusted");
    await reloaded.waitFor({ timeout: 30_000 });
    await code.openFile("pairs.recipe.yaml");
    await code.runCommand("Tillage: Build dataset");
    await until("the receipts", () => code.webview("receipts").then(() => true, () => false), (there) => there);
    expect(existsSync(path.join(code.workspace, ".tillage/datasets"))).toBe(true);
    await code.page.locator(".tab", { hasText: "notes.jsonl" }).first().click();
    const keep = (await code.webview("corpus")).getByTestId("corpus-keep");
    await until("the button", () => keep.getAttribute("disabled"), (disabled) => disabled === null);
  });
});
