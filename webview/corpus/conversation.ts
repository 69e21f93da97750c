import { z } from "zod";
import { toolCallsOf } from "../../src/core/dataset/tool-calls";
import type { Cell } from "../../src/protocol/corpus";

export interface Turn {
  role: string;
  content: string;
  /** The tools that it calls, as `name(arguments)`. */
  calls: string[];
}

const roles = z.array(z.looseObject({ role: z.string(), content: z.string().nullish() }));
const shareGpt = z.array(z.object({ from: z.string(), value: z.string() }));

/** A chat's turns, in the `role`/`content` form or ShareGPT's `from`/`value`; undefined when the value is no chat. */
export function conversation(value: Cell): Turn[] | undefined {
  if (typeof value !== "string" || !value.startsWith("[")) return undefined;
  let data: unknown;
  try {
    data = JSON.parse(value);
  } catch {
    return undefined;
  }
  const turns = roles.safeParse(data);
  if (turns.success && turns.data.length > 0) return turns.data.map((turn) => ({ role: turn.role, content: turn.content ?? "", calls: toolCallsOf(turn) }));
  const shared = shareGpt.safeParse(data);
  if (!shared.success || shared.data.length === 0) return undefined;
  const names: Record<string, string> = { human: "user", gpt: "assistant" };
  return shared.data.map((turn) => ({ role: names[turn.from] ?? turn.from, content: turn.value, calls: [] }));
}
