import { readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { VsCode } from "../harness/vscode";
import { loop, open, pictureOfFailure } from "./context";
import { until } from "./pages/poll";
import { TrainingPage } from "./pages/training";

/** Asks every run of the workspace to stop, as the panel's button does. */
function stopRuns(workspace: string): void {
  const runs = path.join(workspace, ".tillage/runs");
  for (const run of readdirSync(runs)) writeFileSync(path.join(runs, run, "stop"), "");
}

describe("a run", () => {
  let code: VsCode;
  let run: TrainingPage;
  beforeAll(async () => {
    code = await open(loop());
  });
  afterEach((context) => pictureOfFailure(code, context));
  afterAll(async () => {
    // A run outlives the window: where a test failed in the middle it is ended here, so that nothing is left behind.
    stopRuns(code.workspace);
    await code.page.waitForTimeout(1_000);
    await code.dispose();
  });

  it("says what it needs before it starts", async () => {
    run = await TrainingPage.preflight(code, "pretrain.run.yaml");
    await run.planned();
    expect(await run.frame.getByTestId("plan").innerText()).toMatch(/\d/);
    await code.screenshotThemes("preflight");
  });

  it("starts, and its curve grows", async () => {
    await run.frame.getByTestId("preflight-start").click();
    await run.untilStep(5);
    expect(await run.phase()).toBe("running");
    const early = await until("the first of the curve", () => run.drawn(), (pixels) => pixels > 0);
    const step = await run.step();
    await run.untilStep(step + 25);
    const late = await until("more of the curve", () => run.drawn(), (pixels) => pixels > early);
    expect(late).toBeGreaterThan(early);
    expect(Number.parseFloat(await run.frame.getByTestId("run-loss").innerText())).toBeGreaterThan(0);
    await code.screenshotThemes("training");
  });

  it("goes on while the window is reloaded, and is found again", async () => {
    const before = await run.step();
    await code.reload();
    run = await TrainingPage.shown(code);
    const after = await run.untilStep(before + 1);
    expect(after).toBeGreaterThan(before);
    expect(await until("the curve", () => run.drawn(), (pixels) => pixels > 0)).toBeGreaterThan(0);
  });

  it("stops at a checkpoint, and goes on from it", async () => {
    await run.frame.getByTestId("run-stop").click();
    await run.untilPhase("paused");
    const stopped = await run.step();
    // The panel says it: no notification says it again.
    expect(await code.notifications()).toEqual([]);
    await code.screenshotThemes("training-stopped");
    await run.frame.getByTestId("run-resume").click();
    await run.untilPhase("running");
    await run.untilStep(stopped + 1);
    await run.frame.getByTestId("run-stop").click();
    await run.untilPhase("paused");
  });
});
