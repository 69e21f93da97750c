import { describe, expect, it } from "vitest";
import { formatLoss, formatNorm, formatRate, formatTick } from "./numbers";

describe("numbers of curves", () => {
  it("have a minus sign, and digits by their size", () => {
    expect([12.34, 0.456, 0.0456, -1.2, 0].map(formatLoss)).toEqual(["12.3", "0.46", "0.046", "−1.20", "0.00"]);
    expect([1234, -0.0031, 0.45, -12.34].map(formatNorm)).toEqual(["1.23 k", "−3.1e−3", "0.45", "−12.3"]);
    expect([0, 2e-4, 1.5e-3].map(formatRate)).toEqual(["0", "2e−4", "1.5e−3"]);
  });
});

describe("labels of an axis", () => {
  it.each([
    [[-0.02, -0.01, 0, 0.01], 0.01, ["−0.02", "−0.01", "0.00", "0.01"]],
    [[0.131, 0.132, 0.133], 0.001, ["0.131", "0.132", "0.133"]],
    [[-40, -20, 0], 20, ["−40", "−20", "0"]],
    [[0, 2.5, 5], 2.5, ["0.0", "2.5", "5.0"]],
    [[0, 1e-6, 2e-6], 1e-6, ["0", "1e−6", "2e−6"]],
    // What floating point leaves of zero.
    [[-1e-17, 0.25], 0.25, ["0.00", "0.25"]],
    [[1500, 2000], 500, ["1.50 k", "2.00 k"]],
  ])("%j are told apart", (values, step, expected) => {
    expect(values.map((value) => formatTick(value, step))).toEqual(expected);
  });
});
