import "@vscode-elements/elements/dist/vscode-button/index.js";
import "@vscode-elements/elements/dist/vscode-progress-bar/index.js";
import { css, html } from "lit";
import type { TemplateResult } from "lit";
import type { BuildProgress } from "../../src/protocol/corpus";

/** What a panel waits for, how far it is, and a Cancel. */
export function progressView({ stage, done, of }: BuildProgress, cancel: () => void): TemplateResult {
  const part = of > 0 ? `${Math.min(of, Math.floor(done) + 1)} of ${of}: ` : "";
  return html`<div class="progress" data-testid="progress" role="status">
    <span>${part}${stage} …</span>
    ${of > 0 ? html`<progress max=${of} value=${done} aria-label=${stage}></progress>` : html`<progress aria-label=${stage}></progress>`}
    <vscode-button secondary data-testid="cancel" @click=${cancel}>Cancel</vscode-button>
  </div>`;
}

export const progressStyles = css`
  .progress { display: grid; grid-template-columns: 1fr auto; gap: 8px 16px; align-items: center; width: min(560px, 100%); padding: 16px; margin: 16px auto; }
  .progress span { grid-column: 1 / -1; }
  .progress progress { width: 100%; height: 4px; accent-color: var(--vscode-progressBar-background); }
`;
