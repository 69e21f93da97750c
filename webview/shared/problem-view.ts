import "@vscode-elements/elements/dist/vscode-icon/index.js";
import { css, html, nothing } from "lit";
import type { TemplateResult } from "lit";
import type { Problem } from "../../src/protocol/errors";

const WHOSE: Record<Problem["blame"], string> = {
  user: "Something in the files needs a change",
  environment: "Something on this machine is in the way",
  internal: "A defect in Tillage",
};

/** An error as every panel shows it: whose fault, what happened, what to do, and where. */
export function problemView(problem: Problem, action?: { label: string; run: () => void }): TemplateResult {
  const where = problem.file ? `${problem.file}${problem.line ? `:${problem.line}` : ""}` : undefined;
  return html`<div class="problem" role="alert" data-testid="problem">
    <div class="problem-title"><vscode-icon name="error"></vscode-icon> ${WHOSE[problem.blame]}</div>
    <div data-testid="problem-message">${problem.message}</div>
    <div class="muted">${problem.remedy}</div>
    ${where ? html`<div class="mono muted">${where}</div>` : nothing}
    ${action ? html`<button class="plain" data-testid="problem-action" @click=${action.run}>${action.label}</button>` : nothing}
  </div>`;
}

/** A panel with nothing to show yet: what it is for, and the next thing to do. */
export function emptyView(title: string, text: string, action?: { label: string; run: () => void }): TemplateResult {
  return html`<div class="empty" data-testid="empty">
    <div class="empty-title">${title}</div>
    <div class="muted">${text}</div>
    ${action ? html`<button class="plain" data-testid="empty-action" @click=${action.run}>${action.label}</button>` : nothing}
  </div>`;
}

export const problemStyles = css`
  .problem, .empty { display: grid; gap: 8px; max-width: 640px; padding: 16px; margin: 16px auto; }
  .problem { border: 1px solid var(--vscode-inputValidation-errorBorder, var(--t-line)); background: var(--vscode-inputValidation-errorBackground, transparent); }
  .problem-title { font-weight: 600; }
  .problem-title vscode-icon { color: var(--t-bad); vertical-align: text-bottom; }
  .problem .mono { overflow-wrap: anywhere; }
  .empty { text-align: center; justify-items: center; padding-block: 48px; }
  .empty-title { font-size: 1.2em; }
  button.plain {
    justify-self: start; padding: 4px 12px; border: 1px solid var(--vscode-button-border, transparent); border-radius: 2px; font: inherit; cursor: pointer;
    color: var(--vscode-button-foreground); background: var(--vscode-button-background);
  }
  button.plain:hover { background: var(--vscode-button-hoverBackground); }
  .empty button.plain { justify-self: center; }
`;
