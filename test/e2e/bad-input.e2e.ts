import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { VsCode } from "../harness/vscode";
import { loop, open, pictureOfFailure } from "./context";
import { datasetFile } from "./pages/datasets";
import { CorpusPage } from "./pages/corpus";

describe("bad input", () => {
  let code: VsCode;
  beforeAll(async () => {
    code = await open(loop());
  });
  afterEach((context) => pictureOfFailure(code, context));
  afterAll(() => code.dispose());

  it("shows the good lines of a file with broken ones, and names the lines that are broken", async () => {
    const lines = code.read("data/web.jsonl").split("\n");
    const broken = lines.flatMap((line, index) => (line.trim() === "" || isJson(line) ? [] : [index + 1]));
    expect(broken.length).toBeGreaterThan(0);
    const corpus = await CorpusPage.open(code, "data/web.jsonl");
    await corpus.frame.getByTestId("corpus-bad-badge").click();
    const list = corpus.frame.getByTestId("corpus-bad-row");
    await list.first().waitFor();
    const texts = await list.allInnerTexts();
    for (const line of broken) expect(texts.some((text) => text.includes(String(line)))).toBe(true);
    await code.screenshotThemes("corpus-bad-rows");
  });

  it("says that a Parquet file is cut short, and what to do", async () => {
    const whole = readFileSync(datasetFile(code.workspace, "corpus@"));
    writeFileSync(path.join(code.workspace, "cut.parquet"), whole.subarray(0, Math.floor(whole.length * 0.7)));
    await code.openFile("cut.parquet");
    const corpus = await code.webview("corpus");
    await corpus.getByTestId("corpus-error").waitFor();
    expect(await corpus.getByTestId("corpus-error-message").innerText()).toContain("cut.parquet");
    expect((await corpus.getByTestId("corpus-error-remedy").innerText()).length).toBeGreaterThan(10);
    await code.screenshotThemes("corpus-cut");
  });

  it("says that a file is empty", async () => {
    code.write("empty.jsonl", "");
    await code.openWith("empty.jsonl", "Tillage Corpus");
    const corpus = await code.webview("corpus");
    await corpus.locator("[data-testid=corpus-empty], [data-testid=corpus-error]").first().waitFor();
    await code.screenshotThemes("corpus-empty");
  });
});

function isJson(line: string): boolean {
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}
