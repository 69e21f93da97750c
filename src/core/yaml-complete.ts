/** Completion and hover in YAML files whose keys are documented by a table. Works on half-typed text: it goes by lines and indentation. Pure. */

export interface KeyDoc {
  /** Markdown: what it means, its unit, its default. */
  doc: string;
  /** Values to choose from, or one to start with. */
  values?: readonly string[];
  /** Keys of the map that is its value. */
  keys?: KeyDocs;
  /** Keys of each item of the list that is its value. */
  items?: KeyDocs;
}
export type KeyDocs = Readonly<Record<string, KeyDoc>>;

export interface YamlCompletion {
  label: string;
  kind: "key" | "value";
  insertText: string;
  documentation: string;
}

interface Line {
  /** Column of the first key, after the dashes of list items. */
  indent: number;
  /** Column of the first dash, when the line starts a list item. */
  dash: number | undefined;
  key: string | undefined;
}

/** What can be written at an offset, and the range that it replaces. */
export function completeYaml(text: string, offset: number, docs: KeyDocs): { items: YamlCompletion[]; start: number; end: number } {
  const lineStart = text.lastIndexOf("\n", offset - 1) + 1;
  const before = text.slice(lineStart, offset);
  const value = /^([\s-]*)([\w-]+):\s+(\S*)$/.exec(before);
  if (value) {
    const doc = keysAt(text, lineStart, docs, (value[1] ?? "").length)?.[value[2] ?? ""];
    const items = (doc?.values ?? []).map((label): YamlCompletion => ({ label, kind: "value", insertText: label, documentation: doc?.doc ?? "" }));
    return { items, start: offset - (value[3] ?? "").length, end: offset };
  }
  const key = /^([\s-]*)([\w-]*)$/.exec(before);
  if (!key) return { items: [], start: offset, end: offset };
  const indent = (key[1] ?? "").length;
  const keys = keysAt(text, lineStart, docs, indent) ?? {};
  const present = siblings(text, lineStart, indent);
  const items = Object.entries(keys).filter(([name]) => !present.has(name)).map(([label, doc]): YamlCompletion => ({ label, kind: "key", insertText: insertion(label, doc, indent), documentation: doc.doc }));
  return { items, start: offset - (key[2] ?? "").length, end: offset };
}

/** What the key at an offset means. */
export function describeYaml(text: string, offset: number, docs: KeyDocs): { documentation: string; start: number; end: number } | undefined {
  const lineStart = text.lastIndexOf("\n", offset - 1) + 1;
  const lineEnd = text.indexOf("\n", offset) < 0 ? text.length : text.indexOf("\n", offset);
  const match = /^([\s-]*)([\w-]+):/.exec(text.slice(lineStart, lineEnd));
  if (!match) return undefined;
  const start = lineStart + (match[1] ?? "").length;
  const end = start + (match[2] ?? "").length;
  if (offset < start || offset > end) return undefined;
  const doc = keysAt(text, lineStart, docs, (match[1] ?? "").length)?.[match[2] ?? ""];
  return doc && { documentation: `**${match[2] ?? ""}**: ${doc.doc}`, start, end };
}

function insertion(name: string, doc: KeyDoc, indent: number): string {
  if (doc.keys) return `${name}:\n${" ".repeat(indent + 2)}`;
  if (doc.items) return `${name}:\n${" ".repeat(indent + 2)}- `;
  return `${name}: ${doc.values?.length === 1 ? (doc.values[0] ?? "") : ""}`;
}

/** The documented keys of the map that a line at this indentation belongs to. */
function keysAt(text: string, lineStart: number, docs: KeyDocs, indent: number): KeyDocs | undefined {
  const path: { key: string; item: boolean }[] = [];
  let level = indent;
  const own = readLine(text.slice(lineStart, lineEndOf(text, lineStart)));
  let item = own.dash !== undefined && indent > 0;
  if (item) level = (own.dash ?? 0) + 1;
  for (let end = lineStart - 1; end > 0 && level > 0;) {
    const start = text.lastIndexOf("\n", end - 1) + 1;
    const line = readLine(text.slice(start, end));
    end = start - 1;
    // A list may stand at the column of its key.
    const outside = line.key !== undefined && (line.indent < level - (item ? 1 : 0) || (item && line.dash === undefined && line.indent === level - 1));
    if (line.dash !== undefined && line.indent === level && !item) {
      item = true;
      level = line.dash + 1;
    } else if (outside && line.key !== undefined) {
      path.unshift({ key: line.key, item });
      item = line.dash !== undefined;
      level = line.dash === undefined ? line.indent : line.dash + 1;
    }
  }
  let keys: KeyDocs | undefined = docs;
  for (const step of path) keys = step.item ? keys?.[step.key]?.items : keys?.[step.key]?.keys;
  return keys;
}

function lineEndOf(text: string, from: number): number {
  const end = text.indexOf("\n", from);
  return end < 0 ? text.length : end;
}

function readLine(line: string): Line {
  const match = /^(\s*)((?:-\s+)*)([\w-]+)\s*:/.exec(line);
  const dash = /^(\s*)-/.exec(line);
  const lead = (match?.[1] ?? "").length + (match?.[2] ?? "").length;
  return { indent: match ? lead : (/\S/.exec(line)?.index ?? Number.MAX_SAFE_INTEGER), dash: dash ? (dash[1] ?? "").length : undefined, key: match?.[3] };
}

/** Keys that the same map already has. */
function siblings(text: string, lineStart: number, indent: number): Set<string> {
  const found = new Set<string>();
  const look = (from: number, step: -1 | 1): void => {
    let start = from;
    while (start >= 0 && start <= text.length) {
      const line = readLine(text.slice(start, lineEndOf(text, start)));
      if (line.indent < indent && line.key !== undefined) return;
      if (line.indent === indent && line.key !== undefined && start !== lineStart) {
        if (step === 1 && line.dash !== undefined) return;
        found.add(line.key);
        if (step === -1 && line.dash !== undefined) return;
      }
      if (step === 1) {
        const end = text.indexOf("\n", start);
        if (end < 0) return;
        start = end + 1;
      } else {
        if (start === 0) return;
        start = text.lastIndexOf("\n", start - 2) + 1;
      }
    }
  };
  const own = readLine(text.slice(lineStart, lineEndOf(text, lineStart)));
  if (own.dash === undefined) look(lineStart, -1);
  look(lineStart, 1);
  return found;
}
