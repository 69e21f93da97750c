/** Shares are written to a tenth of a percent. */
export const SHARE_STEP = 0.001;

/**
 * Moves one share and rescales the others in proportion, so that all sum to one.
 *
 * @param shares fractions of all tokens, summing to one
 * @param locked groups that keep their share; the moved one moves even when it is locked
 * @param index the group that is moved
 * @param wanted its new share; held between zero and what the locked groups leave
 * @returns shares in multiples of `SHARE_STEP` that sum to exactly one (largest remainders)
 */
export function rebalance(shares: readonly number[], locked: readonly boolean[], index: number, wanted: number): number[] {
  const held = sum(shares.map((share, i) => (i !== index && locked[i] ? share : 0)));
  const free = shares.map((_, i) => i).filter((i) => i !== index && !locked[i]);
  const room = Math.max(0, 1 - held);
  // With nobody to take or give the rest, the share is what the locked groups leave.
  const moved = free.length === 0 ? room : Math.min(room, Math.max(0, wanted));
  const rest = room - moved;
  const before = sum(free.map((i) => shares[i] ?? 0));
  const next = shares.map((share, i) => {
    if (i === index) return moved;
    if (locked[i]) return share;
    return before > 0 ? (rest * share) / before : rest / free.length;
  });
  return roundToOne(next, (i) => i === index || locked[i] === true);
}

/** Rounds to `SHARE_STEP` so that the sum stays one; what `keep` names is rounded by itself and left alone when there are others. */
export function roundToOne(shares: readonly number[], keep: (index: number) => boolean = () => false): number[] {
  const units = Math.round(1 / SHARE_STEP);
  const exact = shares.map((share) => share * units);
  const whole = exact.map((value, i) => (keep(i) ? Math.round(value) : Math.floor(value + 1e-9)));
  const movable = exact.map((_, i) => i).filter((i) => !keep(i));
  const order = (movable.length > 0 ? movable : exact.map((_, i) => i)).sort((a, b) => remainder(exact, whole, b) - remainder(exact, whole, a));
  let missing = units - sum(whole);
  for (let turn = 0; missing !== 0 && order.length > 0 && turn < units; turn++) {
    const at = order[turn % order.length] ?? 0;
    const step = Math.sign(missing);
    if ((whole[at] ?? 0) + step < 0) continue;
    whole[at] = (whole[at] ?? 0) + step;
    missing -= step;
  }
  return whole.map((value) => value / units);
}

function remainder(exact: readonly number[], whole: readonly number[], index: number): number {
  return (exact[index] ?? 0) - (whole[index] ?? 0);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
