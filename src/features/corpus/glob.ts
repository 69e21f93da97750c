/** A file's name as a glob that matches it only. */
export function escapeGlob(name: string): string {
  return name.replace(/[*?{}[\]]/gu, (character) => `[${character}]`);
}
