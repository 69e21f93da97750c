import { css } from "lit";

/** What every panel shares: VS Code's variables only, a 4 px grid, tabular figures, one accent. */
export const theme = css`
  :host {
    color: var(--vscode-foreground);
    font: var(--vscode-font-size, 13px) / 1.4 var(--vscode-font-family, sans-serif);
    font-variant-numeric: tabular-nums;
    --t-accent: var(--vscode-charts-blue, var(--vscode-focusBorder));
    --t-good: var(--vscode-charts-green, var(--vscode-testing-iconPassed));
    --t-bad: var(--vscode-charts-red, var(--vscode-testing-iconFailed));
    --t-warn: var(--vscode-charts-yellow, var(--vscode-editorWarning-foreground));
    --t-muted: var(--vscode-descriptionForeground);
    --t-line: var(--vscode-panel-border, var(--vscode-contrastBorder, rgba(128, 128, 128, 0.35)));
    --t-hover: var(--vscode-list-hoverBackground);
    --t-mono: var(--vscode-editor-font-family, monospace);
  }
  *, *::before, *::after { box-sizing: border-box; }
  a { color: var(--vscode-textLink-foreground); }
  button.link {
    border: 0; padding: 0; background: none; color: var(--vscode-textLink-foreground); font: inherit; cursor: pointer;
  }
  button.link:hover { text-decoration: underline; }
  :focus-visible { outline: 1px solid var(--vscode-focusBorder); outline-offset: 1px; }
  .muted { color: var(--t-muted); }
  .mono { font-family: var(--t-mono); }
  .num { text-align: right; white-space: nowrap; }
`;
