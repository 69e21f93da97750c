import { css } from "lit";

/** The mixer's layout: one grid for head and rows, so that columns line up; narrow panels drop what can be spared. */
export const styles = css`
  :host { display: block; padding: 12px 16px 24px; container-type: inline-size; }
  .busy { height: 4px; margin: -12px -16px 8px; }
  .waiting { padding: 8px 0; }
  .budget { display: flex; flex-wrap: wrap; gap: 8px 24px; align-items: center; padding-bottom: 12px; }
  .field { display: inline-flex; gap: 8px; align-items: center; }
  .field vscode-textfield { width: 124px; }
  .chinchilla { display: inline-flex; gap: 8px; align-items: center; flex-wrap: wrap; }
  .meter { width: 120px; height: 8px; border: 1px solid var(--t-line); background: var(--vscode-editorWidget-background); }
  .meter-fill { height: 100%; background: var(--t-accent); }
  .meter-fill.full { background: var(--t-good); }
  .synthetic { display: flex; flex-wrap: wrap; gap: 8px 12px; align-items: center; padding-bottom: 12px; }
  .synthetic .meter { position: relative; }
  .synthetic .words { flex: 1 1 260px; }
  .synthetic.unmet vscode-icon { color: var(--t-warn); vertical-align: text-bottom; }
  .meter-limit { position: absolute; top: -4px; bottom: -4px; width: 2px; margin-left: -1px; background: var(--vscode-foreground); }
  .named { display: flex; flex-direction: column; min-width: 0; }
  .row:not(.head):not(.total) .about, .most { color: var(--t-muted); font-size: 0.85em; font-weight: normal; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  .most { display: block; }
  .limits { margin: 8px 4px 0; }
  .notice {
    display: flex; flex-wrap: wrap; gap: 8px; align-items: center; padding: 8px 12px; margin-bottom: 12px;
    border: 1px solid var(--vscode-inputValidation-warningBorder, var(--t-line)); background: var(--vscode-inputValidation-warningBackground, transparent);
    color: var(--vscode-inputValidation-warningForeground, inherit);
  }
  .notice > span { flex: 1 1 260px; }
  .notice vscode-icon, .epochs vscode-icon { color: var(--t-warn); }
  .row {
    display: grid; gap: 0 16px; align-items: center; min-height: 32px; padding: 0 4px;
    grid-template-columns: minmax(110px, 1.2fr) 72px 72px minmax(110px, 1fr) minmax(190px, 2fr) 96px 64px;
  }
  .row:not(.head):not(.total):hover { background: var(--t-hover); }
  .head { color: var(--t-muted); border-bottom: 1px solid var(--t-line); }
  .total { border-top: 1px solid var(--t-line); color: var(--t-muted); }
  .wanted-head { padding-left: 72px; }
  .group { display: flex; gap: 4px; align-items: center; min-width: 0; }
  .name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  .total .group, .head .group { padding-left: 28px; }
  .lock { width: 24px; height: 24px; display: grid; place-items: center; padding: 0; border: 0; border-radius: 4px; background: none; color: var(--t-muted); cursor: pointer; opacity: 0.55; }
  .lock:hover, .lock:focus-visible, .lock[aria-pressed="true"] { opacity: 1; }
  .lock:hover { background: var(--vscode-toolbar-hoverBackground); }
  .lock[aria-pressed="true"] { color: var(--vscode-foreground); }
  .now { display: flex; gap: 8px; align-items: center; }
  .percent { width: 44px; }
  .bar { flex: 1; height: 8px; background: var(--vscode-editorWidget-background); border: 1px solid var(--t-line); }
  .bar > span { display: block; height: 100%; background: var(--t-accent); opacity: 0.6; }
  .wanted { display: flex; gap: 8px; align-items: center; }
  .typed {
    width: 64px; padding: 2px 6px; font: inherit; font-variant-numeric: tabular-nums; border-radius: 2px;
    color: var(--vscode-input-foreground); background: var(--vscode-input-background); border: 1px solid var(--vscode-input-border, var(--t-line));
  }
  .slider { flex: 1; min-width: 80px; height: 20px; margin: 0; appearance: none; background: none; cursor: pointer; }
  .slider::-webkit-slider-runnable-track {
    height: 4px; border-radius: 2px;
    background: linear-gradient(to right, var(--t-accent) var(--fill), var(--vscode-scrollbarSlider-background) var(--fill));
  }
  .slider::-webkit-slider-thumb {
    appearance: none; width: 14px; height: 14px; margin-top: -5px; border-radius: 50%; background: var(--t-accent);
    border: 2px solid var(--vscode-editor-background); box-shadow: 0 0 0 1px var(--t-accent);
  }
  .slider:disabled { opacity: 0.4; cursor: default; }
  .epochs.over { font-weight: 600; }
  .epochs vscode-icon { vertical-align: text-bottom; }
  .footer { display: flex; flex-wrap: wrap; gap: 8px 12px; align-items: center; padding-top: 16px; }
  .by { display: inline-flex; gap: 8px; align-items: center; }
  .by vscode-single-select { width: 150px; }
  .note { flex: 1 1 200px; }
  @container (max-width: 820px) {
    .row { grid-template-columns: minmax(84px, 1fr) 60px 60px minmax(90px, 1fr) minmax(170px, 2fr) 56px; gap: 0 10px; }
    .mixed { display: none; }
  }
  /* Too narrow for one line: what a group has stands above, its two shares below. */
  @container (max-width: 600px) {
    .row { grid-template: "group rows tokens epochs" auto "now wanted wanted wanted" auto / minmax(0, 1fr) 72px 72px 72px; gap: 2px 10px; padding: 6px 4px; }
    .group { grid-area: group; } .rows { grid-area: rows; } .tokens { grid-area: tokens; } .epochs { grid-area: epochs; } .now { grid-area: now; } .wanted { grid-area: wanted; }
    .row:not(.head):not(.total) .group { font-weight: 600; }
    .row:not(.head) .now { padding-left: 28px; }
    .row:not(.total):not(.head) { border-bottom: 1px solid var(--t-line); }
    .total { border-top: 0; }
    .total .now, .total .wanted { display: none; }
    .head .now { padding-left: 28px; }
    .wanted-head { padding-left: 0; }
  }
`;
