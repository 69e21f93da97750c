/** Conversations in JSON, in OpenAI's or ShareGPT's dialect, as the `messages` that a model reads. The corpus service does the same in SQL. */
import { z } from "zod";
import type { Message } from "../../protocol/native.gen";
import { messageSchema } from "../../protocol/row-schema";
import { answerMark, shareGptCalls, shareGptRoles } from "./roles";

const partSchema = z.union([z.string(), z.looseObject({ text: z.string() }).transform((part) => part.text)]);
const partsSchema = z.looseObject({ role: z.string(), content: z.array(partSchema) });
const shareGptSchema = z.object({ from: z.string(), value: z.string() });
const callSchema = z.looseObject({ name: z.string() });
const turnsSchema = z.array(z.unknown());

export function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function message(turn: unknown): Message | undefined {
  const own = messageSchema.safeParse(turn);
  if (own.success) return own.data;
  const parts = partsSchema.safeParse(turn);
  if (parts.success) return { ...parts.data, content: parts.data.content.join("") };
  const shared = shareGptSchema.safeParse(turn);
  if (!shared.success) return undefined;
  const { from, value } = shared.data;
  if (shareGptCalls.includes(from)) {
    const call = callSchema.safeParse(parseJson(value));
    return call.success ? { role: "assistant", content: null, tool_calls: [{ type: "function", function: call.data }] } : undefined;
  }
  const role = shareGptRoles[from];
  return role === undefined ? undefined : { role, content: value };
}

/** Messages as JSON text, in either dialect; undefined when they are neither. */
export function parseMessages(json: string): Message[] | undefined {
  const turns = turnsSchema.safeParse(parseJson(json));
  if (!turns.success) return undefined;
  const messages = turns.data.map(message);
  return messages.every((one) => one !== undefined) ? messages : undefined;
}

/** Two dialogues in one text each, parted where their last common answer begins; undefined when they share no beginning up to an answer. */
export function partDialogues(chosen: string, rejected: string): { prompt: string; chosen: string; rejected: string } | undefined {
  const [a, b] = [chosen.split(answerMark), rejected.split(answerMark)];
  let shared = 0;
  while (shared < a.length - 1 && shared < b.length - 1 && a[shared] === b[shared]) shared++;
  if (shared === 0) return undefined;
  const prompt = a.slice(0, shared).join(answerMark) + answerMark;
  return { prompt, chosen: chosen.slice(prompt.length), rejected: rejected.slice(prompt.length) };
}
