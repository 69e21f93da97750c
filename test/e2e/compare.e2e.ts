import type { Frame } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { VsCode } from "../harness/vscode";
import { loop, openInPlace, pictureOfFailure } from "./context";
import { until } from "./pages/poll";

const evalFile = "five-questions.eval.yaml";

describe("before and after", () => {
  let code: VsCode;
  let compare: Frame;
  beforeAll(async () => {
    code = await openInPlace(loop());
  });
  afterEach((context) => pictureOfFailure(code, context));
  afterAll(() => code.dispose());

  it("shows the same prompts through both models, with the words that changed", async () => {
    await code.openFile(evalFile);
    await code.runCommand("Tillage: Compare before and after");
    compare = await code.webview("compare");
    const cases = compare.getByTestId("compare-case");
    await cases.first().waitFor();
    expect(await cases.count()).toBe(5);
    const fixed = compare.locator("[data-testid=compare-case][data-change=fixed]");
    expect(await fixed.count()).toBeGreaterThanOrEqual(3);
    expect(await fixed.first().getByTestId("answer-after").locator("ins").count()).toBeGreaterThan(0);
    expect(await fixed.first().getByTestId("compare-checks").innerText()).toMatch(/no → yes/);
    await code.screenshotThemes("compare");
  });

  it("filters by what became of a prompt", async () => {
    const fixed = await compare.locator("[data-testid=compare-case][data-change=fixed]").count();
    await compare.getByTestId("filter-fixed").click();
    expect(await until("the filtered prompts", () => compare.getByTestId("compare-case").count(), (count) => count === fixed)).toBe(fixed);
    await compare.getByTestId("filter-all").click();
  });

  it("opens as VS Code's own multi-file diff", async () => {
    await compare.getByTestId("compare-changes").click();
    const diff = code.page.locator(".multiDiffEditor");
    await diff.waitFor({ timeout: 20_000 });
    const text = await until("the diff's files", async () => (await diff.innerText()).replaceAll("\u00a0", " "), (seen) => seen.includes("passes"));
    expect(text).toContain("heron-blue-heat");
    expect(text).toContain("fails");
    await code.screenshotThemes("multi-diff");
  });

  it("says above the prompts of the eval file what became of them", async () => {
    await code.runCommand("View: Close All Editors");
    await code.openFile(evalFile);
    const lenses = code.page.locator(".codelens-decoration");
    const texts = await until("the lenses", () => lenses.allInnerTexts(), (seen) => seen.some((text) => /\d\/5 → .*\d\/5/.test(text.replaceAll("\u00a0", " "))));
    expect(texts.some((text) => text.includes("Open diff"))).toBe(true);
    await code.screenshotThemes("eval-lenses");
  });

  it("shows the change and the verdict under a prompt", async () => {
    const shown = code.page.locator(".review-widget");
    expect(await shown.count()).toBe(0);
    await code.page.locator(".codelens-decoration a", { hasText: "→" }).nth(1).click();
    await shown.first().waitFor({ timeout: 20_000 });
    const text = (await shown.first().innerText()).replaceAll("\u00a0", " ");
    expect(text).toMatch(/fixed|same|changed|broken/);
    expect(text).toContain("Open diff");
    await code.screenshotThemes("eval-comment");
  });
});
