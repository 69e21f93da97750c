/** Fewer points for a chart without losing what an eye would see. Pure. */

/**
 * Largest-Triangle-Three-Buckets (Steinarsson 2013, "Downsampling Time Series for Visual Representation"): of each bucket the
 * point that makes the largest triangle with the point kept before it and the mean of the bucket after it.
 * @param x ascending
 * @param y as long as `x`
 * @param keep how many points remain, at least 3; the first and the last are always among them
 * @returns ascending indices into `x`; all of them when there are no more than `keep`
 */
export function lttb(x: readonly number[], y: readonly number[], keep: number): number[] {
  const length = x.length;
  if (keep < 3) throw new RangeError("lttb keeps at least three points");
  if (length <= keep) return Array.from(x, (_value, index) => index);
  const width = (length - 2) / (keep - 2);
  const border = (bucket: number): number => Math.min(length - 1, Math.floor(bucket * width) + 1);
  const kept = [0];
  let previous = 0;
  for (let bucket = 0; bucket < keep - 2; bucket++) {
    const [nextX, nextY] = mean(x, y, border(bucket + 1), Math.max(border(bucket + 1) + 1, border(bucket + 2)));
    const px = x[previous] ?? 0;
    const py = y[previous] ?? 0;
    let best = border(bucket);
    let largest = -1;
    for (let index = border(bucket); index < border(bucket + 1); index++) {
      const area = Math.abs((px - nextX) * ((y[index] ?? 0) - py) - (px - (x[index] ?? 0)) * (nextY - py));
      if (area > largest) {
        largest = area;
        best = index;
      }
    }
    kept.push(best);
    previous = best;
  }
  kept.push(length - 1);
  return kept;
}

function mean(x: readonly number[], y: readonly number[], from: number, to: number): [number, number] {
  let sumX = 0;
  let sumY = 0;
  const end = Math.min(to, x.length);
  for (let index = from; index < end; index++) {
    sumX += x[index] ?? 0;
    sumY += y[index] ?? 0;
  }
  const count = Math.max(1, end - from);
  return [sumX / count, sumY / count];
}

/**
 * One choice of points for several curves over the same x: the union of what each curve needs, so that a spike of the
 * gradient norm is kept as well as one of the loss.
 */
export function lttbTogether(x: readonly number[], curves: readonly { y: readonly number[]; keep: number }[]): number[] {
  const chosen = new Set<number>();
  for (const { y, keep } of curves) for (const index of lttb(x, y, keep)) chosen.add(index);
  return [...chosen].sort((a, b) => a - b);
}
