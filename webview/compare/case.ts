import { html, nothing } from "lit";
import type { TemplateResult } from "lit";
import type { WordPart } from "../../src/core/eval/compare";
import type { CompareAnswer, CompareCase } from "../../src/protocol/compare-panel";
import { formatCount, formatDuration, plural } from "../shared/format";

export interface CaseContext {
  /** 1-based place in the file. */
  number: number;
  before: string;
  after: string;
  focused: boolean;
  focus: () => void;
  openDiff: () => void;
  openPrompt: () => void;
}

/** One prompt: what both models answered, word by word, and how it was judged. */
export function caseCard(item: CompareCase, context: CaseContext): TemplateResult {
  return html`
    <article class="case ${item.change}" data-testid="compare-case" data-id=${item.id} data-change=${item.change} tabindex=${context.focused ? "0" : "-1"} @focus=${context.focus}
      aria-label=${`${item.prompt}: ${item.change}`}>
      <h2><span class="verdicts" title=${item.change}>${verdict(item.before.verdict.pass)}<vscode-icon name="arrow-small-right"></vscode-icon>${verdict(item.after.verdict.pass)}</span>
        <span class="number muted">${context.number}</span><span class="prompt">${item.prompt}</span><span class="change">${item.change}</span></h2>
      <div class="answers">
        ${answer("before", context.before, item.before, item.words.filter((part) => part.kind !== "added"))}
        ${answer("after", context.after, item.after, item.words.filter((part) => part.kind !== "removed"))}
      </div>
      <div class="below">
        <ul class="checks" data-testid="compare-checks">${item.after.verdict.checks.map((check, index) => html`<li>${check.check}: ${yesNo(item.before.verdict.checks[index]?.pass)} → ${yesNo(check.pass)}</li>`)}</ul>
        ${item.answer === null ? nothing : html`<p class="muted">expected: ${item.answer}</p>`}
        <p class="links"><button class="link" data-testid="open-diff" @click=${context.openDiff}>Open diff</button><button class="link" data-testid="open-prompt" @click=${context.openPrompt}>Go to prompt</button></p>
      </div>
    </article>
  `;
}

function answer(side: string, label: string, given: CompareAnswer, words: WordPart[]): TemplateResult {
  return html`<section class="answer" data-testid=${`answer-${side}`}>
    <h3>${label}<span class="muted facts">${plural(given.tokens, "token")} · ${took(given.seconds)}${given.ended ? "" : " · cut off"}</span></h3>
    <p class="text">${given.output.trim() === "" ? html`<span class="muted"><em>(empty)</em></span>` : words.map(word)}</p>
  </section>`;
}

/** Marked by strike-through and underline as well as by colour. */
function word(part: WordPart): TemplateResult {
  if (part.kind === "added") return html`<ins>${part.text}</ins>`;
  if (part.kind === "removed") return html`<del>${part.text}</del>`;
  return html`${part.text}`;
}

function verdict(pass: boolean): TemplateResult {
  return html`<vscode-icon class=${pass ? "pass" : "fail"} name=${pass ? "pass-filled" : "error"} label=${pass ? "passes" : "fails"}></vscode-icon>`;
}

function yesNo(pass: boolean | undefined): TemplateResult {
  return pass === undefined ? html`–` : html`<strong class=${pass ? "pass" : "fail"}>${pass ? "yes" : "no"}</strong>`;
}

function took(seconds: number): string {
  return seconds < 1 ? `${formatCount(seconds * 1000)} ms` : formatDuration(seconds);
}
