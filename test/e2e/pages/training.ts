import type { Frame, Locator } from "playwright-core";
import type { VsCode } from "../../harness/vscode";
import { colouredPixels } from "./canvas";
import { until } from "./poll";

/** The panel of a run: preflight first, then the curves. */
export class TrainingPage {
  constructor(readonly frame: Frame) {}

  /** Opens the preflight of a run file. */
  static async preflight(code: VsCode, file: string): Promise<TrainingPage> {
    await code.openFile(file);
    await code.runCommand("Tillage: Start run");
    const page = new TrainingPage(await code.webview("training"));
    await page.frame.getByTestId("preflight").waitFor({ timeout: 120_000 });
    return page;
  }

  /** The panel that is on the screen, such as after a reload of the window. */
  static async shown(code: VsCode): Promise<TrainingPage> {
    return new TrainingPage(await code.webview("training", 60_000));
  }

  /** Starts the run when its plan is ready. */
  async start(): Promise<void> {
    await this.planned();
    await this.frame.getByTestId("preflight-start").click();
  }

  /** Waits until the preflight has its plan. */
  planned(): Promise<string | null> {
    return until("the preflight", () => this.frame.getByTestId("preflight").getAttribute("data-stage"), (stage) => stage === "ready", 120_000);
  }

  get chart(): Locator {
    return this.frame.getByTestId("loss-chart");
  }

  async phase(): Promise<string> {
    return (await this.frame.getByTestId("run-phase").innerText()).trim();
  }

  untilPhase(phase: string, timeout = 120_000): Promise<string> {
    return until(`the run's phase ${phase}`, () => this.phase(), (seen) => seen === phase, timeout);
  }

  /** Steps done, 0 before the first. */
  async step(): Promise<number> {
    const text = await this.frame.getByTestId("run-step").innerText();
    return Number.parseInt(text.replaceAll(",", ""), 10) || 0;
  }

  untilStep(step: number, timeout = 120_000): Promise<number> {
    return until(`step ${step}`, () => this.step(), (seen) => seen >= step, timeout);
  }

  /** Coloured pixels of the loss chart: its curves. */
  drawn(): Promise<number> {
    return colouredPixels(this.chart);
  }
}
