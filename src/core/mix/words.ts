import type { MixSynthetic } from "../../protocol/corpus";
import { formatPercent, formatScaled } from "../format";
import type { MixResult } from "./index";

/** What a table of a mix says of its budget. */
type Budget = Pick<MixResult, "rows" | "budgetTokens" | "limitedBy"> & { wantedTokens?: number };

/** What cuts the budget: the group, how often its rows would have to be seen, and the sentence behind the group's name; undefined where nothing does. */
export function budgetLimit(mix: Budget, maxEpochs: number): { group: string; needed: number; text: string } | undefined {
  const row = mix.rows.find((candidate) => candidate.group === mix.limitedBy);
  if (!row || row.tokens === 0 || mix.budgetTokens === 0 || mix.wantedTokens === undefined) return undefined;
  const needed = ((row.most ?? row.epochs) * mix.wantedTokens) / mix.budgetTokens;
  const what = row.most === undefined ? "would be seen" : "has rows that by their weight would be seen";
  const text = `${what} ${needed.toFixed(1)} times for ${formatScaled(mix.wantedTokens)} tokens. At most ${maxEpochs} epochs are allowed, so the mix has ${formatScaled(mix.budgetTokens)}.`;
  return { group: row.group, needed, text };
}

/** What the limit of the synthetic share does to the mix, in a sentence. */
export function syntheticWords({ limit, now, mixed, limited, cut, unmet }: MixSynthetic): string {
  if (unmet) return `Every row is synthetic: no other can take their place, and the limit of ${formatPercent(limit)} is not kept.`;
  const before = `Synthetic rows have ${formatPercent(now)} of the tokens now and ${formatPercent(mixed)} in the mix (limit ${formatPercent(limit)})`;
  if (cut.length > 0) return `${before}: ${cut.join(", ")} ${cut.length === 1 ? "has" : "have"} nothing else, and less than the recipe asks for.`;
  return limited ? `${before}: they are seen less often than by their weights alone.` : `${before}.`;
}
