import { z } from "zod";
import { curriculumOrders } from "../../protocol/corpus";
import { formatsSentence, textRows } from "../dataset/formats";
import { oneOrMore, shareSchema, tokensSchema, type FieldDoc } from "./field";
import { syntheticWords } from "../mix/synthetic";
import { stepDefinitions } from "../steps";

/** Shapes that a source may be declared as. */
export const sourceShapes = ["text", "prompt/completion", "chat", "preference", "verifiable"] as const;

/** How often a row is seen at most unless the recipe says otherwise: Muennighoff et al. 2023 found repeats to be worth nearly as much as new text up to 4 epochs. */
export const defaultMaxEpochs = 4;

export const sourceSchema = z.strictObject({
  files: oneOrMore(z.string().min(1)),
  as: z.enum(sourceShapes).optional(),
  map: z.record(z.string(), z.string()).default({}),
  rows: z.enum(textRows).optional(),
  split: z.string().min(1).optional(),
  config: z.string().min(1).optional(),
});

export const mixSchema = z.strictObject({
  budget: tokensSchema.optional(),
  tokenizer: z.string().min(1).optional(),
  shares: z.record(z.string(), shareSchema).default({}),
  by: z.string().min(1).default("source"),
  max_epochs: z.number().positive().default(defaultMaxEpochs),
  synthetic: z
    .strictObject({ column: z.string().min(1), max_share: shareSchema, values: oneOrMore(z.union([z.string(), z.number(), z.boolean()]).transform(String)).optional() })
    .optional(),
});

export const curriculumSchema = z
  .strictObject({ order: z.enum(curriculumOrders), by: z.string().min(1).optional(), descending: z.boolean().optional() })
  .superRefine(({ order, by, descending }, context) => {
    const issue = (key: string, message: string) => context.addIssue({ code: "custom", path: [key], message });
    if (order === "column" && by === undefined) context.addIssue({ code: "custom", message: "should have by: the column that the rows are in the order of" });
    if (by !== undefined && order !== "column" && order !== "perplexity") issue("by", `is for order: column and order: perplexity, not for ${order}`);
    if (descending === true && order === "shuffle") issue("descending", "is for rows in an order, not for shuffled ones");
  });

export const splitSchema = z
  .strictObject({ train: shareSchema.optional(), valid: shareSchema.optional(), by: z.string().min(1).default("source") })
  .transform((value, context) => {
    const valid = value.valid ?? (value.train === undefined ? 0 : 1 - value.train);
    const train = value.train ?? 1 - valid;
    if (Math.abs(train + valid - 1) < 1e-6) return { train, valid, by: value.by };
    context.addIssue({ code: "custom", message: `should add up to 100%: train and valid are ${Math.round((train + valid) * 1000) / 10}% together` });
    return z.NEVER;
  });

/** The top level without the steps' own values, which their definitions check. */
export const recipeSchema = z.strictObject({
  tillage: z.literal(1, { error: "should be 1, the version of the recipe format" }),
  sources: z.record(z.string().regex(/^[A-Za-z_][\w-]*$/, "should be a name of letters, digits, - and _"), sourceSchema).refine((sources) => Object.keys(sources).length > 0, "should name at least one source"),
  steps: z.array(z.unknown()).nullish(),
  mix: mixSchema.nullish(),
  curriculum: curriculumSchema.nullish(),
  split: splitSchema.nullish(),
  seed: z.int().min(0).default(0),
});

const shapeDoc =
  "The rows' shape; detected when it is absent. `text`: column `text`. `prompt/completion`: columns `prompt` and `completion` (or Alpaca's `instruction`, `input`, `output`; `question` and `answer`). " +
  "`chat`: column `messages`, beside it `tools` (or ShareGPT's `conversations`). `preference`: columns `prompt`, `chosen` and `rejected`, texts or lists of turns; dialogues as in hh-rlhf without a `prompt`; or `prompt`, `completion` and a `label` that is true or false. " +
  "`verifiable`: `prompt` and `answer` or `tests`; built with what answers are judged by as `completion`.";

const sourceField: FieldDoc = {
  doc: "A source: files of one kind that the recipe reads. They are never modified.",
  snippet: "{ files: ${1:data/file.jsonl} }",
  fields: {
    files: { doc: `A path, a glob, or a list of them, relative to the recipe: ${formatsSentence}. A folder too: a Hugging Face dataset's (see \`split\` and \`config\`), or any with files of one format.`, snippet: "${1:data/*.jsonl}" },
    as: { doc: shapeDoc, values: sourceShapes },
    map: { doc: "The shape's columns to the file's, when they are called otherwise: `map: { prompt: question, completion: answer }`.", snippet: "{ ${1:prompt}: ${2:question}, ${3:completion}: ${4:answer} }", each: { doc: "The file's column." } },
    rows: { doc: "What plain text (`.txt`, `.md`) is cut into: a row a `file` (default: a document stays whole), a `line`, or a `paragraph` (what stands between blank lines).", values: textRows },
    split: { doc: "The split of a Hugging Face dataset folder; default `train`.", snippet: "${1:train}" },
    config: { doc: "The configuration of a Hugging Face dataset folder; by default the one that its README names so, or the only one.", snippet: "${1:default}" },
  },
};

