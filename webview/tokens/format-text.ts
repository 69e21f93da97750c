/** A format on one line: the field would swallow its new lines. */
export function escaped(format: string): string {
  return format.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\t", "\\t");
}

export function unescaped(text: string): string {
  return text.replace(/\\([\\nt])/gu, (_whole, sign: string) => ({ n: "\n", t: "\t" })[sign] ?? "\\");
}
