import { isCollection, isMap, isNode, isScalar, isSeq, type YAMLMap } from "yaml";
import { keyOf, nodeAt, type Path } from "./locate";
import { recipeDocument } from "./parse";
import { formatShare, formatTokens } from "./quantity";

const unit = "  ";

/** A key as YAML needs it. */
function yamlKey(key: string): string {
  return /^[A-Za-z_][\w-]*$/.test(key) && !/^(true|false|null|yes|no|on|off)$/i.test(key) ? key : JSON.stringify(key);
}

function splice(text: string, start: number, end: number, replacement: string): string {
  return text.slice(0, start) + replacement + text.slice(end);
}

function lineStart(text: string, offset: number): number {
  return text.lastIndexOf("\n", offset - 1) + 1;
}

function indentOf(text: string, offset: number): string {
  return /^[ \t]*/.exec(text.slice(lineStart(text, offset), offset))?.[0] ?? "";
}

/** Where the last line of a block node ends: after its comment, before the line break. */
function blockEnd(text: string, node: { range?: [number, number, number] | null }): number {
  let end = node.range?.[1] ?? text.length;
  while (end > 0 && /\s/.test(text[end - 1] ?? "")) end--;
  const eol = text.indexOf("\n", end);
  return eol < 0 ? text.length : eol;
}

/** Nested keys with a scalar at the end, in block style: `mix:\n  shares: { a: 50% }`. */
function nested(path: Path, value: string, indent: string): string {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  if (rest.length === 0) return `${indent}${yamlKey(String(key))}: ${value}`;
  if (rest.length === 1 && key === "shares") return `${indent}shares: { ${yamlKey(String(rest[0]))}: ${value} }`;
  return `${indent}${yamlKey(String(key))}:\n${nested(rest, value, indent + unit)}`;
}

function flowNested(path: Path, value: string): string {
  return path.reduceRight<string>((inner, key, i) => `${yamlKey(String(key))}: ${i === path.length - 1 ? inner : `{ ${inner} }`}`, value);
}

function insertIntoMap(text: string, map: YAMLMap, path: Path, value: string): string {
  const range = map.range;
  if (!range) return text;
  if (map.flow) {
    let close = range[1] - 1;
    while (close > range[0] && text[close] !== "}") close--;
    let at = close;
    while (/\s/.test(text[at - 1] ?? "")) at--;
    const separator = map.items.length === 0 ? " " : /,$/.test(text.slice(0, at)) ? " " : ", ";
    return splice(text, at, close, `${separator}${flowNested(path, value)} `);
  }
  const first = map.items[0]?.key;
  const indent = isNode(first) && first.range ? indentOf(text, first.range[0]) : "";
  const end = blockEnd(text, map);
  return splice(text, end, end, `\n${nested(path, value, indent)}`);
}

/** Sets a scalar at a path with the least change to the text: its own characters where it stands, one new entry where it does not. */
export function setScalar(text: string, path: Path, value: string): string {
  const document = recipeDocument(text);
  const existing = nodeAt(document, path);
  if (existing.pair) {
    const node = existing.node;
    if (node?.range && !(isScalar(node) && node.range[0] === node.range[1])) {
      if (isCollection(node) && !node.flow) return splice(text, node.range[0], blockEnd(text, node), value);
      return splice(text, node.range[0], node.range[1], value);
    }
    const key = existing.pair.key;
    if (isNode(key) && key.range) {
      const colon = text.indexOf(":", key.range[1]);
      return splice(text, colon + 1, colon + 1, ` ${value}`);
    }
  }
  for (let length = path.length - 1; length >= 0; length--) {
    const { node, pair } = nodeAt(document, path.slice(0, length));
    const rest = path.slice(length);
    if (isMap(node)) {
      return insertIntoMap(text, node, rest, value);
    }
    if (pair && isNode(pair.key) && pair.key.range) {
      const colon = text.indexOf(":", pair.key.range[1]);
      const indent = indentOf(text, pair.key.range[0]) + unit;
      return splice(text, colon + 1, colon + 1, rest.length === 1 && keyOf(pair) === "shares" ? ` { ${flowNested(rest, value)} }` : `\n${nested(rest, value, indent)}`);
    }
  }
  const separator = text === "" || text.endsWith("\n") ? "" : "\n";
  return `${text}${separator}${nested(path, value, "")}\n`;
}

/** Sets one group's share of the mix; `share` is a fraction. */
export function setShare(text: string, group: string, share: number): string {
  return setScalar(text, ["mix", "shares", group], formatShare(share));
}

/** Sets several groups' shares. */
export function setShares(text: string, shares: Readonly<Record<string, number>>): string {
  return Object.entries(shares).reduce((current, [group, share]) => setShare(current, group, share), text);
}

/** Sets the mix's budget in tokens. */
export function setBudget(text: string, tokens: number): string {
  return setScalar(text, ["mix", "budget"], formatTokens(tokens));
}

/** Sets how often a row is seen at most. */
export function setMaxEpochs(text: string, epochs: number): string {
  return setScalar(text, ["mix", "max_epochs"], String(epochs));
}

/** Says how a source is read: its shape as `as`, and the file's column of each role as `map` where one is called otherwise. */
export function setReading(text: string, source: string, { shape, columns }: { shape: string; columns: Readonly<Record<string, string>> }): string {
  const written = setScalar(text, ["sources", source, "as"], shape);
  const roles = Object.entries(columns);
  const plain = roles.every(([role, column]) => role === column) && nodeAt(recipeDocument(text), ["sources", source, "map"]).pair === undefined;
  return plain ? written : setScalar(written, ["sources", source, "map"], `{ ${roles.map(([role, column]) => `${yamlKey(role)}: ${yamlKey(column)}`).join(", ")} }`);
}

/** Adds a step at the end of `steps`; `yamlStep` is one item of the list, with or without its dash. */
export function addStep(text: string, yamlStep: string): string {
  const lines = yamlStep.trim().replace(/^-\s+/, "").split("\n").map((line, i) => (i === 0 ? line.trimEnd() : line.replace(/^ {2}(?=\S)/, "").trimEnd()));
  const item = (indent: string) => lines.map((line, i) => `${indent}${i === 0 ? "- " : "  "}${line}`).join("\n");
  const document = recipeDocument(text);
  const { node, pair } = nodeAt(document, ["steps"]);
  if (isSeq(node) && !node.flow && node.range && node.items.length > 0) {
    const end = blockEnd(text, node);
    return splice(text, end, end, `\n${item(indentOf(text, node.range[0]))}`);
  }
  if (isSeq(node) && node.flow && node.items.length > 0 && node.range) {
    let close = node.range[1] - 1;
    while (close > node.range[0] && text[close] !== "]") close--;
    let at = close;
    while (/\s/.test(text[at - 1] ?? "")) at--;
    return splice(text, at, close, `, { ${lines.join(", ")} }`);
  }
  if (pair && isNode(pair.key) && pair.key.range) {
    const colon = text.indexOf(":", pair.key.range[1]);
    const end = node?.range && node.range[1] > colon ? node.range[1] : colon + 1;
    return splice(text, colon + 1, end, `\n${item(unit)}`);
  }
  const sources = nodeAt(document, ["sources"]).node;
  const block = `steps:\n${item(unit)}`;
  if (sources?.range) {
    const end = blockEnd(text, sources);
    return splice(text, end, end, `\n${block}${end === text.length ? "\n" : ""}`);
  }
  const separator = text === "" || text.endsWith("\n") ? "" : "\n";
  return `${text}${separator}${block}\n`;
}
