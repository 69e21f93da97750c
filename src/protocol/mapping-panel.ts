/** What the panel that maps a source's columns and its host say to each other. */
import type { Shape, SourceMapping } from "./corpus";
import type { Problem } from "./errors";

export interface MappingState {
  /** Absolute path of the recipe, and the source's name in it. */
  path: string;
  source: string;
  /** The recipe's file name. */
  recipe: string;
  /** The source's first file, as the workspace calls it. */
  file: string;
  /** What is asked for: null and none where the columns are to speak for themselves. */
  as: Exclude<Shape, "table"> | null;
  map: Record<string, string>;
  /** What the rows become with it; of an earlier wish while `updating`. */
  mapping: SourceMapping | null;
  updating: boolean;
  /** The recipe says something else than what is asked for. */
  unsaved: boolean;
  problem: Problem | null;
}

export type MappingUpdate = Partial<MappingState>;

export type MappingApi = {
  /** Tries a shape and a map; nothing is written. */
  set: (params: { as: Exclude<Shape, "table"> | null; map: Record<string, string> }) => Promise<null>;
  /** Writes `as` and `map` into the recipe's text. */
  save: (params: null) => Promise<null>;
  /** Goes back to what the recipe says. */
  reset: (params: null) => Promise<null>;
  cancel: (params: null) => Promise<null>;
  retry: (params: null) => Promise<null>;
  showText: (params: null) => Promise<null>;
  openFile: (params: null) => Promise<null>;
};
