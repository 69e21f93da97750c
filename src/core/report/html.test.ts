import { expect, it } from "vitest";
import type { EvalCase, EvalResult } from "../eval/result";
import type { ReportData } from "./data";
import { renderReport } from "./html";

const asked = (output: string, pass: boolean): EvalCase => ({ id: "q", prompt: "What <b>?", answer: "A & B", output, verdict: { pass, checks: [{ check: 'contains "x"', pass }] }, tokens: 1, ended: true, seconds: 0, logprobs: [] });
const stage = (label: string, output: string, pass: boolean): EvalResult => ({
  tillage: 1, id: label, file: "q.eval.yaml", fileHash: "", model: { ref: label, label, base: "", modelHash: "" }, template: {}, maxNewTokens: 8, temperature: 0, seed: 1, time: "", cases: [asked(output, pass)], correct: pass ? 1 : 0, of: 1,
});
const data: ReportData = {
  title: "T </title><script>alert(1)</script>", time: "2026-01-01T00:00:00Z", raw: false, 
  builds: [{
    name: "corpus", skipped: [],
    receipts: [[{ rowId: "1", source: "web", file: "w.jsonl", fileRow: 4, step: "dedup near", reason: "near duplicate", value: "0.9", matchedRowId: "2", text: "a new pot", matchedText: "an old pot" }]],
    build: {
      recipe: "corpus.recipe.yaml", dataset: "", hash: "", built: true, sources: [{ name: "web", rows: 10, badRows: 1, bad: [{ file: "w.jsonl", line: 7, reason: "cut" }], tokens: 100 }],
      steps: [{ index: 0, step: "dedup near", in: 10, out: 9, changed: 0, reasons: [{ reason: "near duplicate", rows: 1 }] }],
      mix: { by: "source", rows: [], budgetTokens: 0, exact: true, maxEpochs: 1 }, split: [{ name: "train", rows: 9, tokens: 90, files: [] }], guards: [], seconds: 1,
    },
  }],
  curves: [{ name: "pretrain", objective: "pretrain", adapter: false, parameters: 10, trainable: 10, steps: 2, seconds: 1, trainRows: 9, trainTokens: 90, step: [1, 2], loss: [3, 2], smoothed: [3, 2.5], validation: [], first: 3, last: 2 }],
  evals: [{ title: "Questions", leaked: ["q"], stages: [stage("before", "no </script> pot", false), stage("after", "yes x pot", true)] }],
};
const html = renderReport(data, { script: "console.log('</script>')", style: "body{}" });

it("holds everything inside and lets no text become markup", () => {
  expect(html).not.toMatch(/<(?:script|link|img)[^>]*(?:src|href)=/u);
  expect(html).not.toContain("<script>alert(1)");
  expect(html).not.toContain("What <b>?");
  expect(html.match(/<\/script>/gu)).toHaveLength(2);
});

it("shows each step with its rows, the words that changed, and a leaked question", () => {
  expect(html).toContain("near duplicate 1");
  expect(html).toContain("line 7");
  expect(html).toMatch(/<del>[^<]*old[^<]*<\/del>/u);
  expect(html).toMatch(/<ins>yes x<\/ins>/u);
  expect(html).toContain("its answer proves nothing");
});

it("escapes every text of the workspace, also where a quote would end an attribute", () => {
  const names: string[] = [];
  const odd = (name: string): string => {
    names.push(name);
    return `${name}"<x>&`;
  };
  const build = data.builds[0];
  const curve = data.curves[0];
  if (!build || !curve) throw new Error("no data");
  const row = (group: string) => ({ group, rows: 1, tokens: 1, shareNow: 0.5, shareWanted: 0.5, epochs: 1 });
  const receipt = { rowId: "1", source: odd("source of a row"), file: "", fileRow: 0, step: "where", reason: odd("reason of a row"), value: null, matchedRowId: null, text: odd("text of a row"), matchedText: null };
  const asks = (label: string, output: string): EvalResult => {
    const made = stage(odd(label), output, true);
    return { ...made, cases: made.cases.map((item) => ({ ...item, prompt: odd("question"), answer: odd("expected"), verdict: { pass: true, checks: [{ check: odd("check"), pass: true }] } })) };
  };
  const page = renderReport({
    ...data, raw: true, title: odd("title"),
    builds: [{
      ...build, name: odd("recipe"),
      receipts: [[receipt, { ...receipt, text: "all new<x>", matchedText: "old" }, { ...receipt, text: "new", matchedText: "all old<x>" }]],
      skipped: [{ index: 0, step: odd("skipped step"), in: 2, out: 1, changed: 0, reasons: [{ reason: odd("skipped reason"), rows: 1 }] }],
      build: {
        ...build.build,
        sources: [{ name: odd("source"), rows: 1, badRows: 0, bad: [], tokens: 1 }],
        steps: [{ index: 0, step: odd("step"), in: 2, out: 1, changed: 0, reasons: [{ reason: odd("reason"), rows: 1 }] }],
        mix: { ...build.build.mix, by: odd("column"), rows: [row(odd("group")), row("other")] },
        split: [{ name: odd("side"), rows: 1, tokens: 1, files: [] }],
        guards: [{ guard: odd("guard"), ok: false, message: odd("message"), rows: [] }],
      },
    }],
    curves: [{ ...curve, name: odd("curve") }],
    evals: [{ title: odd("evaluation"), leaked: [], stages: [asks("first", odd("first answer")), asks("second", "plain"), asks("third", odd("last words"))] }],
  }, { script: "", style: "" });
  for (const name of names) expect(page).toContain(`${name}&quot;&lt;x&gt;&amp;`);
  expect(page).not.toMatch(/<x/u);
});

it("asks nothing of a network, whatever its texts hold", () => {
  expect(html).toContain("default-src 'none'");
  const named = renderReport({ ...data, curves: data.curves.map((curve) => ({ ...curve, name: "</script>" })) }, { script: "", style: "" });
  expect(named.match(/<\/script>/gu)).toHaveLength(2);
});
