import type { z } from "zod";
import type { FieldDoc } from "../recipe/field";
import type { PlanContext, StepOp } from "./plan";

/** One kind of step: what may be written, what it means, what completion inserts, and the SQL that it is. */
export interface StepDefinition<Key extends string = string, Schema extends z.ZodType = z.ZodType> {
  key: Key;
  schema: Schema;
  /** The step's value, for hover and completion. */
  field: FieldDoc;
  /** The forms that completion offers, in VS Code's snippet syntax, without the leading dash. */
  snippets: readonly { label: string; insert: string; detail: string }[];
  /** What receipts, counts and CodeLenses call it, such as `dedup near`. */
  title(config: z.output<Schema>): string;
  /** What the step does to the rows of `context.input`, as SQL. */
  plan(context: PlanContext, config: z.output<Schema>): StepOp[];
  /** Files that the rows are compared with, as paths and globs relative to the recipe; their texts are in `evalItems` under the step's number. */
  against?(config: z.output<Schema>): readonly string[];
}

export function defineStep<Key extends string, Schema extends z.ZodType>(definition: StepDefinition<Key, Schema>): StepDefinition<Key, Schema> {
  return definition;
}
