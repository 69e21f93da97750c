import type { MixParts, MixRow, MixSynthetic } from "../../protocol/corpus";

export { isSynthetic, syntheticWords, type SyntheticRule } from "./synthetic";

export interface MixGroup {
  group: string;
  rows: number;
  tokens: number;
  /** What its rows weigh; absent where every row has weight 1 and none is synthetic. */
  parts?: MixParts;
}

export interface MixWish {
  /** Tokens of the mixed rows with repeats; without it the tokens that there are, each times its row's weight. */
  budget?: number;
  /** Fraction by group; groups that are not named share the rest in proportion to their tokens times weights. */
  shares: Readonly<Record<string, number>>;
  /** How often a row may be seen at most. */
  maxEpochs: number;
  /** Fraction of the mixed tokens that synthetic rows may have. */
  synthetic?: number;
}

export interface MixResult {
  rows: MixRow[];
  /** How often a row of weight 1 is seen, by group: of the rows that are not synthetic, and of those that are. */
  scales: { group: string; plain: number; synthetic: number }[];
  /** Tokens that the mix really has: the wish, cut where a row would be seen more than `maxEpochs` times. */
  budgetTokens: number;
  /** Tokens wished for. */
  wantedTokens: number;
  /** The group that cut the budget. */
  limitedBy?: string;
  /** Present where a limit of the synthetic share is wished for. */
  synthetic?: MixSynthetic;
}

/** What each group weighs where its synthetic rows' weights are multiplied by a factor. */
interface Weighed {
  plain: number;
  synthetic: number;
  heaviest: number;
}

const none = { tokens: 0, weighted: 0, heaviest: 0 };
const partsOf = (group: MixGroup): MixParts => group.parts ?? { plain: { tokens: group.tokens, weighted: group.tokens, heaviest: 1 }, synthetic: none };

/** A group that has nothing but synthetic rows keeps its inner proportions: only its share can make less of it. */
function weighed(group: MixGroup, factor: number): Weighed {
  const { plain, synthetic } = partsOf(group);
  const own = plain.weighted > 0 ? factor : 1;
  return { plain: plain.weighted, synthetic: own * synthetic.weighted, heaviest: Math.max(plain.heaviest, own * synthetic.heaviest) };
}

/** Fractions wished for, which add up to 1 over the groups that have tokens. */
function wantedShares(groups: readonly MixGroup[], wish: Readonly<Record<string, number>>, factor: number): number[] {
  const mass = groups.map((group) => partsOf(group).plain.weighted + factor * partsOf(group).synthetic.weighted);
  const named = groups.map(({ group }) => wish[group]);
  const namedSum = sum(groups.map(({ tokens }, i) => (tokens > 0 ? (named[i] ?? 0) : 0)));
  const others = sum(mass.map((tokens, i) => (named[i] === undefined ? tokens : 0)));
  const rest = Math.max(0, 1 - namedSum);
  const shares = groups.map(({ tokens }, i) => {
    const own = named[i];
    if (own !== undefined) return tokens > 0 ? own : 0;
    return others > 0 ? (rest * (mass[i] ?? 0)) / others : 0;
  });
  const total = sum(shares);
  return total > 0 ? shares.map((share) => share / total) : shares;
}

/** The fraction of the mixed tokens that are synthetic. */
function syntheticShare(groups: readonly MixGroup[], shares: readonly number[], factor: number): number {
  return sum(groups.map((group, i) => {
    const { plain, synthetic } = weighed(group, factor);
    return plain + synthetic > 0 ? ((shares[i] ?? 0) * synthetic) / (plain + synthetic) : 0;
  }));
}

/** The smallest factor that is not 0, at which the limits of shares are looked at. */
const least = 1e-9;

/**
 * The factor of the synthetic rows' weights, and the shares, with which the synthetic share stays at its limit. The shares of the recipe hold while that
 * can be; where groups of synthetic rows alone would be above the limit together, their shares shrink in proportion and the others' grow. `unmet` where
 * no other row is left to take their place.
 */
