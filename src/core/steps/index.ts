import type { z } from "zod";
import { decontaminate } from "./decontaminate";
import { dedup } from "./dedup";
import type { StepDefinition } from "./definition";
import { language } from "./language";
import { length } from "./length";
import { pii } from "./pii";
import { quality } from "./quality";
import { repetition } from "./repetition";
import { sample } from "./sample";
import { toxicity } from "./toxicity";
import { weight } from "./weight";
import { where } from "./where";
import type { PlanContext, StepOp } from "./plan";

export type { StepDefinition } from "./definition";
export { evalItems, type PlanContext, type StepOp } from "./plan";
export { evalMatches } from "./decontaminate/sql";
export { nearPairs } from "./dedup/near";
export { lot } from "./sample/sql";
export { qualitySql } from "./quality/sql";
export { piiKinds } from "./pii";

/** All steps. A new one is its own folder here (what may be written, its SQL, its words, its tests) and one line in this registry. */
const registry = { where, length, quality, repetition, language, toxicity, pii, dedup, decontaminate, sample, weight };

type Registry = typeof registry;
export type StepKey = keyof Registry;

/** A step's checked value, told apart by its key. */
export type StepConfig = { [K in StepKey]: { key: K; config: z.output<Registry[K]["schema"]> } }[StepKey];
export type ConfigOf<K extends StepKey> = z.output<Registry[K]["schema"]>;

export const stepDefinitions: Readonly<Record<string, StepDefinition>> = registry;
export const stepKeys = Object.keys(registry) as StepKey[];

/** A step's operations. */
export function planStep(step: StepConfig, context: PlanContext): StepOp[] {
  return stepDefinitions[step.key]!.plan(context, step.config);
}

/** The files that a step compares the rows with, as the recipe names them. */
export function comparedFiles(step: StepConfig): readonly string[] {
  return stepDefinitions[step.key]?.against?.(step.config) ?? [];
}
