import { z } from "zod";
import thresholds from "../../../../native/crates/duckdb_ext/thresholds.json";

const ruleSchema = z.object({
  preset: z.enum(["gopher", "c4", "fineweb"]),
  filter: z.string(),
  /** The receipt's reason, and the key by which a recipe overrides the threshold. */
  name: z.string(),
  /** The field of `till_quality`'s struct. */
  field: z.string(),
  /** A row leaves when `field op threshold` holds. */
  op: z.enum(["<", ">"]),
  default: z.number(),
  doc: z.string(),
  source: z.string(),
});

/** One rule of a quality filter; a row leaves at the first rule that it fails. */
export type QualityRule = z.infer<typeof ruleSchema>;
export type QualityPreset = QualityRule["preset"];

const rules = z.array(ruleSchema).parse(thresholds);

export const qualityPresets = [...new Set(rules.map((rule) => rule.preset))];

/** The rules of a preset in the order in which they are tried. */
export function qualityRules(preset: QualityPreset): QualityRule[] {
  return rules.filter((rule) => rule.preset === preset);
}

/** Gopher's rules on repetition alone, which the preset gopher has too. */
export const repetitionRules = rules.filter((rule) => rule.filter === "gopher_repetition");

/** The names of all rules of all presets. */
export const qualityRuleNames = [...new Set(rules.map((rule) => rule.name))];

/** `field op threshold` as words for a receipt, a hover and a row's detail. */
export function describeRule(rule: QualityRule, threshold = rule.default): string {
  return `${rule.doc} (leaves when ${rule.field} ${rule.op} ${threshold})`;
}
