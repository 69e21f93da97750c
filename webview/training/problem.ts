import { html, nothing } from "lit";
import type { TemplateResult } from "lit";
import type { Problem } from "../../src/protocol/errors";

const BLAME = { user: "In your files", environment: "On this machine", internal: "A defect in Tillage" } as const;

/** What happened, whose fault it is, what to do. */
export function problemBox(problem: Problem, ...actions: { label: string; run: () => unknown }[]): TemplateResult {
  // An interruption is nobody's error, and a resume mends it.
  const mild = problem.code === "interrupted";
  return html`
    <section class="problem ${mild ? "mild" : ""}" role="alert" data-testid="problem">
      <vscode-icon name=${mild ? "warning" : "error"}></vscode-icon>
      <div>
        <p class="what" data-testid="problem-message">${problem.message}</p>
        <p class="muted">${BLAME[problem.blame]}${problem.file ? html` · <span class="mono">${problem.file}${problem.line ? `:${problem.line}` : ""}</span>` : nothing}</p>
        <p data-testid="problem-remedy">${problem.remedy}</p>
        ${actions.length > 0 ? html`<p class="actions">${actions.map((action) => html`<button class="link" @click=${action.run}>${action.label}</button>`)}</p>` : nothing}
      </div>
    </section>
  `;
}
