import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { VsCode } from "../harness/vscode";
import { open, pictureOfFailure } from "./context";
import { CorpusPage } from "./pages/corpus";
import { until } from "./pages/poll";

const words = ["harbour", "committee", "copper", "river", "engine", "letter"];
/** More rows than a sample has, and enough that their columns take some seconds. */
const rows = 60_000;
const text = (i: number) => `The ${words[i % words.length]} stands in document ${i}, ${"and there is more of it to read here than anybody would. ".repeat(1 + (i % 9))}`;

describe("a folder of many rows as one corpus", () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "tillage-large-"));
  let code: VsCode;
  let corpus: CorpusPage;
  beforeAll(async () => {
    mkdirSync(path.join(folder, "shards"));
    for (let shard = 0; shard < 3; shard++) {
      const lines = Array.from({ length: rows / 3 }, (_, i) => JSON.stringify({ text: text(shard * (rows / 3) + i), topic: `topic ${i % 7}`, score: i % 100 }));
      writeFileSync(path.join(folder, "shards", `${shard}.jsonl`), `${lines.join("\n")}\n`);
    }
    code = await open(folder);
    const entry = code.page.getByRole("treeitem", { name: "shards" });
    await entry.click({ button: "right" });
    await code.page.getByRole("menuitem", { name: "Open folder as corpus" }).click();
    corpus = await CorpusPage.shown(code);
  });
  afterEach((context) => pictureOfFailure(code, context));
  afterAll(async () => {
    await code.dispose();
    rmSync(folder, { recursive: true, force: true });
  });

  it("shows rows and estimates at once, how far the exact counts are, and then those", async () => {
    const estimate = corpus.frame.getByTestId("facets-estimate");
    await estimate.waitFor();
    // Stopped, it stays as it is; it goes on when it is told to.
    const pause = corpus.frame.getByTestId("facets-pause");
    await pause.click();
    await until("the work to be stopped", () => estimate.innerText(), (seen) => seen.includes("Stopped"));
    expect(await estimate.innerText()).toMatch(/Estimates from 1,000 rows of 60,000/);
    expect(await corpus.facet("topic").getByTestId("facet-value").first().innerText()).toContain("≈");
    expect(await corpus.counts()).toEqual([rows, rows]);
    expect(await corpus.frame.getByTestId("corpus-files").innerText()).toBe("3 files");
    await code.screenshotThemes("corpus-estimate");
    await pause.click();
    await estimate.waitFor({ state: "detached", timeout: 60_000 });
    expect(await corpus.facet("topic").getByTestId("facet-value").first().innerText()).toMatch(/topic 0\s+8,57[0-9]/);
    expect(await corpus.facet("file").getByTestId("facet-value").first().innerText()).toMatch(/20,000/);
    await code.screenshotThemes("corpus-folder");
  });

  it("finds each row that a search is to find, and brushes over all of them", async () => {
    await corpus.search("committee");
    expect(await corpus.untilFiltered(true)).toEqual([rows / 6, rows]);
    await corpus.brush("score", 0.5, 0.98);
    const brushed = await until("the brush", () => corpus.counts(), ([shown]) => shown < rows / 6);
    const topics = () => corpus.facet("topic").getByTestId("facet-value").evaluateAll((nodes) => nodes.map((node) => Number(/: ([\d,]+) of/.exec((node as HTMLElement).title)?.[1]?.replaceAll(",", "") ?? "NaN")));
    await until("the topics to add up to the rows", async () => (await topics()).reduce((sum, one) => sum + one, 0), (sum) => sum === brushed[0]);
  });

  it("is there again when the window is reloaded", async () => {
    await code.reload();
    corpus = await CorpusPage.shown(code);
    expect((await corpus.counts())[1]).toBe(rows);
  });
});
