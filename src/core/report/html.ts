/** A report as one HTML file that needs nothing else: tables and texts as HTML, the curves drawn by the script inside. Pure. */
import { escapeHtml } from "../escape-html";
import { formatCount, formatDelta, formatDuration, formatPercent, formatScaled, plural } from "../format";
import { wordDiff } from "../eval/compare";
import type { EvalResult } from "../eval/result";
import type { ReceiptRow } from "../../protocol/corpus";
import type { ReportBuild, ReportCurve, ReportData, ReportEval } from "./data";

export interface ReportAssets {
  script: string;
  style: string;
}

/** JSON that cannot end the script element it stands in. */
function inlineJson(value: unknown): string {
  return JSON.stringify(value).replaceAll("<", "\\u003c");
}

/** Renders the whole file. */
export function renderReport(data: ReportData, assets: ReportAssets): string {
  const charts = data.curves.map(({ name, step, loss, smoothed, validation }) => ({ name, step, loss, smoothed, validation }));
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:">
<title>${escapeHtml(data.title)}</title>
<style>${assets.style.replaceAll("</style", "<\\/style")}</style>
</head>
<body>
<main>
<header>
<h1>${escapeHtml(data.title)}</h1>
<p class="muted">${escapeHtml(data.time.slice(0, 16).replace("T", " "))} UTC · ${data.builds.map((item) => `${escapeHtml(item.name)} ${plural(rowsOut(item), "row")}`).join(" · ")} · ${data.curves.map((curve) => `${escapeHtml(curve.name)} ${formatDuration(curve.seconds)}`).join(" · ")}</p>
${scoreboard(data)}
</header>
${data.raw ? rawNotice(data) : ""}
<section><h2>The corpus, step by step</h2>${data.builds.map(buildSection).join("")}</section>
<section><h2>Loss</h2><div class="charts">${data.curves.map(curveSection).join("")}</div></section>
${data.evals.map((item) => `<section><h2>${escapeHtml(item.title)}</h2>${questions(item)}</section>`).join("\n")}
<footer class="muted">Written by Tillage. Everything in this file is inside it: it opens without a network.</footer>
</main>
<script type="application/json" id="charts">${inlineJson(charts)}</script>
<script type="module">${assets.script.replaceAll("</script", "<\\/script")}</script>
</body>
</html>
`;
}

function rowsOut(item: ReportBuild): number {
  return item.build.split.reduce((sum, part) => sum + part.rows, 0);
}

function scoreboard(data: ReportData): string {
  const cards = (data.evals[0]?.stages ?? []).map((stage) => `<div class="card"><div class="big">${stage.correct}<span class="muted"> of ${stage.of}</span></div><div>${escapeHtml(stage.model.label)}</div></div>`);
  return `<div class="cards">${cards.join(`<div class="arrow" aria-hidden="true">→</div>`)}</div>`;
}

function rawNotice(data: ReportData): string {
  const stayed = data.builds.flatMap((item) => item.skipped.filter((step) => step.in !== step.out || step.changed > 0).map((step) => `<li><b>${escapeHtml(step.step)}</b> would have taken out ${plural(step.in - step.out, "row")}${step.changed > 0 ? ` and changed ${formatCount(step.changed)}` : ""} of ${escapeHtml(item.name)}: ${step.reasons.slice(0, 5).map((reason) => `${escapeHtml(reason.reason)} ${reason.rows}`).join(", ")}</li>`));
  const guards = data.builds.flatMap((item) => item.build.guards.filter((guard) => !guard.ok).map((guard) => `<li><b>${escapeHtml(guard.guard)}</b>: ${escapeHtml(guard.message)}</li>`));
  return `<section class="notice"><h2>Trained on the sources as they are</h2>
<p>The steps of the recipes were skipped. What stayed in the training rows:</p><ul>${stayed.join("")}</ul>
${guards.length > 0 ? `<p>Guards that were overridden for this run:</p><ul>${guards.join("")}</ul>` : ""}</section>`;
}

function buildSection(item: ReportBuild): string {
  const { build } = item;
  const total = build.sources.reduce((sum, source) => sum + source.rows, 0);
  const sources = build.sources.map((source) => `<tr><td>${escapeHtml(source.name)}</td><td class="num">${formatCount(source.rows)}</td><td class="num">${formatScaled(source.tokens)}</td><td>${source.badRows > 0 ? `${source.badRows} unreadable rows kept out (${source.bad.map((bad) => `line ${bad.line}`).join(", ")})` : ""}</td></tr>`);
  const steps = build.steps.map((step) => {
    const receipts = item.receipts[step.index] ?? [];
    return `<tr><td>${escapeHtml(step.step)}</td><td class="num">${formatCount(step.in)}</td><td class="num">${formatCount(step.out)}</td><td class="num">${step.in === step.out ? "" : formatDelta(step.out - step.in)}</td>
<td class="bar"><div class="track"><div class="kept" style="width:${percentWidth(step.out, total)}"></div><div class="gone" style="width:${percentWidth(step.in - step.out, total)}"></div></div></td>
<td>${step.reasons.slice(0, 5).map((reason) => `${escapeHtml(reason.reason)} ${reason.rows}`).join(", ")}${receiptList(receipts)}</td></tr>`;
  });
  return `<h3>${escapeHtml(item.name)}</h3>
<table><thead><tr><th>source</th><th class="num">rows</th><th class="num">tokens${build.mix.exact ? "" : " (estimated)"}</th><th></th></tr></thead><tbody>${sources.join("")}</tbody></table>
${steps.length > 0 ? `<table><thead><tr><th>step</th><th class="num">rows in</th><th class="num">rows out</th><th class="num"></th><th></th><th>why</th></tr></thead><tbody>${steps.join("")}</tbody></table>` : "<p>No step was run.</p>"}
${mixSection(item)}
<p class="muted">${build.split.map((part) => `${escapeHtml(part.name)}: ${plural(part.rows, "row")}, ${formatScaled(part.tokens)} tokens`).join(" · ")}</p>`;
}

function percentWidth(part: number, total: number): string {
  return `${total > 0 ? ((part / total) * 100).toFixed(2) : "0"}%`;
}

function receiptList(receipts: ReceiptRow[]): string {
  if (receipts.length === 0) return "";
  const items = receipts.map((row) => `<li><span class="tag">${escapeHtml(row.reason)}</span> <span class="muted">${escapeHtml(row.source)}:${row.fileRow}</span> ${row.matchedText ? diffHtml(row.matchedText, row.text) : escapeHtml(row.text)}</li>`);
  return `<details><summary>show ${plural(receipts.length, "row")}</summary><ul class="receipts">${items.join("")}</ul></details>`;
}

function mixSection(item: ReportBuild): string {
  const { mix } = item.build;
  if (mix.rows.length < 2) return "";
  const bar = (name: string, share: (row: (typeof mix.rows)[number]) => number): string =>
    `<div class="mixrow"><span>${name}</span><div class="track">${mix.rows.map((row, index) => `<div class="mix c${index % 6}" style="width:${percentWidth(share(row), 1)}" title="${escapeHtml(row.group)} ${formatPercent(share(row))}"></div>`).join("")}</div></div>`;
  const rows = mix.rows.map((row, index) => `<tr><td><span class="swatch c${index % 6}"></span>${escapeHtml(row.group)}</td><td class="num">${formatScaled(row.tokens)}</td><td class="num">${formatPercent(row.shareNow)}</td><td class="num">${formatPercent(row.shareWanted)}</td><td class="num">${row.epochs.toFixed(2)}</td></tr>`);
  return `<h4>Token mix</h4>${bar("before", (row) => row.shareNow)}${bar("after", (row) => row.shareWanted)}
<table><thead><tr><th>${escapeHtml(mix.by)}</th><th class="num">tokens</th><th class="num">share before</th><th class="num">share after</th><th class="num">epochs</th></tr></thead><tbody>${rows.join("")}</tbody></table>`;
}

function curveSection(curve: ReportCurve): string {
  return `<figure><figcaption><b>${escapeHtml(curve.name)}</b> · ${curve.objective}${curve.adapter ? " · LoRA" : ""} · ${formatScaled(curve.parameters)} parameters${curve.adapter ? `, ${formatScaled(curve.trainable)} trained` : ""} · ${formatCount(curve.steps)} steps · ${plural(curve.trainRows, "row")}
<br><span class="muted">loss ${curve.first.toFixed(3)} → ${curve.last.toFixed(3)} nats a token</span></figcaption><div class="chart" data-chart="${escapeHtml(curve.name)}"></div></figure>`;
}

function questions(data: ReportEval): string {
  const first = data.stages[0];
  if (!first) return "<p>No model was asked.</p>";
  const head = data.stages.map((stage) => `<th>${escapeHtml(stage.model.label)}</th>`).join("");
  const rows = first.cases.map((item) => {
    const leaked = data.leaked.includes(item.id) ? `<div class="tag bad">this question is in the training rows: its answer proves nothing</div>` : "";
    const cells = data.stages.map((stage, index) => answerCell(stage, index > 0 ? data.stages[index - 1] : undefined, item.id)).join("");
    return `<tr><td><b>${escapeHtml(item.prompt)}</b>${item.answer ? `<div class="muted">${escapeHtml(item.answer)}</div>` : ""}${leaked}</td>${cells}</tr>`;
  });
  const compared = data.stages.length > 1 ? " <ins>Marked</ins> words were not in the answer of the stage before." : "";
  return `<table class="questions"><thead><tr><th>question</th>${head}</tr></thead><tbody>${rows.join("")}</tbody></table>
<p class="muted">Greedy, at most ${first.maxNewTokens} tokens.${compared}</p>`;
}

function answerCell(stage: EvalResult, before: EvalResult | undefined, id: string): string {
  const item = stage.cases.find((candidate) => candidate.id === id);
  if (!item) return "<td></td>";
  const earlier = before?.cases.find((candidate) => candidate.id === id);
  const output = item.output.trim();
  const text = earlier && output !== "" ? addedHtml(earlier.output.trim(), output) : escapeHtml(output);
  const checks = item.verdict.checks.map((check) => `<span class="${check.pass ? "good" : "bad"}">${check.pass ? "✓" : "✗"} ${escapeHtml(check.check)}</span>`).join(" ");
  return `<td><div class="answer">${text || `<span class="muted">(${blank(item.output)})</span>`}</div><div class="checks">${checks}</div></td>`;
}

/** The later text with its new words marked; what was removed stands in the column before. */
function addedHtml(before: string, after: string): string {
  return wordDiff(before, after).map((part) => (part.kind === "added" ? `<ins>${escapeHtml(part.text)}</ins>` : part.kind === "same" ? escapeHtml(part.text) : "")).join("");
}

function diffHtml(before: string, after: string): string {
  return wordDiff(before, after).map((part) => (part.kind === "added" ? `<ins>${escapeHtml(part.text)}</ins>` : part.kind === "removed" ? `<del>${escapeHtml(part.text)}</del>` : escapeHtml(part.text))).join("");
}

/** What an answer without a visible character is. */
function blank(text: string): string {
  return text === "" ? "nothing" : `${text.length} characters of white space`;
}
