import { isAlias, isMap, isNode, isPair, isScalar, isSeq, type Document, type Node, type Pair } from "yaml";

export type Path = readonly (string | number)[];
export interface Span {
  start: number;
  end: number;
}

/** The text of a mapping's key. */
export function keyOf(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
}

/** Where a node's text stands, without what follows it on the line. */
export function spanOf(node: Node | null | undefined): Span | undefined {
  const range = node?.range;
  return range ? { start: range[0], end: range[1] } : undefined;
}

/** The pair and the node at a path; `pair` is undefined for list items and the root. */
export function nodeAt(document: Document, path: Path): { node?: Node; pair?: Pair } {
  let node = document.contents;
  let pair: Pair | undefined;
  for (const step of path) {
    if (isMap(node)) {
      pair = node.items.find((item) => keyOf(item) === String(step));
      if (!pair) return {};
      node = isNode(pair.value) ? pair.value : null;
    } else if (isSeq(node)) {
      pair = undefined;
      const item = node.items[Number(step)];
      node = isNode(item) ? item : null;
    } else return {};
    if (isAlias(node)) node = node.resolve(document) ?? null;
  }
  return { node: node ?? undefined, pair };
}

/** Where to point for a problem at a path: the value, else its key, else the nearest thing above. */
export function spanAt(document: Document, path: Path): Span {
  for (let length = path.length; length >= 0; length--) {
    const { node, pair } = nodeAt(document, path.slice(0, length));
    const value = spanOf(node);
    if (value && length > 0 && value.end > value.start) return value;
    // An item that is not typed yet: its dash, not the whole list.
    if (value && length > 0 && !pair) return { start: Math.max(0, value.start - 2), end: value.start };
    if (pair && isNode(pair.key)) {
      const key = spanOf(pair.key);
      if (key) return key;
    }
  }
  return { start: 0, end: 0 };
}

/** Where a mapping's key stands. */
export function keySpan(document: Document, path: Path, key: string): Span {
  const { node } = nodeAt(document, path);
  if (isMap(node)) {
    const pair = node.items.find((item) => keyOf(item) === key);
    const span = pair && isNode(pair.key) ? spanOf(pair.key) : undefined;
    if (span) return span;
  }
  return spanAt(document, path);
}

/** The items of `steps` with the position of each; half-typed text is read as far as it goes. */
export function stepNodes(document: Document): { node: Node | null; span: Span }[] {
  const { node } = nodeAt(document, ["steps"]);
  if (!isSeq(node)) return [];
  return node.items.map((item) => {
    const value = isNode(item) ? item : isPair(item) && isNode(item.value) ? item.value : null;
    return { node: value, span: spanOf(value) ?? { start: 0, end: 0 } };
  });
}
