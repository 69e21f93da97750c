import { rmSync } from "node:fs";
import path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { VsCode } from "../harness/vscode";
import { loop, openInPlace, pictureOfFailure } from "./context";
import { until } from "./pages/poll";
import { tokensOfRow } from "./pages/tokens";

describe("the tokens of a row", () => {
  let code: VsCode;
  beforeAll(async () => {
    code = await openInPlace(loop());
    const pair = { prompt: "How hot is the kiln?", chosen: "It is fired at 1,060 degrees.", rejected: "It is fired at 900 degrees." };
    code.write("pair.jsonl", `${JSON.stringify({ ...pair, prompt: "What is it?" })}\n${JSON.stringify(pair)}\n`);
    const heat = { type: "function", function: { name: "heat", arguments: { kiln: "big" } } };
    code.write("calls.jsonl", `${JSON.stringify({ tools: [{ type: "function", function: { name: "heat" } }], messages: [{ role: "user", content: "How hot?" }, { role: "assistant", content: null, tool_calls: [heat] }] })}\n`);
  });
  afterEach((context) => pictureOfFailure(code, context));
  afterAll(async () => {
    // The workspace is the one that other tests use.
    for (const file of ["pair.jsonl", "calls.jsonl"]) rmSync(path.join(code.workspace, file), { force: true });
    await code.dispose();
  });

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

  it("of a pair are both answers, with the place where they part", async () => {
    const tokens = await tokensOfRow(code, "pair.jsonl", 1);
    await tokens.getByTestId("tokens-rejected").waitFor({ timeout: 60_000 });
    expect(await tokens.getByTestId("tokens-origin").innerText()).toContain("row 2 of 2");
    const texts = (list: string): Promise<{ text: string; kind: string }[]> => tokens.getByTestId(list).locator(".token").evaluateAll((chips) => chips.map((chip) => ({ text: chip.textContent, kind: (chip as HTMLElement).dataset["kind"] ?? "" })));
    const [chosen, rejected] = [await texts("tokens-list"), await texts("tokens-rejected")];
    const learned = (chips: { text: string; kind: string }[]): string => chips.filter((chip) => chip.kind === "trained").map((chip) => chip.text.trim()).join("").replaceAll("·", " ");
    expect(learned(chosen)).toContain("It is fired at 1,060 degrees.");
    expect(learned(rejected)).toContain("It is fired at 900 degrees.");
    // Up to the place where they part the two are the same, and not behind it.
    const at = Number(await tokens.getByTestId("tokens-parts-at").getAttribute("data-at"));
    expect(rejected.slice(0, at)).toEqual(chosen.slice(0, at));
    expect(rejected[at]).not.toEqual(chosen[at]);
    // Nothing stands between the chips that the model would not see.
    expect(await tokens.getByTestId("tokens-rejected").evaluate((list) => list.textContent)).toContain(rejected.slice(0, at).map((chip) => chip.text).join(""));
    await code.screenshotThemes("tokens-pair");
  });

  it("come back when the window is loaded again", async () => {
    await code.reload();
    const tokens = await code.webview("tokens", 120_000);
    await tokens.getByTestId("tokens-rejected").waitFor({ timeout: 120_000 });
    expect(await tokens.getByTestId("tokens-origin").innerText()).toContain("row 2 of 2");
  });

  it("say which tools a conversation offers and calls", async () => {
    const tokens = await tokensOfRow(code, "calls.jsonl", 0);
    await until("the calls", () => tokens.getByTestId("tokens-calls").allInnerTexts(), (calls) => calls.some((call) => call.includes('heat({"kiln":"big"})')));
    expect(await tokens.getByTestId("tokens-tools").innerText()).toContain("heat");
  });
});
