import { css } from "lit";

export const styles = css`
  :host { display: block; padding: 12px 16px 24px; max-width: 1600px; margin: 0 auto; }
  h1 { font-size: 1.25em; font-weight: 600; margin: 0; }
  h2 { font-size: inherit; font-weight: 600; margin: 0 0 4px; }
  section { margin-top: 16px; }
  .waiting { padding: 24px; text-align: center; }
  .title { display: flex; flex-wrap: wrap; gap: 4px 12px; align-items: center; }
  .facts { flex: 1 1 200px; }
  .actions { display: inline-flex; gap: 8px; }
  .phase { display: inline-flex; align-items: center; gap: 4px; }
  .phase.completed { color: var(--t-good); }
  .phase.failed { color: var(--vscode-errorForeground); }
  .phase.interrupted, .phase.stopping { color: var(--vscode-editorWarning-foreground, var(--t-warn)); }
  .phase vscode-icon { color: inherit; }

  button.action {
    display: inline-flex; align-items: center; gap: 4px; padding: 3px 10px; font: inherit; cursor: pointer; border-radius: 2px;
    color: var(--vscode-button-secondaryForeground); background: var(--vscode-button-secondaryBackground);
    border: 1px solid var(--vscode-button-border, transparent);
  }
  button.action:hover:enabled { background: var(--vscode-button-secondaryHoverBackground); }
  button.action.primary { color: var(--vscode-button-foreground); background: var(--vscode-button-background); }
  button.action.primary:hover:enabled { background: var(--vscode-button-hoverBackground); }
  button.action:disabled { opacity: 0.5; cursor: default; }
  button.action vscode-icon { color: inherit; }

  .bar { height: 4px; border-radius: 2px; overflow: hidden; margin: 8px 0; background: var(--vscode-editorWidget-border, var(--t-line)); }
  .bar div { height: 100%; background: var(--vscode-progressBar-background, var(--t-accent)); transition: width 0.2s; }
  .bar.completed div { background: var(--t-good); }
  .bar.failed div { background: var(--t-bad); }
  .bar.stopped div, .bar.interrupted div { background: var(--t-muted); }
  @media (prefers-reduced-motion: reduce) { .bar div { transition: none; } }

  dl.numbers { display: flex; flex-wrap: wrap; gap: 4px 24px; margin: 0 0 12px; }
  dl.numbers dt { color: var(--t-muted); font-size: 12px; }
  dl.numbers dd { margin: 0; font-size: 1.1em; white-space: nowrap; }

  .main { display: grid; grid-template-columns: minmax(0, 7fr) minmax(240px, 3fr); gap: 24px; align-items: start; }
  @media (max-width: 900px) { .main { grid-template-columns: minmax(0, 1fr); } }
  .notes { display: grid; grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); gap: 0 24px; }
  .notes p { margin: 4px 0; }
  .notes ul { list-style: none; margin: 0; padding: 0; max-height: 200px; overflow: auto; }
  .notes li { display: flex; gap: 6px; padding: 3px 0; }
  .notes li vscode-icon, .warn vscode-icon { color: var(--vscode-editorWarning-foreground, var(--t-warn)); flex: none; }

  .problem {
    display: flex; gap: 8px; margin: 8px 0 12px; padding: 8px 12px; border-radius: 4px;
    background: var(--vscode-inputValidation-errorBackground, transparent); border: 1px solid var(--vscode-inputValidation-errorBorder, var(--t-bad));
    color: var(--vscode-inputValidation-errorForeground, var(--vscode-foreground));
  }
  .problem.mild {
    background: var(--vscode-inputValidation-warningBackground, transparent); border-color: var(--vscode-inputValidation-warningBorder, var(--t-warn));
    color: var(--vscode-inputValidation-warningForeground, var(--vscode-foreground));
  }
  .problem vscode-icon { color: var(--vscode-errorForeground); flex: none; }
  .problem.mild vscode-icon { color: var(--vscode-editorWarning-foreground, var(--t-warn)); }
  .problem p { margin: 0 0 2px; overflow-wrap: anywhere; }
  .problem .what { font-weight: 600; }
  .problem .actions { display: flex; gap: 16px; margin-top: 6px; }
  .problem .muted { color: inherit; opacity: 0.8; }

  .preflight { max-width: 760px; }
  .doing { display: flex; flex-wrap: wrap; gap: 4px 8px; align-items: center; margin-top: 12px; }
  .doing .bar { flex: 1 1 100%; }
  .guards { list-style: none; margin: 0; padding: 0; }
  .guards > li { display: flex; gap: 8px; padding: 4px 0; }
  .guards > li > vscode-icon { flex: none; margin-top: 1px; }
  .guards .ok > vscode-icon { color: var(--t-good); }
  .guards .overridden > vscode-icon { color: var(--vscode-editorWarning-foreground, var(--t-warn)); }
  .guards .blocked > vscode-icon { color: var(--vscode-errorForeground); }
  .rows { margin: 4px 0; padding-left: 16px; }
  table.plan { border-collapse: collapse; width: 100%; }
  table.plan th { text-align: left; font-weight: 400; padding: 4px 16px 4px 0; white-space: nowrap; }
  table.plan td { padding: 4px 16px 4px 0; border-top: 0; }
  table.plan td:last-child { width: 100%; }
  table.plan tr + tr > * { border-top: 1px solid var(--t-line); }
  .meter { display: inline-block; vertical-align: middle; width: 96px; height: 6px; border-radius: 3px; overflow: hidden; background: var(--t-line); }
  .meter i { display: block; height: 100%; background: var(--t-accent); }
  .meter.over i { background: var(--t-bad); }
  .warn { display: flex; gap: 6px; align-items: center; }
  .buttons { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; margin: 20px 0 0; }
`;
