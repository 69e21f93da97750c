import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { VsCode } from "../harness/vscode";
import { loop, open, pictureOfFailure } from "./context";
import { acceptPlace } from "./pages/dialog";
import { notification } from "./pages/notifications";
import { until } from "./pages/poll";

const recipe = "corpus.recipe.yaml";

describe("a built dataset", () => {
  let code: VsCode;
  let newest = "";
  beforeAll(async () => {
    code = await open(loop());
    const folder = path.join(code.workspace, ".tillage/datasets");
    const before = readdirSync(folder);
    // Another threshold, less to redact, and other shares: rows go, come and change.
    code.write(recipe, code.read(recipe).replace("min_words: 30", "min_words: 60").replace("[email, phone]", "[email]").replace("notes: 50%, letters: 25%, web: 25%", "notes: 30%, letters: 20%, web: 50%"));
    await code.openFile(recipe);
    await code.runCommand("Tillage: Build dataset");
    const receipts = await code.webview("receipts", 120_000);
    await receipts.getByTestId("split").first().waitFor({ timeout: 120_000 });
    newest = readdirSync(folder).find((name) => !before.includes(name) && !name.startsWith(".")) ?? "";
    expect(newest).toMatch(/^corpus@/);
    await code.clearNotifications();
  });
  afterEach((context) => pictureOfFailure(code, context));
  afterAll(() => code.dispose());

  it("is compared with the build before it: rows, the steps responsible, shares, and words that changed", async () => {
    await code.runCommand("Tillage: Compare with previous build");
    await code.choose(newest);
    const diff = await code.webview("diff");
    await diff.getByTestId("diff-row").first().waitFor({ timeout: 60_000 });
    const count = async (id: string): Promise<number> => Number((await diff.getByTestId(id).innerText()).replaceAll(/[^\d]/g, ""));
    expect(await count("count-removed")).toBeGreaterThan(10);
    expect(await count("count-same")).toBeGreaterThan(10);
    expect(await diff.getByTestId("diff-share").count()).toBe(3);
    await code.screenshotThemes("diff");
    await diff.locator("[data-testid=diff-step][data-step='pii redact']").click();
    const rows = diff.getByTestId("diff-row");
    await until("the rows of one step", () => rows.evaluateAll((all) => all.map((row) => (row as HTMLElement).dataset["change"])), (changes) => changes.length > 0 && changes.every((change) => change === "changed"));
    await until("the words that changed", () => diff.locator("[data-testid=diff-before] mark").allInnerTexts(), (marks) => marks.some((mark) => mark.includes("<PHONE>")));
    await diff.getByTestId("diff-list").press("ArrowDown");
    await until("the next row", () => rows.nth(1).getAttribute("aria-selected"), (selected) => selected === "true");
    const id = (await diff.getByTestId("diff-row-id").innerText()).trim();
    await diff.getByTestId("diff-list").press("Enter");
    await code.page.locator(".tab.active", { hasText: id.slice(0, 8) }).waitFor({ timeout: 30_000 });
  });

  it("is traced from its files to the model that was trained on it", async () => {
    await code.runCommand("Tillage: Show lineage");
    const trained = readdirSync(path.join(code.workspace, ".tillage/datasets")).find((name) => name.startsWith("corpus@") && name !== newest) ?? "";
    await code.choose(trained);
    const lineage = await code.webview("lineage");
    const kinds = await until("the graph", () => lineage.getByTestId("node").evaluateAll((nodes) => nodes.map((node) => (node as HTMLElement).dataset["kind"])), (seen) => seen.length > 10);
    for (const kind of ["file", "source", "step", "eval", "mix", "split", "run", "model"]) expect(kinds).toContain(kind);
    expect(await lineage.locator(".edges path").count()).toBeGreaterThan(12);
    await code.screenshotThemes("lineage");
    await lineage.locator("[data-kind=source] .main").first().press("ArrowDown");
    await until("the focus on the step below", () => lineage.locator("[data-id='step:0'] .main").evaluate((node) => node.matches(":focus")), (focused) => focused);
    await lineage.locator("[data-id='step:1'] .main").click();
    await code.page.locator(".tab.active", { hasText: recipe }).waitFor({ timeout: 20_000 });
    await until("the step's line", () => code.page.locator("footer [id='status.editor.selection']").innerText(), (text) => text.startsWith("Ln 11,"));
    await lineage.locator("[data-id='step:5'] [data-testid=node-receipts]").click();
    const receipts = await code.webview("receipts");
    await until("the receipts of that step", () => receipts.locator("[data-testid=step][aria-selected=true]").innerText(), (text) => text.includes("dedup near"));
  });

  it("is written for other programs", async () => {
    await code.runCommand("Tillage: Export dataset…");
    await code.choose(newest);
    await code.choose("JSON lines");
    await code.choose("Without the columns");
    const dialog = code.page.locator(".quick-input-widget input.input:visible");
    await until("the dialog for the place", () => dialog.inputValue(), (value) => value.includes("corpus-jsonl"));
    await acceptPlace(code);
    await notification(code, /corpus was written to corpus-jsonl: \d+ rows in 2 files/).waitFor({ timeout: 60_000 });
    const row = JSON.parse(readFileSync(path.join(code.workspace, "corpus-jsonl/train.jsonl"), "utf8").split("\n")[0] ?? "") as Record<string, unknown>;
    expect(row["text"]).toEqual(expect.any(String));
    expect(Object.keys(row).filter((name) => name.startsWith("_"))).toEqual([]);
    expect(existsSync(path.join(code.workspace, "corpus-jsonl/valid.jsonl"))).toBe(true);
    await code.clearNotifications();
  });

  it("starts from columns that are mapped where their names do not say enough", async () => {
    code.write("data/sums.jsonl", Array.from({ length: 40 }, (_, i) => `${JSON.stringify({ prompt: `What is ${i} and ${i}?`, completion: i === 7 ? null : `It is ${2 * i}.`, answer: String(2 * i) })}\n`).join(""));
    code.write("sums.recipe.yaml", "tillage: 1\nsources:\n  sums: { files: data/sums.jsonl }\n");
    await code.openFile("sums.recipe.yaml");
    await code.page.locator(".squiggly-warning").first().waitFor({ timeout: 60_000 });
    await code.page.locator(".codelens-decoration a", { hasText: /prompt.completion\s·\smap\scolumns/u }).first().click();
    const mapping = await code.webview("mapping");
    await mapping.getByTestId("preview-row").first().waitFor({ timeout: 30_000 });
    expect(await mapping.getByTestId("detection").innerText()).toContain("not sure");
    expect(await mapping.getByTestId("sample").innerText()).toBe("of all 40 rows 1 is bad and would be kept out");
    await code.screenshotThemes("mapping");
    await mapping.getByTestId("shape").selectOption("chat");
    await until("what is to be chosen", () => mapping.getByTestId("to-choose").innerText(), (text) => text === "Choose a column for messages.");
    await mapping.getByTestId("shape").selectOption("verifiable");
    await until("the rows read so", () => mapping.getByTestId("sample").innerText(), (text) => text === "of all 40 rows none is bad");
    await mapping.getByTestId("role-answer").selectOption("completion");
    await until("the rows read by another column", () => mapping.getByTestId("sample").innerText(), (text) => text.includes("1 is bad"));
    await mapping.getByTestId("save").click();
    await until("the recipe's text", () => code.read("sums.recipe.yaml"), (text) => text.includes("sums: { files: data/sums.jsonl, as: verifiable, map: { prompt: prompt, answer: completion } }"));
    await until("the status", () => mapping.getByTestId("status").innerText(), (text) => text === "As the recipe says.");
  });
});
