/** Where the reason for going on has to be written: a run file's text with an override for a guard, if it has none. */
export function overrideSnippet(text: string, guard: string): { offset: number; snippet: string } | undefined {
  if (new RegExp(`^\\s+${guard}:`, "mu").test(text)) return undefined;
  const section = /^guards:\s*\n(\s+)override:\s*\n/mu.exec(text);
  if (section) return { offset: section.index + section[0].length, snippet: `${section[1] ?? "  "}${section[1] ?? "  "}${guard}: \${1:why this is right}\n` };
  const lead = text.endsWith("\n") || text === "" ? "" : "\n";
  return { offset: text.length, snippet: `${lead}guards:\n  override:\n    ${guard}: \${1:why this is right}\n` };
}
