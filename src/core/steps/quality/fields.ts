import { z } from "zod";
import type { FieldDoc } from "../../recipe/field";
import { describeRule, type QualityRule } from "./rules";

const threshold = z.union([z.number(), z.literal("off")], { error: "should be a number, or off" }).optional();

/** A threshold for each rule, by its name: a number, or `off`. */
export function thresholdSchemas(names: readonly string[]): Record<string, typeof threshold> {
  return Object.fromEntries(names.map((name) => [name, threshold]));
}

/** What the editor says of each rule's threshold. */
export function thresholdFields(rules: readonly QualityRule[]): Record<string, FieldDoc> {
  return Object.fromEntries(
    rules.map((rule) => [rule.name, { doc: `${describeRule(rule)}. Source: ${rule.source}. Write \`off\` to leave the rule out.`, snippet: `\${1:${rule.default}}` }]),
  );
}
