/** Arithmetic on the curves of a run. Pure. */

/**
 * Exponential moving average with the bias of its start removed: s_t = b·s_(t−1) + (1−b)·x_t, shown as s_t / (1 − b^t),
 * so that the first values are not drawn towards zero (the correction of Kingma and Ba 2015, section 3).
 * @param weight b, from 0 (no smoothing) to below 1
 */
export function smooth(values: readonly number[], weight: number): number[] {
  let mean = 0;
  let left = 1;
  return values.map((value) => {
    mean = weight * mean + (1 - weight) * value;
    left *= weight;
    return mean / (1 - left);
  });
}

/**
 * Seconds until the end, from the pace of the last steps of this attempt.
 * @param seconds time of each step since the attempt started
 * @param steps number of each step, as long as `seconds`
 * @returns undefined while fewer than two steps are known
 */
export function secondsLeft(steps: readonly number[], seconds: readonly number[], total: number, window = 50): number | undefined {
  const last = steps.length - 1;
  const first = Math.max(0, last - window);
  const done = (steps[last] ?? 0) - (steps[first] ?? 0);
  const took = (seconds[last] ?? 0) - (seconds[first] ?? 0);
  if (last < 1 || done <= 0 || took < 0) return undefined;
  return Math.max(0, total - (steps[last] ?? 0)) * (took / done);
}
