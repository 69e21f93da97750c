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

/** A file that cannot be shown: what happened, whose fault it is, what to do. An empty one and one that was given up are no errors. */
export function failedView(state: CorpusState, problem: Problem, act: { reload: () => void; openText: (line?: number) => void }): TemplateResult {
  const empty = problem.code === "empty_file";
  const calm = empty || problem.code === "cancelled";
  const title = empty ? `${state.name} is empty` : calm ? `${state.name} was not opened` : `${state.name} cannot be shown`;
  // The file's name stands above: its whole path would hide what the message says.
  const message = problem.file ? problem.message.replaceAll(problem.file, state.name) : problem.message;
  return html`<div class="state" role=${calm ? "status" : "alert"} data-testid=${empty ? "corpus-empty" : "corpus-error"}>
    <vscode-icon class=${calm ? "" : "bad"} name=${empty ? "inbox" : calm ? "circle-slash" : "error"} size="32"></vscode-icon>
    <h2>${title}</h2>
    ${empty ? nothing : html`<p data-testid="corpus-error-message">${message}</p>`}
    ${calm ? nothing : html`<p class="muted">${blames[problem.blame]}</p>`}
    <p data-testid="corpus-error-remedy">${empty ? "When rows are written to it, they appear here." : problem.remedy}</p>
    <div class="buttons">
      <vscode-button data-testid="corpus-retry" @click=${act.reload}>Try again</vscode-button>
      ${/\.parquet$/iu.test(state.name)
        ? nothing
        : html`<vscode-button secondary data-testid="corpus-open-text" @click=${() => act.openText(problem.line ?? undefined)}>${problem.line ? `Open line ${problem.line}` : "Open as text"}</vscode-button>`}
    </div>
    <p class="muted code">${calm ? "" : `${problem.code} · `}${state.path}${problem.line ? `:${problem.line}` : ""}</p>
  </div>`;
}
