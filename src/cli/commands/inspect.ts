import path from "node:path";
import pc from "picocolors";
import { besides } from "../../app/files";
import { readText } from "../../disk/read-text";
import { resolveModel } from "../../app/models";
import { formatScaled, plural } from "../../core/format";
import { TillageError } from "../../protocol/errors";
import type { LossOn, Row, TokenisedText, TokensResult } from "../../protocol/native.gen";
import { rowSchema } from "../../protocol/row-schema";
import type { ReceiptRow, Stats } from "../../protocol/corpus";
import type { Context } from "../context";
import { sayBadRows, table } from "../output";

/** `tillage stats FILE` */
export async function stats(context: Context, file: string): Promise<Stats> {
  const result = await context.corpus.stats({ path: path.resolve(file) }, context.signal);
  const { out } = context;
  out.title(`${path.basename(file)}: ${plural(result.rows, "row")}, ${result.shape}, ${formatScaled(result.words)} words`);
  sayBadRows(out, result);
  out.say(table(
    [{ head: "column" }, { head: "type" }, { head: "nulls", align: "right" }, { head: "distinct", align: "right" }, { head: "shortest", align: "right" }, { head: "mean", align: "right" }, { head: "longest", align: "right" }],
    result.columns.map((column) => [column.name, column.type, column.nulls, column.distinct, column.minLength ?? "", column.meanLength === null ? "" : Math.round(column.meanLength), column.maxLength ?? ""]),
  ));
  out.say();
  out.say(`  exact duplicates  ${result.exactDuplicates.toLocaleString("en-US")}`);
  out.say(`  languages         ${result.languages.slice(0, 6).map((item) => `${item.lang} ${item.rows}`).join(", ") || "none found"}`);
  out.say(`  personal data     ${result.pii.map((item) => `${item.kind} ${item.rows}`).join(", ") || "none found"}`);
  out.say(`  gopher rules      ${result.quality.slice(0, 6).map((item) => `${item.reason} ${item.rows}`).join(", ") || "every row passes"}`);
  return result;
}

/** `tillage why ROW_ID --dataset DIR`: the whole story of a row. */
export async function why(context: Context, rowId: string, dataset: string): Promise<ReceiptRow[]> {
  const receipts = await context.corpus.receipts({ dataset: path.resolve(dataset), rowId, limit: 100 }, context.signal);
  if (receipts.length === 0) context.out.say(`No step dropped, changed or weighted ${rowId} in ${dataset}.`);
  for (const receipt of receipts) {
    context.out.say(`${pc.bold(receipt.step)}: ${receipt.effect === "weighted" ? "weighted, " : ""}${receipt.reason}${receipt.value === null ? "" : ` (${receipt.value})`}`);
    context.out.say(`  ${receipt.source} ${receipt.file}:${receipt.fileRow}${receipt.matchedRowId ? `, matched ${receipt.matchedRowId}` : ""}`);
    context.out.say(`  ${receipt.text}`);
    if (receipt.matchedText) context.out.say(`  ${pc.dim(receipt.matchedText)}`);
  }
  return receipts;
}

export interface TokensOptions {
  model: string;
  text?: string;
  prompt?: string;
  completion?: string;
  row?: string;
  lossOn?: string;
  context?: string;
}

/** `tillage tokens --model REF --text … | --prompt … --completion … | --row FILE` */
export async function tokens(context: Context, options: TokensOptions): Promise<TokensResult> {
  const model = resolveModel(context.root, options.model, process.cwd());
  const row = rowOf(options);
  const result = await context.engine.tokens(
    { model: model.base, row, template: model.template, loss_on: lossOn(options.lossOn) ?? ("text" in row ? "all" : "completion"), context: contextOf(options.context) },
    context.signal,
  );
  const answer = result.rejected ? "chosen: " : result.label === true ? "good: " : result.label === false ? "bad: " : "";
  sayTokens(context, answer, result);
  if (result.rejected) {
    sayTokens(context, "rejected: ", result.rejected);
    context.out.say(pc.dim(`the first ${result.parts_at ?? 0} tokens of both are the same`));
  }
  context.out.say(pc.dim("[trained on] (only read)"));
  return result;
}

function sayTokens(context: Context, what: string, text: TokenisedText): void {
  const trained = text.tokens.filter((token) => token.trained).length;
  context.out.title(`${what}${text.tokens.length} tokens, ${trained} trained on${text.cut > 0 ? `, ${text.cut} cut` : ""}`);
  context.out.say(text.tokens.map((token) => (token.trained ? pc.green(`[${visible(token.text)}]`) : pc.dim(`(${visible(token.text)})`))).join(""));
}

function lossOn(given: string | undefined): LossOn | undefined {
  if (given === undefined || given === "all" || given === "completion" || given === "assistant") return given;
  throw TillageError.user("bad_arguments", `--loss-on cannot be '${given}'.`, "Give all, completion or assistant.");
}

function contextOf(given: string | undefined): number {
  const tokens = Number(given ?? 4096);
  if (Number.isInteger(tokens) && tokens > 0) return tokens;
  throw TillageError.user("bad_arguments", `--context cannot be '${given}'.`, "Give a whole number of tokens, such as 256.");
}

function rowOf(options: TokensOptions): Row {
  if (options.row) {
    const file = besides(path.join(process.cwd(), "."), options.row);
    const text = readText(file, "row file");
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      throw TillageError.user("invalid_json", `${file} is not one JSON row: ${error instanceof Error ? error.message : String(error)}`, "Put one JSON object into it.", { file });
    }
    const row = rowSchema.safeParse(value);
    if (row.success) return row.data;
    throw TillageError.user("invalid_row", `${file} is not a row that a model can read.`, "Give an object with text, with prompt and completion, with messages (each a role and a content), or with prompt, chosen and rejected.", { file });
  }
  if (options.prompt !== undefined) return { prompt: options.prompt, completion: options.completion ?? "" };
  if (options.text !== undefined) return { text: options.text };
  throw TillageError.user("no_row", "There is no row to show.", "Give --text, or --prompt with --completion, or --row FILE.");
}

function visible(text: string): string {
  return text.replaceAll("\n", "⏎");
}
