import type { Shape } from "../../protocol/corpus";

/**
 * Shapes that a recipe builds. Preferences are pairs of answers behind a prompt, pairs of whole conversations, or single answers with
 * a verdict; verifiable rows are built as prompt and completion, of which the completion is what an answer is judged by.
 */
export type BuildShape = "text" | "prompt/completion" | "chat" | "preference" | "preference/chat" | "preference/label" | "verifiable";

/** The columns that hold what a row of the shape says. */
export const shapeTexts: Readonly<Record<BuildShape, readonly OwnColumn[]>> = {
  text: ["text"],
  "prompt/completion": ["prompt", "completion"],
  chat: ["messages"],
  preference: ["prompt", "chosen", "rejected"],
  "preference/chat": ["chosen", "rejected"],
  "preference/label": ["prompt", "completion"],
  verifiable: ["prompt", "completion"],
};

export const buildShapes = Object.keys(shapeTexts) as BuildShape[];

/** Columns of the shapes; of a row's those of its own shape are filled, and `text`. */
export const ownColumns = ["text", "prompt", "completion", "chosen", "rejected", "messages"] as const;
export type OwnColumn = (typeof ownColumns)[number];

/** Whether rows of this kind can be built; others can only be looked at. */
export function isBuildShape(shape: Shape | BuildShape): shape is BuildShape {
  return Object.hasOwn(shapeTexts, shape);
}

/** What a column holds: texts, conversations (lists of turns), or something else. */
export type ColumnHolds = "text" | "turns" | "boolean" | "number" | "other";
export type Holds = (column: string) => ColumnHolds;

/** How a shape's columns are read from a file's. Each field that names a column is a role of the shape. */
export type ShapeColumns =
  | { shape: "text"; text: string }
  | { shape: "prompt/completion"; prompt: string; input?: string; completion: string }
  /** The turns may begin in `prompt`, and ShareGPT's `system` may stand apart. */
  | { shape: "chat"; prompt?: string; messages: string; system?: string }
  /** Without a prompt, both are dialogues in one text that begin alike, as in hh-rlhf. */
  | { shape: "preference"; prompt?: string; input?: string; chosen: string; rejected: string }
  /** The conversations stand in `chosen` and `rejected` as a whole, or their beginning apart in `prompt`. */
  | { shape: "preference/chat"; prompt?: string; promptIsText?: boolean; chosen: string; rejected: string; answersAreTexts?: boolean }
  | { shape: "preference/label"; prompt: string; input?: string; completion: string; label: string }
  | { shape: "verifiable"; prompt: string; input?: string; answer?: string; tests?: string };

/** The file's column of each role. */
export function rolesOf(columns: ShapeColumns): Record<string, string> {
  return Object.fromEntries(Object.entries(columns).filter((entry): entry is [string, string] => entry[0] !== "shape" && typeof entry[1] === "string"));
}

/** Names that a role's column has in widely used datasets, the likeliest first. */
export const roleNames = {
  text: ["text"],
  prompt: ["prompt", "instruction", "question", "query", "problem", "input"],
  completion: ["completion", "output", "answer", "response", "solution"],
  messages: ["messages", "conversations", "conversation"],
  chosen: ["chosen"],
  rejected: ["rejected"],
  label: ["label"],
  answer: ["answer", "ground_truth", "solution"],
  tests: ["tests", "test", "test_list", "test_cases"],
} as const satisfies Readonly<Record<string, readonly string[]>>;
export type Role = keyof typeof roleNames;

/** Names of columns that may have a role. */
export const knownColumns: readonly string[] = [...new Set([...Object.values(roleNames).flat(), "system", "tools"])];

/**
 * Which of the file's columns are the shape's: by the recipe's map, then the shape's own names, then those that are widely used.
 * `missing` names a column that is not there. `holds` tells what stands in a column.
 */
