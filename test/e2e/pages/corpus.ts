import type { Frame, Locator } from "playwright-core";
import type { VsCode } from "../../harness/vscode";
import { until } from "./poll";

/** The corpus editor, as a person uses it. */
export class CorpusPage {
  private constructor(private readonly code: VsCode, readonly frame: Frame) {}

  /** Opens a corpus file in the corpus editor and waits for its rows. */
  static async open(code: VsCode, file: string): Promise<CorpusPage> {
    await (file.endsWith(".parquet") ? code.openFile(file) : code.openWith(file, "Tillage"));
    return CorpusPage.shown(code);
  }

  /** The corpus that is shown, when its rows are there. */
  static async shown(code: VsCode): Promise<CorpusPage> {
    const page = new CorpusPage(code, await code.webview("corpus"));
    await page.rows.first().waitFor();
    return page;
  }

  get rows(): Locator {
    return this.frame.locator("[data-testid=grid-row]:not([data-row=''])");
  }

  /** What the bar says: `[shown, all]`. */
  async counts(): Promise<[number, number]> {
    const bar = this.frame.locator("[data-testid=corpus-count][aria-busy=false]:not(:has([data-testid=corpus-searched]))");
    const text = await until("the count of rows", async () => ((await bar.count()) > 0 ? bar.innerText() : ""), (seen) => /\d/.test(seen));
    const numbers = [...text.matchAll(/[\d,]+/g)].map((match) => Number(match[0].replaceAll(",", "")));
    return [numbers[0] ?? NaN, numbers[1] ?? numbers[0] ?? NaN];
  }

  /** Waits until fewer rows are shown than there are, or all of them. */
  async untilFiltered(filtered: boolean): Promise<[number, number]> {
    return until("the filtered rows", () => this.counts(), ([shown, all]) => shown < all === filtered);
  }

  facet(column: string): Locator {
    return this.frame.locator(`[data-testid=facet][data-column="${column}"]`);
  }

  /** Drags over part of a histogram, from and to as fractions of its width. */
  async brush(column: string, from: number, to: number): Promise<void> {
    const chart = this.facet(column).getByTestId("histogram");
    await chart.scrollIntoViewIfNeeded();
    const box = await chart.boundingBox();
    if (!box) throw new Error(`The histogram of ${column} is not on the screen.`);
    const { mouse } = this.code.page;
    const y = box.y + box.height / 2;
    await mouse.move(box.x + box.width * from, y);
    await mouse.down();
    await mouse.move(box.x + box.width * ((from + to) / 2), y, { steps: 5 });
    await mouse.move(box.x + box.width * to, y, { steps: 5 });
    await mouse.up();
  }

  /** The numbers of a column in the rows that are on the screen. */
  async visibleNumbers(column: string): Promise<number[]> {
    const headings = await this.frame.getByTestId("grid-heading").evaluateAll((nodes) => nodes.map((node) => (node as HTMLElement).dataset["column"]));
    const place = headings.indexOf(column);
    if (place < 0) throw new Error(`The grid has no column ${column}; it has ${headings.join(", ")}.`);
    const cells = await this.rows.locator(`[role=gridcell]:nth-child(${place + 2})`).allInnerTexts();
    return cells.map((text) => Number(text.replaceAll(",", "")));
  }

  async search(text: string, mode: "literal" | "regex" | "sql" = "literal"): Promise<void> {
    if (mode !== "literal") await this.frame.getByTestId(`corpus-search-${mode}`).click();
    const input = this.frame.getByTestId("corpus-search");
    await input.fill(text);
    await input.press("Enter");
  }

  async clear(): Promise<void> {
    await this.frame.getByTestId("corpus-clear").click();
    await this.untilFiltered(false);
  }

  /** Writes the present filter into a recipe. */
  async keepAsFilter(recipe: string): Promise<void> {
    await this.frame.getByTestId("corpus-keep").click();
    await this.code.choose(recipe);
  }
}