/** What the editor knows of each key. A test holds it against the schemas above. */
export const recipeField: FieldDoc = {
  doc: "A recipe: how a dataset is made from sources.",
  fields: {
    tillage: { doc: "Version of the recipe format.", values: ["1"] },
    sources: { doc: "Where the rows come from, by name.", snippet: "\n  ${1:docs}: { files: ${2:data/*.jsonl} }", each: sourceField },
    steps: {
      doc: "What happens to the rows, in order. Every row that leaves a step, or is changed by it, gets a receipt.",
      items: {
        doc: "One step. `only: [source]` beside it applies it to these sources and leaves the others alone.",
        fields: {
          ...Object.fromEntries(Object.values(stepDefinitions).map((step) => [step.key, step.field])),
          only: { doc: "Sources that this step applies to; rows of the others pass untouched.", snippet: "[${1:source}]" },
        },
      },
    },
    mix: {
      doc: "How much of each group the training rows have, counted in tokens.",
      fields: {
        budget: { doc: "Tokens of the training rows with repeats, such as `20M tokens`. Without it the dataset keeps its size; where rows have weights, a row of weight 1 is then seen once. It shrinks where a share cannot be met within `max_epochs`.", snippet: "${1:20M} tokens" },
        tokenizer: { doc: "A tokenizer.json, or a folder with one, relative to the recipe. Without it tokens are estimated at 1.3 a word.", snippet: "${1:models/base}" },
        shares: { doc: "Share of the training tokens by group, such as `{ gsm8k: 60%, wiki: 40% }`. Groups that are not named share the rest in proportion to their tokens, each times its row's weight.", snippet: "{ ${1:source}: ${2:50}% }", each: { doc: "Share of the training tokens.", snippet: "${1:50}%" } },
        by: { doc: "The column whose values are the groups: `source` (default), or any column of the rows.", snippet: "${1:source}" },
        max_epochs: { doc: `How often a row is seen at most in the mixed dataset; default ${defaultMaxEpochs} (Muennighoff et al. 2023). Where rows have weights, it bounds the row that is seen most.`, snippet: "${1:4}" },
        synthetic: {
          doc: "A limit on the synthetic rows' share of the training tokens. Synthetic rows are seen less often until it holds; the guard `synthetic_share` says what a built dataset has.",
          snippet: "{ column: ${1:origin}, max_share: ${2:30}% }",
          fields: {
            column: { doc: `The column that says whether a row is synthetic: \`source\`, or any column of the rows. Without \`values\` a row is where it says ${syntheticWords.slice(0, 4).map((word) => `\`${word}\``).join(", ")}, in any case; NULL is not.`, snippet: "${1:origin}" },
            max_share: { doc: "The largest share of the training tokens that synthetic rows may have.", snippet: "${1:30}%" },
            values: { doc: "The column's values that are synthetic, letter by letter, such as `[llama-3, distilled]`.", snippet: "[${1:generated}]" },
          },
        },
      },
    },
    curriculum: {
      doc: "The order in which the training rows stand in the dataset. In any other than `shuffle` a run sees them in it, in every epoch, instead of shuffling them (Bengio et al. 2009).",
      snippet: "{ order: ${1|length,perplexity,column,shuffle|} }",
      fields: {
        order: { doc: "`shuffle` (default): by lots of the rows' ids and the seed. `length`: the shortest first, in tokens. `perplexity`: the lowest first, by a column of numbers that the rows have (`perplexity`, or what `by` names): a build asks no model. `column`: by the column that `by` names. Rows without a value come last, and rows with the same are in the order of lots.", values: curriculumOrders },
        by: { doc: "The column of `order: column`, or of `order: perplexity` where it has another name.", snippet: "${1:difficulty}" },
        descending: { doc: "From the largest to the smallest; default false.", values: ["true", "false"] },
      },
    },
    split: {
      doc: "Training and validation rows. Equal and near-duplicate texts are never on both sides.",
      snippet: "{ train: ${1:95}%, valid: ${2:5}% }",
      fields: {
        train: { doc: "Share of the rows for training.", snippet: "${1:95}%" },
        valid: { doc: "Share of the rows for validation.", snippet: "${1:5}%" },
        by: { doc: "The column whose values are each split in this proportion; default `source`.", snippet: "${1:source}" },
      },
    },
    seed: { doc: "Decides which rows are sampled and which go to validation; default 0. The same seed gives the same dataset.", snippet: "${1:17}" },
  },
};
