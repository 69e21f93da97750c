import { describe, expect, it } from "vitest";
import { applyPoints, emptyPoints, PointFeed } from "./points";
import type { Points } from "./points";
import { emptyRun } from "./state";
import type { StepSeries } from "./state";

function series(length: number, from = 1): StepSeries {
  const made = emptyRun().series;
  for (let step = from; step < from + length; step++) {
    made.step.push(step);
    made.epoch.push(step / 10);
    made.loss.push(5 / step);
    made.lr.push(1e-3);
    made.gradNorm.push(step === 777 ? 50 : 1);
    made.tokensPerSecond.push(800);
    made.memoryBytes.push(1e8);
    made.tokens.push(step * 10);
    made.seconds.push(step / 2);
  }
  return made;
}

describe("what a panel is told of a growing curve", () => {
  it("adds up to the same points as the whole", () => {
    const feed = new PointFeed(0.9);
    let held: Points = emptyPoints();
    for (const length of [3, 10, 10, 40]) {
      const change = feed.change(series(length));
      if (change) {
        expect(change.kind).toBe("append");
        held = applyPoints(held, change);
      }
    }
    expect(held).toEqual(new PointFeed(0.9).whole(series(40)));
    expect(feed.change(series(40))).toBeUndefined();
  });

  it("is sent again in fewer points when it grows too long, spikes kept", () => {
    const feed = new PointFeed(0.9, 600);
    feed.whole(series(250));
    const change = feed.change(series(5_000));
    expect(change?.kind).toBe("replace");
    expect(change?.points.step.length).toBeLessThanOrEqual(300);
    expect(change?.points.step).toContain(777);
    expect(change?.points.step.at(-1)).toBe(5_000);
    expect(feed.change(series(5_100))?.kind).toBe("append");
  });

  it("is sent again when a resume took steps back, also when it has caught up since", () => {
    const feed = new PointFeed(0.9);
    feed.whole(series(100));
    expect(feed.change(series(60))?.kind).toBe("replace");
    expect(feed.change(series(80, 101))?.kind).toBe("replace");
  });

  it("follows another smoothing", () => {
    const feed = new PointFeed(0);
    expect(feed.whole(series(20)).smoothed).toEqual(series(20).loss);
    feed.setWeight(0.9);
    expect(feed.whole(series(20)).smoothed[19]).toBeGreaterThan(series(20).loss[19] ?? 0);
  });
});
