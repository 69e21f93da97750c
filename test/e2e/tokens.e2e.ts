import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { VsCode } from "../harness/vscode";
import { loop, openInPlace, pictureOfFailure } from "./context";

describe("the tokens of a row", () => {
  let code: VsCode;
  beforeAll(async () => {
    code = await openInPlace(loop());
  });
  afterEach((context) => pictureOfFailure(code, context));
  afterAll(() => code.dispose());

  it("are shown as the model will see them, with what is learned and what is masked", async () => {
    await code.openFile("data/pairs.jsonl");
    await code.runCommand("Tillage: Show tokens");
    const tokens = await code.webview("tokens");
    await tokens.getByTestId("token").first().waitFor({ timeout: 60_000 });
    const shown = await tokens.getByTestId("token").count();
    expect(shown).toBeGreaterThan(10);
    expect(await tokens.getByTestId("tokens-counts").innerText()).toMatch(/\d/);
    await code.screenshotThemes("tokens");
  });
});
