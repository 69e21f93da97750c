import { css } from "lit";

/** Layers from the files on top down to the models; the edges lie behind them. */
export const styles = css`
  :host { display: block; padding: 12px 16px 32px; min-width: 360px; }
  h1 { font-size: 1.15em; font-weight: 600; margin: 0; }
  .head { display: flex; flex-wrap: wrap; gap: 4px 16px; align-items: baseline; margin-bottom: 16px; }
  .graph { position: relative; display: grid; gap: 28px; max-width: 1200px; margin: 0 auto; }
  .edges { position: absolute; inset: 0; pointer-events: none; }
  .edges path { fill: none; stroke: var(--t-muted); stroke-width: 1.25; opacity: 0.55; }
  .edges path.lit { stroke: var(--t-accent); stroke-width: 2.5; opacity: 1; }
  .layer { position: relative; display: grid; grid-template-columns: 64px 1fr; align-items: center; }
  .title { color: var(--t-muted); }
  .nodes { display: flex; flex-wrap: wrap; gap: 16px 24px; justify-content: center; padding-right: 64px; }
  .node { position: relative; flex: 0 1 auto; min-width: 170px; max-width: 380px; background: var(--vscode-editorWidget-background, var(--vscode-editor-background)); border: 1px solid var(--vscode-editorWidget-border, var(--t-line)); border-radius: 4px; }
  .node.step, .node.mix { width: 380px; }
  .node.source, .node.split { border-color: var(--t-accent); }
  .node:hover, .node:focus-within { border-color: var(--vscode-focusBorder); }
  .main { display: grid; width: 100%; gap: 2px; padding: 6px 12px; border: 0; background: none; color: inherit; font: inherit; font-variant-numeric: tabular-nums; text-align: left; cursor: pointer; }
  .main[aria-disabled="true"] { cursor: default; }
  .main:hover .label { color: var(--vscode-textLink-foreground); } .main[aria-disabled="true"]:hover .label { color: inherit; }
  .main:focus-visible { outline-offset: -1px; }
  .label { font-weight: 600; overflow-wrap: anywhere; padding-right: 88px; } .file .label, .eval .label, .source .label, .split .label, .run .label, .model .label { padding-right: 0; }
  .label vscode-icon { vertical-align: text-bottom; }
  .fact { color: var(--t-muted); overflow-wrap: anywhere; font-size: 0.95em; }
  .fact.warn { color: var(--vscode-editorWarning-foreground, var(--t-warn)); } .fact.warn vscode-icon { vertical-align: text-bottom; color: inherit; }
  .receipts { position: absolute; top: 6px; right: 12px; }
  .bar { display: flex; height: 6px; margin: 2px 12px 8px; background: var(--vscode-scrollbarSlider-background, transparent); }
  .kept { background: var(--t-accent); opacity: 0.8; }
  .gone { border: 1px solid var(--t-bad); border-left: 0; background: repeating-linear-gradient(135deg, var(--t-bad) 0 2px, transparent 2px 5px); }
  .none { text-align: center; margin: 0; }
`;
