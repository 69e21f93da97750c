import { z } from "zod";
import type { Row } from "./native.gen";

/** A turn; what else it has, such as `tool_calls`, stays. */
export const messageSchema = z.looseObject({ role: z.string(), content: z.string().nullish() });
const messages = z.array(messageSchema);
const tools = z.array(z.unknown()).nullish();

/** A row as a model reads it. */
export const rowSchema = z.union([
  z.object({ prompt: z.string(), chosen: z.string(), rejected: z.string() }),
  z.object({ chosen: messages, rejected: messages, tools }),
  z.object({ messages, label: z.boolean(), tools }),
  z.object({ messages, tools }),
  z.object({ prompt: z.string(), completion: z.string(), label: z.boolean() }),
  z.object({ prompt: z.string(), completion: z.string() }),
  z.object({ text: z.string() }),
]) satisfies z.ZodType<Row>;
