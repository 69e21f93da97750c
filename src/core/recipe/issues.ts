import type { Document } from "yaml";
import type { z } from "zod";
import type { FieldDoc } from "./field";
import { keySpan, spanAt, type Path } from "./locate";
import { nearest } from "./nearest";
import { lineAt, type RecipeProblem } from "./problem";
import { recipeField } from "./schema";

type Issue = z.core.$ZodIssue;

/** What the editor knows at a path of a recipe. */
export function fieldAt(path: Path): FieldDoc | undefined {
  let field: FieldDoc | undefined = recipeField;
  for (const step of path) {
    if (!field) return undefined;
    field = typeof step === "number" ? (field.items ?? field) : (field.fields?.[step] ?? field.each);
  }
  return field;
}

const typeNames: Record<string, string> = { object: "a mapping (key: value)", record: "a mapping (key: value)", array: "a list", string: "a text", number: "a number", int: "a whole number", boolean: "true or false" };

function where(path: Path): string {
  const named = path.map((step, i) => (typeof step === "number" ? (path[i - 1] === "steps" ? `step ${step + 1}` : `item ${step + 1}`) : `'${step}'`));
  return named.length === 0 ? "The recipe" : named.slice(-2).reverse().join(" of ");
}

function sentence(issue: Issue, path: Path): string {
  const subject = where(path);
  switch (issue.code) {
    case "invalid_type": {
      if (/received undefined/.test(issue.message)) return `${subject} is missing.`;
      if (!issue.message.startsWith("Invalid input")) return `${subject} ${issue.message}.`;
      return `${subject} should be ${typeNames[issue.expected] ?? issue.expected}.`;
    }
    case "invalid_value":
      if (!issue.message.startsWith("Invalid")) return `${subject} ${issue.message}.`;
      return `${subject} should be ${issue.values.length > 1 ? "one of " : ""}${issue.values.map(String).join(", ")}.`;
    case "too_small":
      return issue.message.startsWith("Too small") ? `${subject} should be at least ${String(issue.minimum)}.` : `${subject} ${issue.message}.`;
    case "too_big":
      return `${subject} should be at most ${String(issue.maximum)}.`;
    case "invalid_union":
      if (issue.errors.length > 0 && issue.errors.every((branch) => /received undefined/.test(branch[0]?.message ?? ""))) return `${subject} is missing.`;
      return issue.message === "Invalid input" ? `${subject} should be one value or a list of them.` : `${subject} ${issue.message}.`;
    default:
      return `${subject} ${issue.message}.`;
  }
}

function unknownKey(text: string, document: Document, path: Path, key: string): RecipeProblem {
  const known = Object.keys(fieldAt(path)?.fields ?? {});
  const near = nearest(key, known);
  const span = keySpan(document, path, key);
  const at = path.length === 0 ? "the recipe" : where(path);
  const message = `Unknown key '${key}' in ${at}.` + (near ? ` Did you mean '${near}'?` : ` Known are ${known.join(", ")}.`);
  const fixes = near ? [{ title: `Change '${key}' to '${near}'`, newText: near, ...span }] : [];
  return { severity: "error", code: "unknown_key", message, ...span, fixes, line: lineAt(text, span.start) };
}

/** The innermost issues of a union's branch that got furthest, so that a message names the part that is wrong. */
function flatten(issue: Issue): Issue[] {
  if (issue.code !== "invalid_union") return [issue];
  const branches = issue.errors.filter((branch) => branch.some((inner) => inner.path.length > 0 || inner.code === "invalid_value" || inner.code === "invalid_format"));
  const best = branches[0];
  return best ? best.flatMap((inner) => flatten({ ...inner, path: [...issue.path, ...inner.path] })) : [issue];
}

/** Zod's issues as problems that point into the text; `base` is the path of the value that was checked. */
export function toProblems(text: string, document: Document, issues: readonly Issue[], base: Path = []): RecipeProblem[] {
  const flat = issues.flatMap(flatten);
  // A misspelt key explains what is missing because of it: that is not told twice.
  const misspelt = flat.flatMap((issue) => (issue.code === "unrecognized_keys" ? [JSON.stringify(issue.path)] : []));
  const explained = (issue: Issue) => {
    if (issue.code === "custom") return misspelt.includes(JSON.stringify(issue.path));
    return issue.code !== "unrecognized_keys" && sentence(issue, issue.path.map(String)).endsWith("is missing.") && misspelt.includes(JSON.stringify(issue.path.slice(0, -1)));
  };
  return flat.filter((issue) => !explained(issue)).flatMap((issue): RecipeProblem[] => {
    const path = [...base, ...issue.path.map((step) => (typeof step === "symbol" ? String(step) : step))];
    if (issue.code === "unrecognized_keys") return issue.keys.map((key) => unknownKey(text, document, path, key));
    if (issue.code === "invalid_key") {
      const key = String(path.at(-1) ?? "");
      const parent = path.slice(0, -1);
      if (fieldAt(parent)?.fields) return [unknownKey(text, document, parent, key)];
      const span = keySpan(document, parent, key);
      const reason = issue.issues[0]?.message ?? "is not a valid name";
      return [{ severity: "error", code: "invalid_name", message: `'${key}' ${reason}.`, ...span, fixes: [], line: lineAt(text, span.start) }];
    }
    const span = spanAt(document, path);
    return [{ severity: "error", code: "invalid_value", message: sentence(issue, path), ...span, fixes: [], line: lineAt(text, span.start) }];
  });
}
