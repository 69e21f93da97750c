import type { RowChange } from "../../src/protocol/dataset-diff";

export const changes: readonly RowChange[] = ["added", "removed", "changed"];

/** Told by sign as well as by colour. */
export const signs: Record<RowChange, string> = { added: "+", removed: "−", changed: "~" };
