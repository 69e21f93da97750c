import type { MixRow } from "../../protocol/corpus";

export interface MixGroup {
  group: string;
  rows: number;
  tokens: number;
}

export interface MixWish {
  /** Tokens of the mixed rows with repeats; the tokens that there are when absent. */
  budget?: number;
  /** Fraction by group; groups that are not named share the rest in proportion to their tokens. */
  shares: Readonly<Record<string, number>>;
  /** How often a row may be seen at most. */
  maxEpochs: number;
}

export interface MixResult {
  rows: MixRow[];
  /** Tokens that the mix really has: the wish, cut where a group would be seen more than `maxEpochs` times. */
  budgetTokens: number;
  /** Tokens wished for. */
  wantedTokens: number;
  /** The group that cut the budget. */
  limitedBy?: string;
}

/** Fractions wished for, which add up to 1 over the groups that have tokens. */
function wantedShares(groups: readonly MixGroup[], wish: Readonly<Record<string, number>>): Map<string, number> {
  const named = groups.filter((group) => wish[group.group] !== undefined && group.tokens > 0);
  const others = groups.filter((group) => wish[group.group] === undefined);
  const namedSum = named.reduce((sum, group) => sum + (wish[group.group] ?? 0), 0);
  const otherTokens = others.reduce((sum, group) => sum + group.tokens, 0);
  const rest = Math.max(0, 1 - namedSum);
  const shares = new Map<string, number>();
  for (const group of groups) {
    const own = wish[group.group];
    if (own !== undefined) shares.set(group.group, group.tokens > 0 ? own : 0);
    else shares.set(group.group, otherTokens > 0 ? (rest * group.tokens) / otherTokens : 0);
  }
  const sum = [...shares.values()].reduce((total, share) => total + share, 0);
  if (sum > 0) for (const [group, share] of shares) shares.set(group, share / sum);
  return shares;
}

/**
 * How often each group is seen for its wished share of the tokens.
 *
 * With target = budget × share, a group's epochs are target / tokens. Shares come before the budget: where a group would
 * be seen more than `maxEpochs` times, the whole budget shrinks to what that group allows, and the shares hold.
 */
export function computeMix(groups: readonly MixGroup[], wish: MixWish): MixResult {
  const total = groups.reduce((sum, group) => sum + group.tokens, 0);
  const shares = wantedShares(groups, wish.shares);
  const wanted = wish.budget ?? total;
  let budget = wanted;
  let limitedBy: string | undefined;
  for (const group of groups) {
    const share = shares.get(group.group) ?? 0;
    const most = share > 0 ? (group.tokens * wish.maxEpochs) / share : Number.POSITIVE_INFINITY;
    if (most < budget * (1 - 1e-9)) [budget, limitedBy] = [most, group.group];
  }
  const rows = groups.map((group): MixRow => {
    const share = shares.get(group.group) ?? 0;
    return {
      group: group.group,
      rows: group.rows,
      tokens: group.tokens,
      shareNow: total > 0 ? group.tokens / total : 0,
      shareWanted: share,
      epochs: group.tokens > 0 ? (budget * share) / group.tokens : 0,
    };
  });
  return { rows, budgetTokens: Math.round(budget), wantedTokens: Math.round(wanted), limitedBy };
}

/** Tokens of a text with so many words where no tokenizer is given. */
export const tokensPerWord = 1.3;
