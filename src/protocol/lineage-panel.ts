/** What the panel that shows where a dataset comes from, and its host, say to each other. */
import type { Problem } from "./errors";

export type LineageKind = "file" | "source" | "eval" | "step" | "mix" | "split" | "run" | "model";

/** A thing that the dataset was made from, was made by, or went into. */
export interface LineageNode {
  id: string;
  kind: LineageKind;
  label: string;
  /** Short facts, one a line. */
  facts: string[];
  /** What a person should know before they trust it, such as that the file is newer than the dataset. */
  warning?: string;
  /** Rows behind it, for the bar: of a step those that stay; absent where it has none. */
  rows?: number;
  rowsIn?: number;
  /** The step whose receipts show what was dropped or changed here. */
  receipts?: { step: string; label: string };
  /** Whether there is something to open. */
  opens: boolean;
}

/** Nodes by layers, from the files down to the models, and what leads to what. */
export interface LineageGraph {
  layers: { title: string; nodes: LineageNode[] }[];
  edges: { from: string; to: string }[];
  /** Rows read from all sources. */
  rowsIn: number;
}

export interface LineageState {
  dataset: string;
  title: string;
  /** Such as when it was built and of which recipe. */
  subtitle: string;
  graph: LineageGraph | null;
  problem: Problem | null;
}

export type LineageUpdate = Partial<LineageState>;

export type LineageApi = {
  /** Opens what a node stands for. */
  open: (params: { id: string }) => Promise<null>;
  receipts: (params: { step: string }) => Promise<null>;
  retry: (params: null) => Promise<null>;
};
