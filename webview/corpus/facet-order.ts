import type { Facet } from "../../src/protocol/corpus";

/** Categories shown before the rest is asked for. */
export const FIRST_VALUES = 8;

/** Whether a column names its rows: every value once. Its values say nothing about groups of rows. */
export function isIdentifier(facet: Facet): boolean {
  return facet.kind === "categories" && facet.distinct > FIRST_VALUES && facet.values.every((value) => value.all <= 1);
}

/** In the file's order, identifiers last. */
export function orderFacets(facets: readonly Facet[]): Facet[] {
  return [...facets.filter((facet) => !isIdentifier(facet)), ...facets.filter(isIdentifier)];
}
