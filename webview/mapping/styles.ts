import { css } from "lit";

/** The file's columns on one side, the shape's roles on the other, and below them the rows as they would be read. */
export const styles = css`
  :host { display: flex; flex-direction: column; min-height: 100vh; padding: 12px 16px; container-type: inline-size; }
  h1 { font-size: 1.15em; font-weight: 600; margin: 0; }
  h2 { font-size: 1em; font-weight: 600; margin: 0 0 8px; }
  .head { display: flex; flex-wrap: wrap; gap: 4px 16px; align-items: baseline; }
  .detection { margin: 8px 0 16px; } .detection vscode-icon { vertical-align: text-bottom; }
  .ok { color: var(--t-good); } .warn { color: var(--t-warn); }
  .sides { display: grid; grid-template-columns: minmax(0, 3fr) minmax(220px, 2fr); gap: 16px 24px; }
  .sides > section { min-width: 0; }
  table { border-collapse: collapse; width: 100%; table-layout: fixed; }
  th { text-align: left; font-weight: 400; padding: 4px 12px 4px 0; color: var(--t-muted); vertical-align: top; }
  tbody th { color: inherit; overflow-wrap: anywhere; }
  td { padding: 4px 12px 4px 0; vertical-align: top; border-top: 1px solid var(--t-line); } tbody th { border-top: 1px solid var(--t-line); }
  [data-testid="columns"] th:first-child { width: 30%; } [data-testid="columns"] thead th:nth-child(2) { width: 64px; }
  .values div { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  .used > th { box-shadow: inset 2px 0 var(--t-accent); padding-left: 8px; }
  .as { color: var(--t-accent); font-family: var(--vscode-font-family, sans-serif); }
  .field { display: grid; grid-template-columns: 80px minmax(100px, 1fr); gap: 0 12px; align-items: center; margin-bottom: 8px; }
  .field .doc { grid-column: 2; font-size: 0.92em; }
  select { width: 100%; height: 26px; padding: 0 4px; font: inherit; color: var(--vscode-dropdown-foreground); background: var(--vscode-dropdown-background); border: 1px solid var(--vscode-dropdown-border, var(--t-line)); border-radius: 2px; }
  .actions { display: flex; flex-wrap: wrap; gap: 8px; margin-top: 16px; }
  .preview { margin-top: 16px; min-width: 0; } .stale { opacity: 0.6; }
  .sample { font-weight: 400; color: var(--t-muted); margin-left: 8px; }
  .rows { overflow: auto; max-height: 420px; border-top: 1px solid var(--t-line); }
  .rows th:first-child { width: 48px; } .rows th { position: sticky; top: 0; background: var(--vscode-editor-background); }
  .rows .num { padding-right: 12px; }
  .cell { max-height: 4.2em; overflow: hidden; white-space: pre-wrap; overflow-wrap: anywhere; }
  tr.bad td { background: var(--vscode-inputValidation-warningBackground, transparent); } tr.bad vscode-icon { vertical-align: text-bottom; }
  @container (max-width: 560px) {
    .sides { grid-template-columns: 1fr; }
    .values { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
    .values div { display: inline; } .values div + div::before { content: " · "; color: var(--t-muted); }
    .actions { margin-top: 8px; }
  }
`;
