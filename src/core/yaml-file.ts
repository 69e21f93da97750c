import { isMap, LineCounter, parseDocument } from "yaml";
import type { Document, Node } from "yaml";
import type { z } from "zod";
import type { Problem } from "../protocol/errors";

/** A problem in a YAML file with the place that it is about. */
export interface YamlProblem extends Problem {
  /** 0-based offsets into the text. */
  start: number;
  end: number;
}

export interface YamlFile<T> {
  /** Absent when there are problems. */
  value?: T;
  problems: YamlProblem[];
  document: Document;
  lines: LineCounter;
}

/**
 * Parses a YAML file by a schema; every problem names its line and what to do.
 * @param what how the file is called in messages, such as "run file"
 */
export function parseYamlFile<T>(text: string, file: string, schema: z.ZodType<T>, what: string): YamlFile<T> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const problem = (code: string, message: string, remedy: string, start: number, end: number): YamlProblem => ({
    blame: "user", code, message, remedy, file, line: lines.linePos(start).line, start, end: Math.max(end, start + 1),
  });
  const problems = document.errors.map((error) =>
    problem("yaml_syntax", `The ${what} is not valid YAML: ${error.message}.`, "Mend the YAML at this line.", error.pos[0], error.pos[1]),
  );
  if (problems.length > 0) return { problems, document, lines };
  const parsed = schema.safeParse(document.toJS());
  if (parsed.success) return { value: parsed.data, problems, document, lines };
  for (const issue of flatten(parsed.error.issues)) {
    const names = issue.code === "unrecognized_keys" ? issue.keys : [undefined];
    for (const name of names) {
      const path = issue.path.map((part) => (typeof part === "symbol" ? String(part) : part));
      const [start, end] = rangeOf(document, path, name);
      const where = path.length > 0 ? ` in \`${path.join(".")}\`` : "";
      problems.push(
        name === undefined
          ? problem("invalid_value", `The ${what} has a value that does not fit${where}: ${issue.message}.`, "Change the value at this line.", start, end)
          : problem("unknown_key", `The ${what} has a key that is not known${where}: \`${name}\`.`, "Remove the key, or correct its name.", start, end),
      );
    }
  }
  return { problems, document, lines };
}

/** Unions report one list per branch: the branch with the fewest issues is the one that was meant. */
function flatten(issues: z.core.$ZodIssue[]): z.core.$ZodIssue[] {
  return issues.flatMap((issue) => {
    if (issue.code !== "invalid_union" || issue.errors.length === 0) return [issue];
    const nearest = issue.errors.reduce((a, b) => (score(b) < score(a) ? b : a));
    return flatten(nearest.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] })));
  });
}

function score(issues: z.core.$ZodIssue[]): number {
  // A wrong type at the top of a branch says that the branch was not meant at all.
  return issues.reduce((sum, issue) => sum + (issue.path.length === 0 && issue.code === "invalid_type" ? 100 : 1), 0);
}

function rangeOf(document: Document, path: (string | number)[], key?: string): [number, number] {
  for (let depth = path.length; depth >= 0; depth--) {
    const node = document.getIn(path.slice(0, depth), true) as Node | undefined;
    if (key !== undefined && depth === path.length && isMap(node)) {
      const pair = node.items.find((item) => String((item.key as { value?: unknown } | null)?.value) === key);
      const range = (pair?.key as Node | undefined)?.range;
      if (range) return [range[0], range[1]];
    }
    if (node?.range) return [node.range[0], node.range[1]];
  }
  return [0, 1];
}
