import type { HistogramBin } from "../../src/protocol/corpus";
import type { Range } from "./view-state";

/**
 * A brush over the edges of a histogram's bins. Positions count edges: bin i lies between i and i + 1, so a brush over
 * bins 2 and 3 is {from: 2, to: 4}. Positions between edges occur when a person typed a bound; bins need not be equally wide.
 */
export interface Brush {
  from: number;
  to: number;
}

/** The bin under a pointer at `x` of a chart `width` wide. */
export function binAt(x: number, width: number, count: number): number {
  if (count === 0 || width <= 0) return 0;
  return clamp(Math.floor((x / width) * count), 0, count - 1);
}

/** The brush that a drag from one bin to another covers, both included. */
export function dragBrush(anchor: number, current: number): Brush {
  return { from: Math.min(anchor, current), to: Math.max(anchor, current) + 1 };
}

/** The brush shifted by whole bins, kept within the chart at its width. */
export function shiftBrush(brush: Brush, by: number, count: number): Brush {
  const width = brush.to - brush.from;
  const from = clamp(brush.from + by, 0, Math.max(0, count - width));
  return { from, to: from + width };
}

/** One handle moved to the `by`-th next edge; handles never cross or meet. */
export function moveHandle(brush: Brush, handle: "from" | "to", by: number, count: number): Brush {
  const now = brush[handle];
  const onEdge = Number.isInteger(now);
  // From between two edges the first step goes to the nearer edge in that direction.
  const base = onEdge ? now : by > 0 ? Math.floor(now) : Math.ceil(now);
  const next = base + by;
  return handle === "from"
    ? { from: clamp(next, 0, Math.ceil(brush.to) - 1), to: brush.to }
    : { from: brush.from, to: clamp(next, Math.floor(brush.from) + 1, count) };
}

/**
 * The values that a brush holds. An end of the chart is open, so that nothing at the extremes is lost. For integers the upper
 * bound is the last integer inside: ranges include both ends, and the edge itself belongs to the next bin.
 */
export function rangeOfBrush(brush: Brush, bins: readonly HistogramBin[], integers: boolean): Range {
  const min = brush.from <= 0 ? null : edge(bins, brush.from);
  const max = brush.to >= bins.length ? null : edge(bins, brush.to);
  if (!integers) return { min, max };
  const low = min === null ? null : Math.ceil(min);
  const high = max === null ? null : Math.ceil(max) - 1;
  return { min: low, max: low !== null && high !== null ? Math.max(low, high) : high };
}

/** Where a range lies on the chart. */
export function brushOfRange(range: Range, bins: readonly HistogramBin[], integers: boolean): Brush {
  const from = range.min === null ? 0 : positionOf(range.min, bins);
  const to = range.max === null ? bins.length : positionOf(integers ? range.max + 1 : range.max, bins);
  return { from, to: Math.max(to, from) };
}

/** A value as a position among the edges, linear within its bin. */
export function positionOf(value: number, bins: readonly HistogramBin[]): number {
  const first = bins[0];
  const last = bins.at(-1);
  if (!first || !last || value <= first.x0) return 0;
  if (value >= last.x1) return bins.length;
  const index = bins.findIndex((bin) => value < bin.x1);
  const bin = bins[index];
  if (!bin) return bins.length;
  return index + (bin.x1 > bin.x0 ? (value - bin.x0) / (bin.x1 - bin.x0) : 0);
}

/** Bar heights in 0 to 1. The square root keeps a long tail visible beside a high peak. */
export function barHeights(counts: readonly number[], peak: number): number[] {
  return counts.map((count) => (count <= 0 || peak <= 0 ? 0 : Math.sqrt(count / peak)));
}

function edge(bins: readonly HistogramBin[], position: number): number {
  const index = Math.floor(position);
  const bin = bins[index];
  if (!bin) return bins.at(-1)?.x1 ?? 0;
  return bin.x0 + (bin.x1 - bin.x0) * (position - index);
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), Math.max(low, high));
}
