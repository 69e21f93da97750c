import type { DiffCause, RowChange } from "../../src/protocol/dataset-diff";

export const changes: readonly RowChange[] = ["added", "removed", "changed"];

/** Told by sign as well as by colour. */
export const signs: Record<RowChange, string> = { added: "+", removed: "−", changed: "~" };

/** A reason as it reads beside its change: of a row that came it is why the row was not there before. */
export function reasonText({ change, step, reason }: Pick<DiffCause, "change" | "step" | "reason">): string {
  return change === "added" && step !== "sources" ? `before: ${reason}` : reason;
}
