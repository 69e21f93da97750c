import { isSourceShape, shapeRoles, type SourceShape } from "../../src/core/dataset/mapping";
import type { SourceMapping } from "../../src/protocol/corpus";
import type { MappingState } from "../../src/protocol/mapping-panel";

export type Wish = Pick<MappingState, "as" | "map">;

/** The column of each role: as asked for, else as the rows are read. */
export function rolesShown({ as, map }: Wish, { read }: SourceMapping): Record<string, string> {
  return { ...(read && (as === null || as === read.shape) ? read.columns : {}), ...map };
}

/** Another shape: with the columns that speak of it, where there are some; else to be chosen. */
export function withShape({ detection }: SourceMapping, shape: SourceShape): Wish {
  const guess = [detection, ...detection.alternatives].find((candidate) => candidate.shape === shape);
  return { as: shape, map: guess?.columns ?? {} };
}

/** Another column for a role (none when empty); the other roles stay as they are shown. */
export function withRole(wish: Wish, mapping: SourceMapping, shape: SourceShape, role: string, column: string): Wish {
  const known = new Set(shapeRoles[shape].map((entry) => entry.role));
  const roles = Object.entries({ ...rolesShown(wish, mapping), [role]: column }).filter(([name, value]) => value !== "" && known.has(name));
  return { as: isSourceShape(shape) ? shape : null, map: Object.fromEntries(roles) };
}
