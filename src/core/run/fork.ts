/** A run file's text as a fork: the same settings with `fork: REF` among its first lines, in place of an earlier one. */
export function forkText(text: string, ref: string): string {
  const line = `fork: ${ref}`;
  if (/^fork:.*$/mu.test(text)) return text.replace(/^fork:.*$/mu, line);
  const head = /^(?:objective|tillage):.*$/gmu;
  let end = 0;
  for (let match = head.exec(text); match; match = head.exec(text)) end = match.index + match[0].length;
  return end === 0 ? `${line}\n${text}` : `${text.slice(0, end)}\n${line}${text.slice(end)}`;
}
