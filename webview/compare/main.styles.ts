import { css } from "lit";

export const styles = css`
  :host { display: block; padding: 12px 16px 24px; max-width: 1400px; margin: 0 auto; }
  h1 { font-size: 1.25em; font-weight: 600; margin: 0; }
  .waiting { padding: 24px; text-align: center; }
  .title { display: flex; flex-wrap: wrap; gap: 4px 12px; align-items: baseline; }
  .actions { margin-left: auto; display: inline-flex; gap: 8px; }
  .models { display: grid; grid-template-columns: minmax(0, 1fr) auto minmax(0, 1fr); gap: 8px; align-items: end; margin: 12px 0 8px; }
  .models label { display: grid; gap: 2px; }
  select {
    width: 100%; padding: 4px; font: inherit; color: var(--vscode-dropdown-foreground); background: var(--vscode-dropdown-background);
    border: 1px solid var(--vscode-dropdown-border, var(--t-line)); border-radius: 2px;
  }
  button.icon { display: inline-flex; padding: 4px; margin-bottom: 2px; border: 0; border-radius: 3px; background: none; color: inherit; cursor: pointer; }
  button.icon:hover { background: var(--vscode-toolbar-hoverBackground); }
  button.action {
    display: inline-flex; align-items: center; gap: 4px; padding: 3px 10px; font: inherit; cursor: pointer; border-radius: 2px;
    color: var(--vscode-button-secondaryForeground); background: var(--vscode-button-secondaryBackground); border: 1px solid var(--vscode-button-border, transparent);
  }
  button.action:hover:enabled { background: var(--vscode-button-secondaryHoverBackground); }
  button.action.primary { color: var(--vscode-button-foreground); background: var(--vscode-button-background); }
  button.action:disabled { opacity: 0.5; cursor: default; }
  button.action vscode-icon { color: inherit; }

  .asking { display: flex; flex-wrap: wrap; gap: 4px 8px; align-items: center; }
  .bar { flex: 1 1 100%; height: 4px; border-radius: 2px; overflow: hidden; background: var(--t-line); }
  .bar div { height: 100%; background: var(--vscode-progressBar-background, var(--t-accent)); transition: width 0.2s; }
  @media (prefers-reduced-motion: reduce) { .bar div { transition: none; } }
  .note { display: flex; flex-wrap: wrap; gap: 6px; align-items: center; margin: 8px 0; }
  .problem { display: flex; gap: 8px; margin: 8px 0; padding: 8px 12px; border-radius: 4px; background: var(--vscode-inputValidation-errorBackground, transparent); border: 1px solid var(--vscode-inputValidation-errorBorder, var(--t-bad)); }
  .problem p { margin: 0 0 2px; }
  .problem .what { font-weight: 600; }
  .problem vscode-icon { color: var(--vscode-errorForeground); }

  .filters { display: flex; flex-wrap: wrap; gap: 4px; align-items: center; margin: 12px 0; padding-bottom: 8px; border-bottom: 1px solid var(--t-line); }
  .filters button { border: 1px solid transparent; border-radius: 12px; padding: 2px 10px; background: none; color: inherit; font: inherit; cursor: pointer; }
  .filters button:hover { background: var(--t-hover); }
  .filters button[aria-pressed="true"] { background: var(--vscode-inputOption-activeBackground); color: var(--vscode-inputOption-activeForeground, inherit); border-color: var(--vscode-inputOption-activeBorder, var(--t-accent)); }
  .count { font-weight: 600; }
  .hint { margin-left: auto; font-size: 12px; }
  .empty { padding: 24px 0; text-align: center; }

  .case { border: 1px solid var(--t-line); border-radius: 4px; margin-bottom: 12px; overflow: hidden; }
  .case:focus-visible { outline: 1px solid var(--vscode-focusBorder); outline-offset: 0; }
  .case h2 { display: flex; gap: 8px; align-items: center; font-size: inherit; font-weight: 600; margin: 0; padding: 8px 12px; background: var(--vscode-editorWidget-background, transparent); border-bottom: 1px solid var(--t-line); }
  .prompt { overflow-wrap: anywhere; }
  .change { margin-left: auto; font-weight: 400; font-size: 12px; padding: 0 8px; border-radius: 8px; border: 1px solid var(--t-line); white-space: nowrap; }
  .case.fixed .change { color: var(--t-good); border-color: currentColor; }
  .case.broken .change { color: var(--t-bad); border-color: currentColor; }
  .verdicts { display: inline-flex; align-items: center; }
  .pass { color: var(--t-good); }
  .fail { color: var(--t-bad); }
  .answers { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); }
  .answer { padding: 8px 12px; }
  .answer + .answer { border-left: 1px solid var(--t-line); }
  .answer h3 { display: flex; gap: 8px; font-size: 12px; font-weight: 400; margin: 0 0 4px; color: var(--t-muted); }
  .facts { margin-left: auto; }
  .text { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
  ins { text-decoration: underline; text-decoration-thickness: 1px; text-underline-offset: 3px; background: var(--vscode-diffEditor-insertedTextBackground, transparent); border-radius: 2px; }
  del { text-decoration: line-through; background: var(--vscode-diffEditor-removedTextBackground, transparent); border-radius: 2px; }
  .below { display: flex; flex-wrap: wrap; gap: 4px 24px; align-items: baseline; padding: 6px 12px; border-top: 1px solid var(--t-line); }
  .below p { margin: 0; }
  .checks { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: 2px 16px; }
  .links { margin-left: auto !important; display: inline-flex; gap: 16px; }
  @media (max-width: 640px) {
    .answers { grid-template-columns: minmax(0, 1fr); }
    .answer + .answer { border-left: 0; border-top: 1px solid var(--t-line); }
  }
`;
