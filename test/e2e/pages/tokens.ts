import type { Frame } from "playwright-core";
import type { VsCode } from "../../harness/vscode";
import { CorpusPage } from "./corpus";

/** Opens the tokens of a file's row (0-based) from the corpus editor, as a person does. */
export async function tokensOfRow(code: VsCode, file: string, row: number): Promise<Frame> {
  // One corpus at a time, so that it is clear whose row is clicked.
  await code.runCommand("View: Close All Editors");
  const corpus = await CorpusPage.open(code, file);
  await corpus.rows.nth(row).click();
  await corpus.frame.getByTestId("detail-tokens").click();
  const tokens = await code.webview("tokens");
  await tokens.getByTestId("tokens-origin").waitFor({ timeout: 60_000 });
  return tokens;
}
