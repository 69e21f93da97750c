import { isMap, isNode, isPair, isScalar, isSeq, visit, type Document, type Node } from "yaml";
import type { FieldDoc } from "./field";
import { fieldAt } from "./issues";
import { keyOf, spanOf, stepNodes } from "./locate";
import { recipeDocument } from "./parse";
import { stepDefinitions, stepKeys } from "../steps";

export interface Hover {
  markdown: string;
  start: number;
  end: number;
}

export interface Completion {
  label: string;
  /** VS Code's snippet syntax. */
  insertText: string;
  detail: string;
  /** Markdown. */
  documentation: string;
}

export interface Completions {
  items: Completion[];
  /** What is replaced: the word that the cursor stands in. */
  start: number;
  end: number;
}

export interface StepRange {
  index: number;
  start: number;
  end: number;
  /** Such as `dedup near`; the bare key while its value is not valid yet. */
  step: string;
}

/** Where each step stands in the text; works on text that does not parse as a recipe yet. */
export function stepRanges(text: string): StepRange[] {
  const document = recipeDocument(text);
  return stepNodes(document).flatMap(({ node, span }, index): StepRange[] => {
    if (!isMap(node)) return [];
    const pair = node.items.find((item) => stepKeys.includes(keyOf(item) as never));
    if (!pair) return [];
    const key = keyOf(pair);
    const value: unknown = isNode(pair.value) ? pair.value.toJS(document) : pair.value;
    const checked = stepDefinitions[key]?.schema.safeParse(value);
    return [{ index, ...span, step: checked?.success ? (stepDefinitions[key]?.title(checked.data) ?? key) : key }];
  });
}

interface Place {
  path: (string | number)[];
  role: "key" | "value";
  node: Node;
}

/** The scalar that fulfils a condition, with its path: for a key the path of its mapping. */
function find(document: Document, accept: (node: Node) => boolean): Place | undefined {
  let found: Place | undefined;
  visit(document, {
    Scalar(role, node, ancestors) {
      if (!accept(node)) return undefined;
      const path: (string | number)[] = [];
      const chain = [...ancestors, node];
      for (let i = 0; i + 1 < chain.length; i++) {
        const parent = chain[i];
        const child = chain[i + 1];
        if (isPair(parent) && child === parent.value) path.push(keyOf(parent));
        else if (isSeq(parent)) path.push(parent.items.indexOf(child));
      }
      found = { path, role: role === "key" ? "key" : "value", node };
      return visit.BREAK;
    },
  });
  return found;
}

/** What stands under the cursor, explained; undefined where there is nothing to say. */
export function describeAt(text: string, offset: number): Hover | undefined {
  const place = find(recipeDocument(text), (node) => {
    const span = spanOf(node);
    return span !== undefined && span.start <= offset && offset <= span.end && span.end > span.start;
  });
  const span = spanOf(place?.node);
  if (!place || !span) return undefined;
  const path = place.role === "key" ? [...place.path, String((place.node as unknown as { value: unknown }).value)] : place.path;
  const field = fieldAt(path);
  return field ? { markdown: field.doc, ...span } : undefined;
}

const placeholder = "tillage__cursor";

/** What may stand at the cursor. */
export function completionsAt(text: string, offset: number): Completions {
  let start = offset;
  while (start > 0 && /[\w/.*-]/.test(text[start - 1] ?? "")) start--;
  if (text.slice(start, offset).startsWith("-")) start = offset;
  let end = offset;
  while (end < text.length && /[\w/]/.test(text[end] ?? "")) end++;
  const before = text.slice(text.lastIndexOf("\n", start - 1) + 1, start);
  const blockKey = /^\s*(- +)*$/.test(before);
  const hasColon = /^\s*:/.test(text.slice(end));
  const filled = text.slice(0, start) + placeholder + (blockKey && !hasColon ? ": 0" : "") + text.slice(end);
  const place = find(recipeDocument(filled), (node) => isScalar(node) && String(node.value).includes(placeholder));
  if (!place) return { items: [], start, end };
  const items = place.role === "key" ? keyItems(place.path, filled, hasColon) : valueItems(place.path);
  return { items, start, end };
}

function keyItems(path: (string | number)[], filled: string, hasColon: boolean): Completion[] {
  const field = fieldAt(path);
  const inStep = path.length === 2 && path[0] === "steps";
  if (!field?.fields && typeof path.at(-1) === "number") return valueItems(path);
  const present = new Set(presentKeys(filled, path));
  if (inStep && !stepKeys.some((key) => present.has(key))) {
    return Object.values(stepDefinitions).flatMap((step) => step.snippets.map((snippet): Completion => ({ label: snippet.label, insertText: hasColon ? step.key : snippet.insert, detail: snippet.detail, documentation: step.field.doc })));
  }
  return Object.entries(field?.fields ?? {})
    .filter(([key]) => !present.has(key) && !(inStep && stepKeys.includes(key as never)))
    .map(([key, child]): Completion => ({ label: key, insertText: hasColon ? key : insertion(key, child), detail: firstSentence(child.doc), documentation: child.doc }));
}

function presentKeys(filled: string, path: (string | number)[]): string[] {
  const node = path.length === 0 ? recipeDocument(filled).contents : recipeDocument(filled).getIn(path, true);
  return isMap(node) ? node.items.map(keyOf).filter((key) => key !== placeholder) : [];
}

function insertion(key: string, field: FieldDoc): string {
  if (field.snippet !== undefined) return field.snippet.startsWith("\n") ? `${key}:${field.snippet}` : `${key}: ${field.snippet}`;
  if (field.values) return `${key}: \${1|${field.values.join(",")}|}`;
  if (field.items) return `${key}:\n  - $0`;
  return field.fields ? `${key}:\n  $0` : `${key}: $0`;
}

function valueItems(path: (string | number)[]): Completion[] {
  const field = fieldAt(path);
  const values = field?.values ?? [];
  if (values.length > 0) return values.map((value): Completion => ({ label: value, insertText: value, detail: firstSentence(field?.doc ?? ""), documentation: field?.doc ?? "" }));
  if (path.length === 2 && path[0] === "steps") {
    return Object.values(stepDefinitions).flatMap((step) => step.snippets.map((snippet): Completion => ({ label: snippet.label, insertText: snippet.insert, detail: snippet.detail, documentation: step.field.doc })));
  }
  return field?.snippet ? [{ label: field.snippet.replace(/\$\{\d+[:|]?([^}|]*)\|?\}/g, "$1").trim(), insertText: field.snippet, detail: firstSentence(field.doc), documentation: field.doc }] : [];
}

function firstSentence(doc: string): string {
  return doc.replace(/[*`]/g, "").split(/(?<=[.:;])\s/)[0] ?? "";
}
