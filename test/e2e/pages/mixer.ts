import type { Frame, Locator } from "playwright-core";
import type { VsCode } from "../../harness/vscode";

/** The mixer beside a recipe. */
export class MixerPage {
  constructor(private readonly code: VsCode, readonly frame: Frame) {}

  static async open(code: VsCode, recipe: string): Promise<MixerPage> {
    await code.openFile(recipe);
    await code.runCommand("Tillage: Open mixer");
    const page = new MixerPage(code, await code.webview("mixer"));
    await page.frame.getByTestId("mix-row").first().waitFor({ timeout: 60_000 });
    return page;
  }

  row(group: string): Locator {
    return this.frame.locator(`[data-testid=mix-row][data-group="${group}"]`);
  }

  async groups(): Promise<string[]> {
    return this.frame.getByTestId("mix-row").evaluateAll((rows) => rows.map((row) => (row as HTMLElement).dataset["group"] ?? ""));
  }

  /** The share wanted of a group, in percent. */
  async share(group: string): Promise<number> {
    return Number.parseFloat(await this.row(group).getByTestId("mix-share").inputValue());
  }

  async shares(): Promise<Record<string, number>> {
    const groups = await this.groups();
    return Object.fromEntries(await Promise.all(groups.map(async (group) => [group, await this.share(group)] as const)));
  }

  /** Drags a group's slider to a percentage. */
  async drag(group: string, percent: number): Promise<void> {
    const slider = this.row(group).getByTestId("mix-slider");
    const box = await slider.boundingBox();
    if (!box) throw new Error(`The slider of ${group} is not on the screen.`);
    // The thumb's middle travels between half a thumb from either end.
    const thumb = Math.min(16, box.height);
    const at = (value: number): number => box.x + thumb / 2 + (box.width - thumb) * (value / 100);
    const y = box.y + box.height / 2;
    const { mouse } = this.code.page;
    await mouse.move(at(await this.share(group)), y);
    await mouse.down();
    await mouse.move(at(percent), y, { steps: 12 });
    await mouse.up();
  }
}
