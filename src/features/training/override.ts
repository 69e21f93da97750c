/**
 * Where the reason for going on has to be written: a snippet for a run file's text, if it has no override of the guard yet.
 * The reason is left empty, which the run file's schema refuses: nobody overrides a guard by saving a placeholder.
 */
export function overrideSnippet(text: string, guard: string): { offset: number; snippet: string } | undefined {
  if (new RegExp(`^\\s+${guard}:`, "mu").test(text)) return undefined;
  const section = /^guards:\s*\n(\s+)override:\s*\n/mu.exec(text);
  if (section) return { offset: section.index + section[0].length, snippet: `${section[1] ?? "  "}${section[1] ?? "  "}${guard}: "\${1}"\n` };
  const lead = text.endsWith("\n") || text === "" ? "" : "\n";
  return { offset: text.length, snippet: `${lead}guards:\n  override:\n    ${guard}: "\${1}"\n` };
}