export function shapeColumns(shape: BuildShape, columns: readonly string[], map: Readonly<Record<string, string>>, holds: Holds = () => "text"): { columns: ShapeColumns } | { missing: string } {
  const has = (name: string) => columns.includes(name);
  const find = (role: Role): string | undefined => map[role] ?? roleNames[role].find(has);
  const turns = (name: string | undefined): boolean => name !== undefined && has(name) && holds(name) === "turns";
  const missing = (...roles: Role[]): string | undefined => {
    for (const role of roles) if (!has(find(role) ?? "")) return find(role) ?? role;
    return undefined;
  };
  const at = (role: Role) => find(role) ?? role;
  const prompt = find("prompt");
  // Alpaca's input belongs to its instruction; a map names it where it is called otherwise.
  const input = map.input !== undefined ? { input: map.input } : map.prompt === undefined && prompt === "instruction" && has("input") ? { input: "input" } : {};
  const lacks = (name: string | undefined) => (name === undefined ? undefined : { missing: name });
  for (const name of [map.input, map.system]) if (name !== undefined && !has(name)) return { missing: name };

  switch (shape) {
    case "text":
      return lacks(missing("text")) ?? { columns: { shape, text: at("text") } };
    case "chat": {
      const completion = find("completion");
      if (missing("messages") !== undefined && turns(prompt) && turns(completion)) return { columns: { shape, prompt: at("prompt"), messages: at("completion") } };
      if (map.messages !== undefined && (map.prompt !== undefined || map.system !== undefined)) {
        if (map.prompt !== undefined && !has(map.prompt)) return { missing: map.prompt };
        const beside = { ...(map.prompt === undefined ? {} : { prompt: map.prompt }), ...(map.system === undefined ? {} : { system: map.system }) };
        return lacks(missing("messages")) ?? { columns: { shape, messages: map.messages, ...beside } };
      }
      const system = at("messages") !== "messages" && has("system") && map.messages === undefined ? { system: "system" } : {};
      return lacks(missing("messages")) ?? { columns: { shape, messages: at("messages"), ...system } };
    }
    case "preference":
    case "preference/chat":
    case "preference/label": {
      const judged = map.label !== undefined || (map.chosen === undefined && map.rejected === undefined && !has("chosen") && !has("rejected") && missing("prompt", "completion", "label") === undefined);
      if (judged) return lacks(missing("prompt", "completion", "label")) ?? { columns: { shape: "preference/label", prompt: at("prompt"), ...input, completion: at("completion"), label: at("label") } };
      const absent = missing("chosen", "rejected");
      if (absent !== undefined) return { missing: absent };
      if (map.prompt !== undefined && !has(map.prompt)) return { missing: map.prompt };
      const own = { chosen: at("chosen"), rejected: at("rejected") };
      const begin = prompt !== undefined && has(prompt) ? { prompt } : {};
      if (turns(own.chosen)) return { columns: { shape: "preference/chat", ...begin, ...(begin.prompt !== undefined && !turns(prompt) ? { promptIsText: true } : {}), ...own } };
      if (turns(prompt)) return { columns: { shape: "preference/chat", ...begin, ...own, answersAreTexts: true } };
      return { columns: { shape: "preference", ...begin, ...(begin.prompt === undefined ? {} : input), ...own } };
    }
    case "verifiable": {
      const [answer, tests] = [find("answer"), find("tests")].map((name) => (name !== undefined && has(name) ? name : undefined));
      for (const name of [map.answer, map.tests]) if (name !== undefined && !has(name)) return { missing: name };
      if (answer === undefined && tests === undefined) return { missing: missing("prompt") ?? "answer" };
      return lacks(missing("prompt")) ?? { columns: { shape, prompt: at("prompt"), ...input, ...(answer === undefined ? {} : { answer }), ...(tests === undefined ? {} : { tests }) } };
    }
    case "prompt/completion":
      return lacks(missing("prompt", "completion")) ?? { columns: { shape, prompt: at("prompt"), ...input, completion: at("completion") } };
  }
}
