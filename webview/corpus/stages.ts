import { html, nothing } from "lit";
import type { TemplateResult } from "lit";
import type { CorpusState } from "../../src/protocol/corpus-panel";
import type { Problem } from "../../src/protocol/errors";
import { formatBytes } from "../shared/format";
import "./elapsed";

const blames: Record<Problem["blame"], string> = {
  user: "The cause lies in the file.",
  environment: "The cause lies in this machine, not in the file.",
  internal: "The cause lies in Tillage.",
};

/** A file that is being read: what, how large, for how long, and a way out. */
export function openingView(state: CorpusState, since: number, cancel: () => void): TemplateResult {
  return html`<div class="state" role="status" data-testid="corpus-opening">
    <vscode-icon name="loading" spin size="32"></vscode-icon>
    <h2>Reading ${state.name}</h2>
    <p class="muted">${state.bytes > 0 ? formatBytes(state.bytes) : ""} <tillage-elapsed .since=${since}></tillage-elapsed></p>
    <vscode-progress-bar indeterminate aria-label="Reading the file"></vscode-progress-bar>
    <vscode-button secondary data-testid="corpus-cancel-open" @click=${cancel}>Cancel</vscode-button>
  </div>`;
}

/** A file that cannot be shown: what happened, whose fault it is, what to do. */
export function failedView(state: CorpusState, problem: Problem, act: { reload: () => void; openText: (line?: number) => void }): TemplateResult {
  const cancelled = problem.code === "cancelled";
  return html`<div class="state" role="alert" data-testid="corpus-error">
    <vscode-icon class=${cancelled ? "" : "bad"} name=${cancelled ? "circle-slash" : "error"} size="32"></vscode-icon>
    <h2>${cancelled ? `${state.name} was not opened` : `${state.name} cannot be shown`}</h2>
    <p data-testid="corpus-error-message">${problem.message}</p>
    ${cancelled ? nothing : html`<p class="muted">${blames[problem.blame]}</p>`}
    <p data-testid="corpus-error-remedy">${problem.remedy}</p>
    <div class="buttons">
      <vscode-button data-testid="corpus-retry" @click=${act.reload}>Try again</vscode-button>
      ${/\.parquet$/iu.test(state.name)
        ? nothing
        : html`<vscode-button secondary data-testid="corpus-open-text" @click=${() => act.openText(problem.line ?? undefined)}>${problem.line ? `Open line ${problem.line}` : "Open as text"}</vscode-button>`}
    </div>
    <p class="muted code">${problem.code}${problem.file ? ` · ${problem.file}${problem.line ? `:${problem.line}` : ""}` : ""}</p>
  </div>`;
}
