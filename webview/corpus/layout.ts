import { z } from "zod";
import { viewState } from "../shared/rpc";
import { initialView } from "./view-state";
import type { ViewState } from "./view-state";

/** How a person arranged the panel; remembered with the view across reloads of the window. */
export interface Layout {
  rail: number;
  detail: number;
  railOpen: boolean;
  /** Column widths that were changed by hand, px. */
  widths: Record<string, number>;
  hidden: string[];
}

const layoutSchema = z.object({
  rail: z.number(),
  detail: z.number(),
  railOpen: z.boolean(),
  widths: z.record(z.string(), z.number()),
  hidden: z.array(z.string()),
});
const bound = z.number().nullable();
const viewSchema = z.object({
  ranges: z.record(z.string(), z.object({ min: bound, max: bound })),
  values: z.record(z.string(), z.array(z.string().nullable())),
  search: z.object({ text: z.string(), mode: z.enum(["literal", "regex", "sql"]), caseSensitive: z.boolean() }),
  sort: z.object({ column: z.string(), descending: z.boolean() }).optional(),
});
/** `folder` tells the host which folder a panel is of when the window comes back. */
const savedSchema = z.object({ layout: layoutSchema, view: viewSchema, folder: z.string().optional() });

/** A narrow panel starts without the facets: the rows come first. */
export const layout: Layout = { rail: 240, detail: 360, railOpen: window.innerWidth >= 720, widths: {}, hidden: [] };

export function restoreLayout(): { layout: Layout; view: ViewState } {
  const saved = savedSchema.safeParse(viewState.get());
  return saved.success ? saved.data : { layout, view: initialView };
}

export function saveLayout(saved: { layout: Layout; view: ViewState; folder?: string }): void {
  viewState.set(saved);
}
