/** The points of a run's charts: what is sent to a panel, first whole, then by additions. Pure. */
import { lttbTogether } from "./downsample";
import { smooth } from "./series";
import type { StepSeries } from "./state";

/** One array a column, all equally long; `smoothed` is the loss after `smooth`. */
export interface Points {
  step: number[];
  epoch: number[];
  tokens: number[];
  seconds: number[];
  loss: number[];
  smoothed: number[];
  lr: number[];
  gradNorm: number[];
  tokensPerSecond: number[];
  memoryBytes: number[];
  /** NaN, or null once it was sent, where the objective has none. */
  accuracy: number[];
  margin: number[];
  reward: number[];
  valueLoss: number[];
  explained: number[];
  policyKl: number[];
  clipShare: number[];
  kl: number[];
  answerLength: number[];
}

export const POINT_COLUMNS = ["step", "epoch", "tokens", "seconds", "loss", "smoothed", "lr", "gradNorm", "tokensPerSecond", "memoryBytes", "accuracy", "margin", "reward", "valueLoss", "explained", "policyKl", "clipShare", "kl", "answerLength"] as const satisfies readonly (keyof Points)[];

/** What a panel has to do with the points that it holds. */
export type PointsChange = { kind: "replace"; points: Points } | { kind: "append"; points: Points };

export function emptyPoints(): Points {
  return { step: [], epoch: [], tokens: [], seconds: [], loss: [], smoothed: [], lr: [], gradNorm: [], tokensPerSecond: [], memoryBytes: [], accuracy: [], margin: [], reward: [], valueLoss: [], explained: [], policyKl: [], clipShare: [], kl: [], answerLength: [] };
}

/** The points after a change; a new object, so that a view notices. */
export function applyPoints(held: Points, change: PointsChange): Points {
  if (change.kind === "replace") return change.points;
  return mapColumns((column) => [...held[column], ...change.points[column]]);
}

function mapColumns(make: (column: keyof Points) => number[]): Points {
  const points = emptyPoints();
  for (const column of POINT_COLUMNS) points[column] = make(column);
  return points;
}

/** The whole of a series in few enough points for a chart (LTTB on loss, gradient norm and speed together). */
export function downsampled(series: StepSeries, weight: number, keep = 1500): Points {
  const all: Points = { ...series, smoothed: smooth(series.loss, weight) };
  if (series.step.length <= keep) return mapColumns((column) => [...all[column]]);
  const indices = lttbTogether(series.step, [
    { y: series.loss, keep: Math.floor(keep * 0.5) },
    { y: series.gradNorm, keep: Math.floor(keep * 0.3) },
    { y: series.tokensPerSecond, keep: Math.floor(keep * 0.2) },
  ]);
  return mapColumns((column) => indices.map((index) => all[column][index] ?? 0));
}

/**
 * Tells one panel of a growing series: new points are added one by one until there are too many, then the whole is sent again
 * in fewer points.
 */
export class PointFeed {
  private told = 0;
  private toldStep: number | undefined;
  private held = 0;

  /** @param most how many points a panel may hold */
  constructor(private weight: number, private readonly most = 3000) {}

  /** What a panel that knows nothing needs. */
  whole(series: StepSeries): Points {
    const points = downsampled(series, this.weight, Math.floor(this.most / 2));
    this.remember(series, points.step.length);
    return points;
  }

  /** What a panel that was told of everything before needs; undefined when nothing is new. */
  change(series: StepSeries): PointsChange | undefined {
    const fresh = series.step.length - this.told;
    const rewound = fresh < 0 || (this.told > 0 && series.step[this.told - 1] !== this.toldStep);
    if (rewound || this.held + fresh > this.most) return { kind: "replace", points: this.whole(series) };
    if (fresh === 0) return undefined;
    const from = this.told;
    const all: Points = { ...series, smoothed: smooth(series.loss, this.weight) };
    this.remember(series, this.held + fresh);
    return { kind: "append", points: mapColumns((column) => all[column].slice(from)) };
  }

  /** Another weight for the smoothed curve; the panel needs the whole again. */
  setWeight(weight: number): void {
    this.weight = weight;
  }

  private remember(series: StepSeries, held: number): void {
    this.told = series.step.length;
    this.toldStep = series.step.at(-1);
    this.held = held;
  }
}
