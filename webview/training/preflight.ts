import { html, nothing } from "lit";
import type { TemplateResult } from "lit";
import type { PreflightResult } from "../../src/protocol/native.gen";
import type { GuardView, PreflightView } from "../../src/protocol/training-panel";
import { formatBytes, formatCount, formatDuration, formatPercent, formatScaled, plural } from "../shared/format";
import { facts } from "./header";
import type { Ask } from "./main";
import { problemBox } from "./problem";

/** A run before its start: what it is, whether anything keeps it from starting, what it would need. */
export function preflight(view: PreflightView, ask: Ask): TemplateResult {
  const ready = view.stage === "ready" && !view.blocked;
  return html`
    <div class="preflight" data-testid="preflight" data-stage=${view.stage}>
      <div class="title">
        <h1>Preflight of ${view.name}</h1>
        ${view.head ? html`<span class="muted facts">${facts(view.head)}</span>` : nothing}
      </div>
      ${view.doing ? doing(view.doing) : nothing}
      ${view.stage === "cancelled" ? html`<p class="muted">Cancelled. Nothing was started.</p>` : nothing}
      ${view.problem ? problemBox(view.problem, ...(view.problem.file ? [{ label: "Open the file", run: () => ask.openProblem(null) }] : [])) : nothing}
      ${view.guards.length > 0 ? guards(view, ask) : nothing}
      ${view.result ? plan(view.result, view) : nothing}
      <p class="buttons">
        ${view.stage === "failed" || view.stage === "cancelled"
          ? html`<button class="action primary" data-testid="preflight-again" @click=${() => ask.again(null)}>Try again</button>`
          : html`<button class="action primary" data-testid="preflight-start" ?disabled=${!ready} @click=${() => ask.start(null)}><vscode-icon name="play"></vscode-icon>Start</button>`}
        <button class="action" data-testid="preflight-cancel" @click=${() => ask.cancel(null)}>${view.stage === "failed" || view.stage === "cancelled" ? "Close" : "Cancel"}</button>
        ${view.stage === "ready" ? html`<button class="action" data-testid="preflight-run-file" @click=${() => ask.openRunFile({})}><vscode-icon name="go-to-file"></vscode-icon>Run file</button>` : nothing}
        ${view.blocked ? html`<span class="muted">A guard keeps this run from starting: mend the data, or give your reason in the run file.</span>` : nothing}
      </p>
    </div>
  `;
}

function doing(state: NonNullable<PreflightView["doing"]>): TemplateResult {
  const share = state.of ? (state.done ?? 0) / state.of : undefined;
  return html`<div class="doing" role="status" data-testid="preflight-doing">
    <vscode-icon name="loading" spin></vscode-icon>${state.text}${share === undefined ? "…" : html`<span class="muted">${formatCount(state.done ?? 0)} of ${formatCount(state.of ?? 0)}</span>`}
    <div class="bar running"><div style="width:${(share ?? 0) * 100}%"></div></div>
  </div>`;
}

function guards(view: PreflightView, ask: Ask): TemplateResult {
  return html`<section>
    <h2>Guards</h2>
    <ul class="guards">${view.guards.map((guard) => html`<li data-testid=${`guard-${guard.guard}`} class=${state(guard)}>
      <vscode-icon name=${{ ok: "pass", overridden: "warning", blocked: "error" }[state(guard)]} label=${state(guard)}></vscode-icon>
      <div>
        <div><strong>${guard.guard}</strong> ${guard.message}</div>
        ${guard.override === undefined ? nothing : html`<div class="muted">Overridden: “${guard.override}”</div>`}
        ${guard.rows.length > 0 ? html`<details><summary>${plural(guard.rows.length, "row")}</summary><ul class="rows">${guard.rows.slice(0, 50).map((row) => html`<li><button class="link mono" @click=${() => ask.why({ rowId: row.rowId })}>${row.rowId}</button> ${row.detail}</li>`)}</ul></details>` : nothing}
        ${state(guard) === "blocked" ? html`<button class="link" data-testid="override" @click=${() => ask.openRunFile({ guard: guard.guard })}>Override with a reason…</button>` : nothing}
      </div></li>`)}</ul>
  </section>`;
}

function state(guard: GuardView): "ok" | "overridden" | "blocked" {
  if (guard.ok) return "ok";
  return guard.override === undefined ? "blocked" : "overridden";
}

function plan(result: PreflightResult, view: PreflightView): TemplateResult {
  const tooLarge = result.planned_bytes > result.free_bytes;
  const share = result.free_bytes > 0 ? result.planned_bytes / result.free_bytes : 1;
  const row = (label: string, value: string | TemplateResult, note: string | TemplateResult = ""): TemplateResult => html`<tr><th scope="row">${label}</th><td class="num">${value}</td><td class="muted">${note}</td></tr>`;
  return html`<section>
    <h2>What it needs</h2>
    <table class="plan" data-testid="plan">
      ${row("Time", formatDuration(result.seconds_total), `${formatCount(result.total_steps)} steps of ${formatStep(result.seconds_per_step)}, measured on the longest batch`)}
      ${row("Memory", formatBytes(result.planned_bytes), html`of ${formatBytes(result.free_bytes)} free <span class="meter ${tooLarge ? "over" : ""}" role="img" aria-label=${formatPercent(share)}><i style="width:${Math.min(1, share) * 100}%"></i></span>`)}
      ${row("Rows", formatCount(result.train_rows), `${formatScaled(result.train_tokens)} tokens${view.head ? `, seen ${view.head.epochs} times` : ""}`)}
      ${row("Cut rows", formatCount(result.long_rows), result.long_rows === 0 ? "every row fits the context" : `longer than the context of ${formatCount(view.head?.context ?? 0)} tokens; ${formatCount(result.cut_tokens)} tokens are lost`)}
      ${row("Masked rows", formatCount(result.masked_rows), result.masked_rows === 0 ? "every row has tokens that are learned" : "no token of theirs is learned: look at template and loss_on")}
      ${row("Parameters", formatScaled(result.parameters), `${formatScaled(result.trainable)} trained (${formatPercent(result.parameters > 0 ? result.trainable / result.parameters : 0)})`)}
      ${view.head ? row("Learning rate", view.head.lr.toString(), `${view.head.schedule}, batches of ${formatCount(view.head.batchTokens)} tokens`) : nothing}
    </table>
    ${tooLarge ? html`<p class="warn" role="alert"><vscode-icon name="warning"></vscode-icon>It would need more memory than is free. Take a smaller batch_tokens or context, or close other programs.</p>` : nothing}
  </section>`;
}

/** A step is often shorter than a second. */
function formatStep(seconds: number): string {
  return seconds < 1 ? `${formatCount(seconds * 1000)} ms` : formatDuration(seconds);
}
