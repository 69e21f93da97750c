/** What a panel may send: the parameters of every call, checked before a handler sees them. A webview is outside, whatever runs in it. */
import { z } from "zod";
import { querySchema } from "../data/rpc";
import type { CompareApi } from "../protocol/compare-panel";
import type { CorpusPanelApi } from "../protocol/corpus-panel";
import { TillageError } from "../protocol/errors";
import type { MixerApi } from "../protocol/mixer-panel";
import type { ReceiptsApi } from "../protocol/receipts-panel";
import { rowSchema } from "../protocol/row-schema";
import type { TokensApi } from "../protocol/tokens-panel";
import type { TrainingApi } from "../protocol/training-panel";

type Params<A> = { [M in keyof A]: z.ZodType<A[M] extends (params: infer P, ...rest: never[]) => unknown ? P : never> };

const nothing = z.null();
const count = z.int().min(0);
/** A quantity that a person moves or types: whether it makes sense is for the recipe to say, in words. */
const amount = z.number().min(0);
const rowId = z.string().min(1);

const corpus = {
  page: z.object({ query: querySchema, offset: count, limit: count }),
  facets: z.object({ query: querySchema, pause: z.boolean().optional() }),
  detail: z.object({ row: count }),
  summary: nothing,
  keepAsFilter: z.object({ query: querySchema }),
  openText: z.object({ line: z.int().min(1).optional() }),
  copy: z.object({ text: z.string() }),
  tokens: z.object({ row: count }),
  reload: nothing,
  cancelOpen: nothing,
} satisfies Params<CorpusPanelApi>;

const mixer = {
  setShares: z.object({ shares: z.record(z.string(), z.number()), last: z.boolean() }),
  setBudget: z.object({ tokens: amount }),
  setMaxEpochs: z.object({ epochs: amount }),
  setBy: z.object({ by: z.string().min(1) }),
  setParameters: z.object({ parameters: amount.nullable() }),
  undo: nothing,
  showText: nothing,
  retry: nothing,
} satisfies Params<MixerApi>;

const receipts = {
  select: z.object({ step: count.nullable() }),
  open: z.object({ index: count }),
  texts: z.object({ index: count }),
  why: z.object({ rowId }),
  loadMore: nothing,
  retry: nothing,
} satisfies Params<ReceiptsApi>;

const training = {
  start: nothing,
  cancel: nothing,
  again: nothing,
  stop: nothing,
  resume: nothing,
  // It becomes a key of the run file.
  openRunFile: z.object({ guard: z.string().regex(/^\w+$/).optional() }),
  openProblem: nothing,
  openLog: nothing,
  openRowLosses: nothing,
  rows: z.object({ step: count }),
  why: z.object({ rowId }),
  chooseOverlays: nothing,
  setOverlays: z.object({ dirs: z.array(z.string()) }),
  smoothing: z.object({ weight: z.number().min(0).max(1) }),
  compare: nothing,
  exportModel: nothing,
} satisfies Params<TrainingApi>;

const compare = {
  choose: z.object({ before: z.string().optional(), after: z.string().optional() }),
  swap: nothing,
  again: nothing,
  cancel: nothing,
  openDiff: z.object({ id: z.string() }),
  openChanges: nothing,
  openPrompt: z.object({ id: z.string().optional() }),
  addModel: z.object({ side: z.enum(["before", "after"]) }),
} satisfies Params<CompareApi>;

const template = z.union([z.object({ kind: z.literal("plain") }), z.object({ kind: z.literal("chat") }), z.object({ kind: z.literal("format"), prompt: z.string() })]);

const tokens = {
  pickModel: z.object({ path: z.string().min(1) }),
  browseModel: nothing,
  setSettings: z.object({ template, lossOn: z.enum(["all", "completion", "assistant"]), context: z.int().positive() }),
  setRow: z.object({ row: rowSchema }),
  goTo: z.object({ row: count }),
  openSource: nothing,
  retry: nothing,
} satisfies Params<TokensApi>;

const schemas: Record<string, Record<string, z.ZodType>> = { corpus, mixer, receipts, training, compare, tokens };

/**
 * The parameters of a panel's call.
 * @param panel folder of `webview/`
 * @throws `bad_request` (internal) when there is no such call, or when they are not what it takes
 */
export function checkedParams(panel: string, method: string, params: unknown): unknown {
  const calls = Object.hasOwn(schemas, panel) ? schemas[panel] : undefined;
  const schema = calls && Object.hasOwn(calls, method) ? calls[method] : undefined;
  if (!schema) throw TillageError.internal("bad_request", `The panel '${panel}' has no call '${method}'.`);
  const checked = schema.safeParse(params);
  if (checked.success) return checked.data;
  const issue = checked.error.issues[0];
  throw TillageError.internal("bad_request", `The panel '${panel}' called '${method}' with '${issue?.path.join(".") ?? ""}' wrong: ${issue?.message ?? ""}`);
}
