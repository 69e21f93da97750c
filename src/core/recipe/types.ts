import type { BuildShape } from "../dataset/shape";
import type { TextRows } from "../dataset/formats";
import type { SyntheticRule } from "../mix/synthetic";
import type { CurriculumSpec } from "../../protocol/corpus";
import type { StepConfig } from "../steps";

/** One entry of `sources`. */
export interface SourceSpec {
  name: string;
  /** Paths or globs, relative to the recipe's folder. */
  files: string[];
  /** Detected when absent. */
  as?: BuildShape;
  /** The shape's column to the file's column, such as `prompt: question`. */
  map: Record<string, string>;
  /** What plain text is cut into; a row a file when absent. */
  rows?: TextRows;
  /** Of a dataset's folder: its split (`train` when absent) and configuration. */
  split?: string;
  config?: string;
  /** Where it stands in the recipe's text: 0-based offsets and the 1-based line. */
  start: number;
  end: number;
  line: number;
}

/** One entry of `steps`, in order. */
export type RecipeStep = StepConfig & {
  /** Position in `steps`, from 0. */
  index: number;
  /** Such as `dedup near`. */
  title: string;
  /** Sources that the step applies to; all of them when absent. */
  only?: string[];
  /** 0-based offsets of the step in the recipe's text. */
  start: number;
  end: number;
  /** 1-based. */
  line: number;
};

export interface MixSpec {
  /** Tokens of the training rows, repeats included. */
  budget?: number;
  /** A tokenizer.json or a folder that holds one, relative to the recipe's folder. */
  tokenizer?: string;
  /** Fraction of the training tokens by group. */
  shares: Record<string, number>;
  /** The column whose values are the groups; `source` is the source's name. */
  by: string;
  /** How often a row may be seen at most. */
  maxEpochs: number;
  /** What counts as synthetic, and the fraction of the training tokens that it may have. */
  synthetic?: SyntheticRule & { maxShare: number };
}

export interface SplitSpec {
  train: number;
  valid: number;
  /** The column by whose values the split is stratified. */
  by: string;
}

/** A recipe, checked. */
export interface Recipe {
  sources: SourceSpec[];
  steps: RecipeStep[];
  mix: MixSpec;
  curriculum: CurriculumSpec;
  split: SplitSpec;
  seed: number;
}
