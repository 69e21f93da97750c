import type { z } from "zod";
import { decontaminate } from "./decontaminate";
import { dedup } from "./dedup";
import type { StepDefinition } from "./definition";
import { language } from "./language";
import { pii } from "./pii";
import { quality } from "./quality";
import { where } from "./where";

export type { StepDefinition } from "./definition";
export { piiKinds } from "./pii";

/** All steps. A new one is its own file here, its SQL in `src/data/steps`, and one line in each registry. */
const registry = { where, quality, language, pii, dedup, decontaminate };

type Registry = typeof registry;
export type StepKey = keyof Registry;

/** A step's checked value, told apart by its key. */
export type StepConfig = { [K in StepKey]: { key: K; config: z.output<Registry[K]["schema"]> } }[StepKey];
export type ConfigOf<K extends StepKey> = z.output<Registry[K]["schema"]>;

export const stepDefinitions: Readonly<Record<string, StepDefinition>> = registry;
export const stepKeys = Object.keys(registry) as StepKey[];
