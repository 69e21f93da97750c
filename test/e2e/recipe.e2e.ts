import { readdirSync } from "node:fs";
import path from "node:path";
import type { Frame } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { VsCode } from "../harness/vscode";
import { fresh, open, pictureOfFailure } from "./context";
import { until } from "./pages/poll";

describe("a recipe", () => {
  let code: VsCode;
  let receipts: Frame;
  beforeAll(async () => {
    code = await open(fresh);
    await code.openFile("corpus.recipe.yaml");
  });
  afterEach((context) => pictureOfFailure(code, context));
  afterAll(() => code.dispose());

  it("counts above every step the rows that go in and come out", async () => {
    const lenses = code.page.locator(".codelens-decoration");
    const texts = await until("the counts", async () => (await lenses.allInnerTexts()).map((text) => text.replaceAll("\u00a0", " ")), (seen) => seen.filter((text) => /in \d+ · out \d+/.test(text)).length >= 7, 60_000);
    const steps = texts.flatMap((text) => /in (\d+) · out (\d+)/.exec(text)?.slice(1, 3).map(Number) ?? []);
    // What leaves a step goes into the next.
    for (let at = 2; at < steps.length; at += 2) expect(steps[at]).toBe(steps[at - 1]);
    await code.screenshotThemes("recipe");
  });

  it("builds the dataset and shows a receipt for every row that left", async () => {
    await code.runCommand("Tillage: Build dataset");
    receipts = await code.webview("receipts", 120_000);
    await receipts.getByTestId("split").first().waitFor({ timeout: 120_000 });
    const built = readdirSync(path.join(code.workspace, ".tillage/datasets"));
    expect(built).toHaveLength(1);
    expect(await receipts.getByTestId("receipt").count()).toBeGreaterThan(5);
    await code.screenshotThemes("receipts");
  });

  it("shows beside a near duplicate the row that it matched", async () => {
    await code.clearNotifications();
    await receipts.getByTestId("step").filter({ hasText: "near" }).click();
    await receipts.getByTestId("receipt").first().click();
    await receipts.getByTestId("detail-matched").waitFor();
    await receipts.getByTestId("diff-right").waitFor();
    expect((await receipts.getByTestId("diff-left").innerText()).length).toBeGreaterThan(20);
    await code.screenshotThemes("receipts-detail");
  });

  it("marks a mistake where it is, and says what would be right", async () => {
    code.write("broken.recipe.yaml", "tillage: 1\nsources:\n  notes: { files: data/notes.jsonl, as: text }\nsteps:\n  - qality: { preset: gopher }\n");
    await code.openFile("broken.recipe.yaml");
    await code.page.locator(".squiggly-error").first().waitFor({ timeout: 20_000 });
    await code.runCommand("Problems: Focus on Problems View");
    const problems = await until("the problems view", () => code.page.locator(".markers-panel").innerText(), (text) => text.includes("qality"));
    expect(problems).toContain("quality");
    await code.screenshotThemes("recipe-problem");
  });
});
