import type { RecipeStep, StepKey } from "../../core/recipe";
import type { StepCompiler, StepContext } from "./context";
import { decontaminate } from "./decontaminate";
import { dedup } from "./dedup";
import { language } from "./language";
import { pii } from "./pii";
import { quality } from "./quality";
import { where } from "./where";

export type { StepContext } from "./context";

/** The SQL half of every step of `src/core/recipe/steps`. */
const compilers: { [K in StepKey]: StepCompiler<K> } = { where, quality, language, pii, dedup, decontaminate };

/** Runs a step: fills the context's `receipts` and `changes`. */
export function runStep(context: StepContext, step: RecipeStep): Promise<void> {
  const compiler = compilers[step.key] as StepCompiler<StepKey>;
  return compiler(context, step.config);
}
