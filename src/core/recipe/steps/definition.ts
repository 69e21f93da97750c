import type { z } from "zod";
import type { FieldDoc } from "../field";

/** The pure half of a step: what may be written, what it means, what completion inserts. Its SQL is in `src/data/steps`. */
export interface StepDefinition<Key extends string = string, Schema extends z.ZodType = z.ZodType> {
  key: Key;
  schema: Schema;
  /** The step's value, for hover and completion. */
  field: FieldDoc;
  /** The forms that completion offers, in VS Code's snippet syntax, without the leading dash. */
  snippets: readonly { label: string; insert: string; detail: string }[];
  /** What receipts, counts and CodeLenses call it, such as `dedup near`. */
  title(config: z.output<Schema>): string;
}

export function defineStep<Key extends string, Schema extends z.ZodType>(definition: StepDefinition<Key, Schema>): StepDefinition<Key, Schema> {
  return definition;
}
