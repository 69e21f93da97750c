import { html, nothing } from "lit";
import type { TemplateResult } from "lit";
import { isResumable } from "../../src/core/run/state";
import type { RunHead, RunNumbers, RunView } from "../../src/protocol/training-panel";
import { formatBytes, formatCount, formatDuration, formatPercent, formatScaled } from "../shared/format";
import type { Ask } from "./main";
import { problemBox } from "./problem";

const PHASES = {
  waiting: { icon: "loading", text: "starting" },
  running: { icon: "sync", text: "running" },
  stopping: { icon: "loading", text: "pausing after this step" },
  completed: { icon: "pass-filled", text: "completed" },
  stopped: { icon: "debug-pause", text: "paused" },
  failed: { icon: "error", text: "failed" },
  interrupted: { icon: "warning", text: "interrupted" },
} as const;

/** Name, state and actions; the newest numbers; progress; what went wrong. */
export function header(run: RunView, ask: Ask): TemplateResult {
  const { head, numbers } = run;
  const phase = PHASES[numbers.phase];
  const spin = phase.icon === "loading" || phase.icon === "sync";
  return html`
    <header>
      <div class="title">
        <h1 data-testid="run-name">${head.name}</h1>
        <span class="phase ${numbers.phase}" data-testid="run-phase" role="status"><vscode-icon name=${phase.icon} ?spin=${spin}></vscode-icon>${phase.text}</span>
        <span class="muted facts">${facts(head, device(numbers))}</span>
        <span class="actions">${actions(run, ask)}</span>
      </div>
      ${progress(numbers)}
      <dl class="numbers">
        ${stat("step", numbers.total > 0 ? `${formatCount(numbers.step)} / ${formatCount(numbers.total)}` : "–", "run-step")}
        ${stat("epoch", `${numbers.epoch.toFixed(1)} / ${head.epochs}`)}
        ${stat("loss", numbers.loss?.toFixed(3), "run-loss", "newest step")}
        ${stat("smoothed", numbers.smoothed?.toFixed(3))}
        ${stat("validation", numbers.validation?.toFixed(3), "run-validation")}
        ${numbers.accuracy === undefined ? nothing : stat("preferred", formatPercent(numbers.accuracy), "run-accuracy", "share of the newest steps' pairs whose chosen answer has the larger implicit reward")}
        ${numbers.reward === undefined ? nothing : stat("reward", numbers.reward.toFixed(3), "run-reward", "mean over the newest steps' answers")}
        ${stat("speed", numbers.tokensPerSecond === undefined ? undefined : `${formatScaled(numbers.tokensPerSecond)} tok/s`)}
        ${stat("memory", numbers.memoryBytes === undefined ? undefined : formatBytes(numbers.memoryBytes))}
        ${stat("time", formatDuration(numbers.elapsed))}
        ${numbers.secondsLeft === undefined ? nothing : stat("left", formatDuration(numbers.secondsLeft), "run-left")}
        ${stat("trained", numbers.trainable === 0 ? undefined : `${formatScaled(numbers.trainable)} of ${formatScaled(numbers.parameters)}`, undefined, "parameters that the optimiser changes")}
      </dl>
      ${numbers.problem ? problemBox(numbers.problem, ...(isResumable(numbers.phase) ? [{ label: "Resume", run: () => ask.resume(null) }] : []), { label: "Open the engine's log", run: () => ask.openLog(null) }) : nothing}
    </header>
  `;
}

function actions(run: RunView, ask: Ask): TemplateResult {
  const { phase } = run.numbers;
  const button = (icon: string, label: string, id: string, act: () => unknown, primary = false, title?: string): TemplateResult => html`
    <button class="action ${primary ? "primary" : ""}" data-testid=${id} title=${title ?? nothing} @click=${act}><vscode-icon name=${icon}></vscode-icon>${label}</button>`;
  return html`
    ${phase === "running" || phase === "waiting" ? button("debug-pause", "Pause", "run-stop", () => ask.stop(null), true, "Finishes the step, writes a checkpoint and ends; Resume goes on from there") : nothing}
    ${isResumable(phase) ? button("debug-continue", "Resume", "run-resume", () => ask.resume(null), true) : nothing}
    ${phase === "completed" ? button("diff", "Before / after", "run-compare", () => ask.compare(null), true) : nothing}
    ${phase === "completed" ? button("export", "Export…", "run-export", () => ask.exportModel(null), false, "Writes the result for llama.cpp and Ollama, transformers or PEFT") : nothing}
    ${run.head.file ? button("go-to-file", "Run file", "run-file", () => ask.openRunFile({})) : nothing}
  `;
}

function progress(numbers: RunNumbers): TemplateResult {
  const { doing } = numbers;
  const share = doing ? doing.done / Math.max(1, doing.of) : numbers.total > 0 ? numbers.step / numbers.total : 0;
  const what = doing?.what ?? "steps done";
  return html`${doing ? html`<p class="muted doing" data-testid="run-doing" role="status">Before the first step: ${doing.what}, ${formatCount(doing.done)} of ${formatCount(doing.of)}.</p>` : nothing}
  <div class="bar ${numbers.phase}" role="progressbar" aria-label=${what} aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.round(share * 100)} title=${formatPercent(share)}>
    <div style="width:${share * 100}%"></div>
  </div>`;
}

function stat(label: string, value: string | undefined, id?: string, title?: string): TemplateResult {
  return html`<div title=${title ?? nothing}><dt>${label}</dt><dd data-testid=${id ?? nothing}>${value ?? "–"}</dd></div>`;
}

function device(numbers: RunNumbers): string {
  if (numbers.device === undefined) return "";
  return numbers.threads === undefined ? numbers.device : `${numbers.device} × ${numbers.threads} threads`;
}

/** What a run is, in one line. */
export function facts(head: RunHead, more = ""): string {
  const taught = head.teacher === undefined ? "" : `taught by ${head.teacher}`;
  const weighed = head.weight === undefined ? "" : `rows weigh their ${head.weight}`;
  return [head.objective, head.method, `from ${head.from}`, taught, onDataset(head.dataset), weighed, more].filter((text) => text !== "").join(" · ");
}

/** A dataset by its recipe and enough of its hash to tell it from others. */
function onDataset(name: string | undefined): string {
  return name === undefined ? "" : `on ${name.replace(/(@[0-9a-f]{7})[0-9a-f]+$/u, "$1")}`;
}