function limitSynthetic(groups: readonly MixGroup[], wish: MixWish): { factor: number; shares: number[]; cut: string[]; unmet: boolean } {
  const at = (factor: number) => wantedShares(groups, wish.shares, factor);
  const shareAt = (factor: number) => syntheticShare(groups, at(factor), factor);
  const limit = wish.synthetic;
  if (limit === undefined || shareAt(1) <= limit) return { factor: 1, shares: at(1), cut: [], unmet: false };
  if (shareAt(least) > limit + 1e-6) {
    const shares = at(least);
    const pure = groups.map((group) => partsOf(group).plain.weighted === 0);
    const all = sum(shares.map((share, i) => (pure[i] ? share : 0)));
    if (all >= 1 - 1e-9) return { factor: 1, shares: at(1), cut: [], unmet: true };
    const cut = groups.flatMap(({ group }, i) => (pure[i] && (shares[i] ?? 0) > least ? [group] : []));
    return { factor: 0, shares: shares.map((share, i) => (pure[i] ? (share * limit) / all : (share * (1 - limit)) / (1 - all))), cut, unmet: false };
  }
  // The share grows with the factor: halving the interval comes to it as near as numbers do.
  let [low, high] = [0, 1];
  for (let turn = 0; turn < 60; turn++) {
    const middle = (low + high) / 2;
    if (shareAt(middle) > limit) high = middle;
    else low = middle;
  }
  return { factor: low, shares: at(low), cut: [], unmet: false };
}

/**
 * How often each group is seen for its wished share of the tokens, and each of its rows by its weight.
 *
 * With target = budget × share, a row of weight w is seen w × target / (the group's tokens × weights) times. Shares come before the budget: where a row would
 * be seen more than `maxEpochs` times, the whole budget shrinks to what that row allows, and the shares hold. The limit of the synthetic share comes before
 * both (`limitSynthetic`).
 */
export function computeMix(groups: readonly MixGroup[], wish: MixWish): MixResult {
  const total = sum(groups.map((group) => group.tokens));
  const { factor, shares, cut, unmet } = limitSynthetic(groups, wish);
  const masses = groups.map((group) => weighed(group, factor));
  const wanted = wish.budget ?? sum(masses.map((mass) => mass.plain + mass.synthetic));
  let budget = wanted;
  let limitedBy: string | undefined;
  groups.forEach(({ group }, i) => {
    const { plain, synthetic, heaviest } = masses[i] ?? { plain: 0, synthetic: 0, heaviest: 0 };
    const share = shares[i] ?? 0;
    const most = share > 0 ? ((plain + synthetic) * wish.maxEpochs) / (heaviest * share) : Number.POSITIVE_INFINITY;
    if (most < budget * (1 - 1e-9)) [budget, limitedBy] = [most, group];
  });
  const scale = masses.map(({ plain, synthetic }, i) => (plain + synthetic > 0 ? (budget * (shares[i] ?? 0)) / (plain + synthetic) : 0));
  const rows = groups.map((group, i): MixRow => {
    const epochs = group.tokens > 0 ? (budget * (shares[i] ?? 0)) / group.tokens : 0;
    const most = (scale[i] ?? 0) * (masses[i]?.heaviest ?? 0);
    return {
      group: group.group,
      rows: group.rows,
      tokens: group.tokens,
      shareNow: total > 0 ? group.tokens / total : 0,
      shareWanted: shares[i] ?? 0,
      epochs,
      ...(most > epochs * (1 + 1e-9) ? { most } : {}),
      ...(group.parts ? { parts: group.parts } : {}),
    };
  });
  const scales = groups.map((group, i) => ({ group: group.group, plain: scale[i] ?? 0, synthetic: (scale[i] ?? 0) * (partsOf(group).plain.weighted > 0 ? factor : 1) }));
  const result: MixResult = { rows, scales, budgetTokens: Math.round(budget), wantedTokens: Math.round(wanted), limitedBy };
  if (wish.synthetic === undefined) return result;
  const now = total > 0 ? sum(groups.map((group) => partsOf(group).synthetic.tokens)) / total : 0;
  return { ...result, synthetic: { limit: wish.synthetic, now, mixed: syntheticShare(groups, shares, factor), limited: factor < 1 || cut.length > 0, cut, unmet } };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Tokens of a text with so many words where no tokenizer is given. */
export const tokensPerWord = 1.3;
