import { ParameterStructures, ProgressType, RequestType } from "vscode-jsonrpc";
import { z } from "zod";
import { datasetFormats, type BuildProgress, type CorpusApi } from "../protocol/corpus";

/** Progress of a build; the request carries the token. */
export const buildProgress = new ProgressType<BuildProgress>();

/** JSON-RPC's code of a cancelled request (Language Server Protocol, RequestCancelled). */
export const cancelledCode = -32800;
/** The code of every other failure; its `data` is the Problem. */
export const problemCode = -32000;

export interface Envelope {
  params: unknown;
  /** Where progress is wanted. */
  progress?: string;
}

export const requestOf = (method: string) => new RequestType<Envelope, unknown, unknown>(method, ParameterStructures.byPosition);

const clause = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("range"), column: z.string(), min: z.number().nullable(), max: z.number().nullable() }),
  z.object({ kind: z.literal("in"), column: z.string(), values: z.array(z.string().nullable()) }),
  z.object({ kind: z.literal("search"), text: z.string(), mode: z.enum(["literal", "regex"]), caseSensitive: z.boolean() }),
  z.object({ kind: z.literal("sql"), predicate: z.string() }),
]);
/** A view of an open file. */
export const querySchema = z.object({ clauses: z.array(clause), sort: z.object({ column: z.string(), descending: z.boolean() }).optional() });
const count = z.int().min(0);
const file = z.string().min(1);
const recipe = z.object({ path: file, text: z.string() });

/** The parameters of every method as they must come over the wire. */
export const paramSchemas = {
  open: z.object({ path: file }),
  close: z.object({ handle: z.string() }),
  page: z.object({ handle: z.string(), query: querySchema, offset: count, limit: count, partial: z.boolean().optional() }),
  facets: z.object({ handle: z.string(), query: querySchema, partial: z.boolean().optional(), pause: z.boolean().optional() }),
  detail: z.object({ handle: z.string(), row: count }),
  predicate: z.object({ handle: z.string(), query: querySchema }),
  stats: z.object({ path: file }),
  counts: recipe,
  mix: recipe,
  dropped: recipe.extend({ step: count, limit: count }),
  build: z.object({ path: file, text: z.string().optional(), skipSteps: z.boolean().optional(), evals: z.array(z.string()).optional(), root: z.string().optional() }),
  receipts: z.object({ dataset: file, rowId: z.string().optional(), step: z.string().optional(), limit: count }),
  rows: z.object({ dataset: file, rowIds: z.array(z.string()) }),
  diff: z.object({ before: file, after: file, limit: count }),
  exportDataset: z.object({ dataset: file, to: z.enum(datasetFormats), out: file, plain: z.boolean().optional() }),
  guards: z.object({ dataset: file, evals: z.array(z.string()).optional(), context: z.int().positive().optional(), tokenizer: z.string().optional() }),
} satisfies { [M in keyof CorpusApi]: z.ZodType<Parameters<CorpusApi[M]>[0]> };
