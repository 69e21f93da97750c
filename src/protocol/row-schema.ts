import { z } from "zod";
import type { Row } from "./native.gen";

/** A row as a model reads it. */
export const rowSchema = z.union([
  z.object({ messages: z.array(z.object({ role: z.string(), content: z.string() })) }),
  z.object({ prompt: z.string(), completion: z.string() }),
  z.object({ text: z.string() }),
]) satisfies z.ZodType<Row>;
