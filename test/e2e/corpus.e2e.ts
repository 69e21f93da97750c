import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { VsCode } from "../harness/vscode";
import { fresh, open, pictureOfFailure } from "./context";
import { CorpusPage } from "./pages/corpus";
import { until } from "./pages/poll";

describe("the corpus editor", () => {
  let code: VsCode;
  let corpus: CorpusPage;
  beforeAll(async () => {
    code = await open(fresh);
    corpus = await CorpusPage.open(code, "data/notes.jsonl");
  });
  afterEach((context) => pictureOfFailure(code, context));
  afterAll(() => code.dispose());

  it("shows the rows, the facets and how many there are", async () => {
    const rows = code.read("data/notes.jsonl").trimEnd().split("\n").length;
    expect(await corpus.counts()).toEqual([rows, rows]);
    expect(await corpus.rows.count()).toBeGreaterThan(10);
    expect(await corpus.facet("words").getByTestId("histogram").locator("rect.all").count()).toBeGreaterThan(3);
    await code.screenshotThemes("corpus");
  });

  it("filters by brushing a histogram, and every row shown is in the range", async () => {
    const before = await corpus.visibleNumbers("words");
    await corpus.brush("words", 0.55, 0.95);
    const [shown, all] = await corpus.untilFiltered(true);
    expect(shown).toBeGreaterThan(0);
    expect(shown).toBeLessThan(all);
    const lowest = Number((await corpus.facet("words").getByTestId("histogram-min-input").inputValue()).replaceAll(",", ""));
    const numbers = await until("the rows of the brush", () => corpus.visibleNumbers("words"), (seen) => seen.length > 0 && seen.every((value) => value >= lowest));
    expect(Math.min(...numbers)).toBeGreaterThan(Math.min(...before));
    await code.screenshotThemes("corpus-brushed");
  });

  it("keeps the filter as a step of a recipe", async () => {
    const before = code.read("corpus.recipe.yaml");
    expect(before).not.toMatch(/where: .*words/);
    await corpus.keepAsFilter("corpus.recipe.yaml");
    const after = await until("the recipe's new step", () => code.read("corpus.recipe.yaml"), (text) => text !== before);
    expect(after).toMatch(/- where: .*words/);
    expect(after).toContain("only: [notes]");
    await code.screenshotThemes("corpus-kept");
  });

  it("searches, literally and by SQL, and says what is wrong with a query", async () => {
    await corpus.clear();
    await corpus.search("Plum Ember");
    const [found] = await corpus.untilFiltered(true);
    const inFile = code.read("data/notes.jsonl").trimEnd().split("\n").filter((line) => line.includes("Plum Ember")).length;
    expect(found).toBe(inFile);
    await corpus.clear();
    await corpus.search("no_such_column > 3", "sql");
    const error = corpus.frame.getByTestId("corpus-search-error");
    await error.waitFor();
    expect(await error.innerText()).toContain("no_such_column");
    await code.screenshotThemes("corpus-query-error");
  });

  it("shows a row in full", async () => {
    await corpus.search("status = 'withdrawn'");
    await corpus.untilFiltered(true);
    await corpus.rows.first().click();
    const detail = corpus.frame.getByTestId("corpus-detail");
    await detail.waitFor();
    await until("the row", () => detail.innerText(), (text) => text.includes("withdrawn"));
    await code.screenshotThemes("corpus-detail");
  });

  it("opens the file that stands open as text without asking which", async () => {
    await code.openFile("data/pairs.jsonl");
    await code.runCommand("Tillage: Open as corpus");
    const panel = await code.webview("corpus");
    await panel.locator("[data-testid=grid-row]:not([data-row=''])").first().waitFor();
    expect(await code.page.locator(".quick-input-widget:visible").count()).toBe(0);
    await until("the prompt's column", () => panel.getByTestId("grid-heading").allInnerTexts(), (texts) => texts.some((text) => text.includes("prompt")));
  });
});
