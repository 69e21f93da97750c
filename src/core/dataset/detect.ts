import type { Detection, Shape, ShapeGuess } from "../../protocol/corpus";
import { rolesOf, shapeColumns, type BuildShape, type Holds, type ShapeColumns } from "./shape";

type Family = Exclude<BuildShape, "preference/chat" | "preference/label">;

interface Mark {
  shape: Family;
  /** Columns that speak of the shape when all of them are there. */
  columns: readonly string[];
  /** Why one should look before believing it. */
  unsure?: string;
  /** A further condition on what the columns hold. */
  when?: (holds: Holds) => boolean;
}

const judgement = (holds: Holds): boolean => holds("label") === "boolean";
const bothTurns = (holds: Holds): boolean => holds("prompt") === "turns" && holds("completion") === "turns";

/** Columns that mark a shape, the surest first. */
const marks: readonly Mark[] = [
  { shape: "preference", columns: ["chosen", "rejected"] },
  { shape: "chat", columns: ["messages"] },
  { shape: "chat", columns: ["conversations"] },
  { shape: "chat", columns: ["conversation"], when: (holds) => holds("conversation") === "turns" },
  { shape: "chat", columns: ["prompt", "completion"], when: bothTurns },
  { shape: "preference", columns: ["prompt", "completion", "label"], when: judgement },
  { shape: "preference", columns: ["prompt", "completion", "label"], when: (holds) => holds("label") === "number", unsure: "'label' holds numbers: 1 would be a good answer, 0 a bad one" },
  { shape: "prompt/completion", columns: ["prompt", "completion"] },
  { shape: "verifiable", columns: ["prompt", "answer"] },
  ...["tests", "test", "test_list", "test_cases"].flatMap((tests) => ["prompt", "question", "problem"].map((prompt): Mark => ({ shape: "verifiable", columns: [prompt, tests] }))),
  { shape: "prompt/completion", columns: ["instruction", "output"] },
  { shape: "prompt/completion", columns: ["instruction", "response"] },
  { shape: "prompt/completion", columns: ["prompt", "response"] },
  { shape: "verifiable", columns: ["problem", "answer"] },
  { shape: "prompt/completion", columns: ["question", "answer"] },
  { shape: "prompt/completion", columns: ["query", "response"] },
  { shape: "prompt/completion", columns: ["problem", "solution"] },
  { shape: "prompt/completion", columns: ["input", "output"], unsure: "'input' and 'output' may be anything" },
  { shape: "verifiable", columns: ["question", "answer"] },
  { shape: "text", columns: ["text"] },
];

/** Names under which corpora keep a document's text when it is not `text`. */
const textNames = ["content", "body", "document", "passage", "article", "raw_content", "code"];

/** The shape as the corpus editor names it. */
export function familyOf(shape: BuildShape): Family {
  return shape === "preference/chat" || shape === "preference/label" ? "preference" : shape;
}

export interface Detected extends Detection {
  /** How the shape's columns are read; absent where no shape is detected. */
  own?: ShapeColumns;
}

/** The shape that a file's columns speak of (`table` when they speak of none), how sure that is, and what else they might be. */
export function detect(columns: readonly string[], holds: Holds = () => "text"): Detected {
  const names = new Set(columns);
  const found: { guess: ShapeGuess; own: ShapeColumns; mark: Mark }[] = [];
  for (const mark of marks) {
    if (!mark.columns.every((column) => names.has(column)) || mark.when?.(holds) === false) continue;
    const resolved = shapeColumns(mark.shape, columns, {}, holds);
    if (!("columns" in resolved) || found.some((one) => one.mark.shape === mark.shape)) continue;
    found.push({ guess: { shape: mark.shape, columns: rolesOf(resolved.columns) }, own: resolved.columns, mark });
  }
  const [best, ...others] = found;
  const alternatives = others.map((one) => one.guess);
  if (!best) return { shape: "table", columns: {}, confidence: "unsure", reason: "no column has a name that speaks of a shape", alternatives: textGuesses(columns, holds) };
  const unsure = best.mark.unsure ?? rivalReason(best.mark, others.map((one) => one.mark));
  return { ...best.guess, own: best.own, confidence: unsure === undefined ? "sure" : "unsure", reason: unsure ?? `it has ${listed(best.mark.columns)}`, alternatives };
}

/** Why the surest reading is not the only one: another one rests on columns that it leaves out. */
function rivalReason(best: Mark, others: readonly Mark[]): string | undefined {
  if (best.columns.includes("chosen")) return undefined;
  const rival = others.find((other) => !other.columns.some((column) => best.columns.includes(column)) || (best.shape === "prompt/completion" && other.columns.includes("answer") && !best.columns.includes("answer")));
  return rival && `it has ${listed(best.columns)}, and ${listed(rival.columns.filter((column) => !best.columns.includes(column)))} too, which would make it ${rival.shape}`;
}

function textGuesses(columns: readonly string[], holds: Holds): ShapeGuess[] {
  const texts = columns.filter((column) => holds(column) === "text" && (columns.length === 1 || textNames.includes(column.toLowerCase())));
  return texts.map((column): ShapeGuess => ({ shape: "text", columns: { text: column } }));
}

function listed(names: readonly string[]): string {
  const quoted = names.map((name) => `'${name}'`);
  return quoted.length > 1 ? `${quoted.slice(0, -1).join(", ")} and ${quoted.at(-1) ?? ""}` : (quoted[0] ?? "");
}

/** The shape that columns speak of by their names alone. */
export function detectShape(columns: readonly string[]): Shape {
  return detect(columns).shape;
}
