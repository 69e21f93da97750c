import uPlot from "uplot";
import type { Points } from "../../src/core/run/points";
import type { RunView } from "../../src/protocol/training-panel";
import type { ChartData } from "../shared/line-chart";

/** Colours of the runs that are laid over. */
export const OVERLAY_COLORS = ["var(--vscode-charts-purple)", "var(--vscode-charts-green)", "var(--vscode-charts-red)", "var(--vscode-foreground)"];

/** Raw, smoothed, validation and the other runs over one common x. */
export function lossChart(run: RunView, x: "step" | "tokens" | "seconds"): ChartData {
  const { points } = run;
  const validation = run.lists.validation.map(({ step, loss }) => [xOfStep(points, x, step), loss] as const);
  const tables: uPlot.AlignedData[] = [
    [points[x], points.loss, points.smoothed],
    [validation.map(([at]) => at), validation.map(([, loss]) => loss)],
    ...run.overlays.map((overlay): uPlot.AlignedData => [overlay.points[x], overlay.points.smoothed]),
  ];
  return uPlot.join(tables) as ChartData;
}

/** Where a step lies on the axis; between two known points when it is not itself one. */
export function xOfStep(points: Points, x: "step" | "tokens" | "seconds", step: number): number {
  if (x === "step") return step;
  const after = points.step.findIndex((known) => known >= step);
  const values = points[x];
  if (after < 0) return values.at(-1) ?? 0;
  if (after === 0 || points.step[after] === step) return values[after] ?? 0;
  const [s0, s1, v0, v1] = [points.step[after - 1] ?? 0, points.step[after] ?? 0, values[after - 1] ?? 0, values[after] ?? 0];
  return v0 + ((v1 - v0) * (step - s0)) / (s1 - s0);
}

/** The step of the point that is nearest to an x. */
export function stepAt(points: Points, x: "step" | "tokens" | "seconds", at: number): number | undefined {
  let best: number | undefined;
  let distance = Number.POSITIVE_INFINITY;
  points[x].forEach((value, index) => {
    const away = Math.abs(value - at);
    if (away < distance) {
      distance = away;
      best = points.step[index];
    }
  });
  return best;
}

/** Where the step that is looked at lies; nowhere when none is, or when it is no point. */
export function markedX(points: Points, x: "step" | "tokens" | "seconds", step: number | undefined): number | undefined {
  const index = step === undefined ? -1 : points.step.indexOf(step);
  return index < 0 ? undefined : points[x][index];
}
