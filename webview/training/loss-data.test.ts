import { describe, expect, it } from "vitest";
import { emptyPoints } from "../../src/core/run/points";
import { stepAt, xOfStep } from "./loss-data";

const points = { ...emptyPoints(), step: [1, 5, 9], tokens: [100, 500, 1300], seconds: [1, 3, 4] };

describe("a step on an axis", () => {
  it("lies where its point lies, between two that are known, or at the last", () => {
    expect([1, 5, 9].map((step) => xOfStep(points, "tokens", step))).toEqual([100, 500, 1300]);
    expect(xOfStep(points, "tokens", 6)).toBe(700);
    expect(xOfStep(points, "seconds", 2)).toBe(1.5);
    expect(xOfStep(points, "step", 7)).toBe(7);
    expect([xOfStep(points, "tokens", 0), xOfStep(points, "tokens", 20), xOfStep(emptyPoints(), "tokens", 3)]).toEqual([100, 1300, 0]);
  });

  it("is found from the nearest point", () => {
    expect(stepAt(points, "tokens", 350)).toBe(5);
    expect(stepAt(points, "seconds", 100)).toBe(9);
    expect(stepAt(emptyPoints(), "step", 1)).toBeUndefined();
  });
});
