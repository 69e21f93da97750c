/** What a conversation says of tools, as people read it. */
import { z } from "zod";

const named = z.looseObject({ name: z.string(), arguments: z.unknown().optional() });
const wrapped = z.looseObject({ function: named });
const tool = z.union([wrapped.transform((value) => value.function.name), z.looseObject({ name: z.string() }).transform((value) => value.name)]);

/** A turn's calls as `name({"place":"kiln"})`; what is no call is shown as it is. */
export function toolCallsOf(message: Readonly<Record<string, unknown>>): string[] {
  const calls: unknown = message["tool_calls"];
  if (!Array.isArray(calls)) return [];
  return calls.map((call: unknown) => {
    const found = wrapped.safeParse(call).data?.function ?? named.safeParse(call).data;
    if (!found) return JSON.stringify(call);
    const given = found.arguments;
    return `${found.name}(${given === undefined ? "" : typeof given === "string" ? given : JSON.stringify(given)})`;
  });
}

/** The names of the tools that a conversation is offered; `?` for one without a name. */
export function toolNames(tools: readonly unknown[]): string[] {
  return tools.map((one) => tool.safeParse(one).data ?? "?");
}
