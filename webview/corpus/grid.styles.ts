import { css } from "lit";

export const HEAD_HEIGHT = 25;

export const gridStyles = css`
  :host { display: block; min-width: 0; min-height: 0; overflow: hidden; position: relative; }
  .scroller { height: 100%; overflow: auto; outline: none; position: relative; }
  .scroller:focus-visible { outline: 1px solid var(--vscode-focusBorder); outline-offset: -1px; }
  .head { position: sticky; top: 0; z-index: 4; display: flex; height: ${HEAD_HEIGHT}px; background: var(--vscode-editor-background); border-bottom: 1px solid var(--t-line); }
  .spacer { position: relative; }
  .row { position: absolute; left: 0; top: 0; display: flex; height: 24px; width: 100%; background: var(--vscode-editor-background); cursor: default; }
  .row.hoverable:hover .cell { background: var(--t-hover); }
  .row.selected .cell { background: var(--vscode-list-inactiveSelectionBackground); color: var(--vscode-list-inactiveSelectionForeground, inherit); }
  .scroller:focus .row.selected .cell { background: var(--vscode-list-activeSelectionBackground); color: var(--vscode-list-activeSelectionForeground); }
  .row.active .cell { box-shadow: inset 0 1px 0 var(--vscode-contrastActiveBorder, transparent), inset 0 -1px 0 var(--vscode-contrastActiveBorder, transparent); }
  .cell { flex: none; padding: 0 8px; line-height: 24px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; background: var(--vscode-editor-background); }
  .cell.num { text-align: right; }
  .cell.derived { color: var(--t-muted); }
  .cell.null::before { content: "–"; color: var(--vscode-disabledForeground, var(--t-muted)); }
  .cell.flag { color: var(--t-warn); }
  .index { position: sticky; left: 0; z-index: 1; text-align: right; color: var(--vscode-editorLineNumber-foreground, var(--t-muted)); border-right: 1px solid var(--t-line); }
  .row.selected .index { color: inherit; }
  .head .index { z-index: 2; line-height: ${HEAD_HEIGHT - 1}px; font-size: 11px; }
  .col { position: relative; flex: none; display: flex; background: var(--vscode-editor-background); }
  .col button { flex: 1; min-width: 0; display: flex; align-items: center; gap: 4px; padding: 0 8px; border: 0; background: none; color: inherit; font: inherit; font-weight: 600; font-size: 12px; cursor: pointer; text-align: left; }
  .col button:hover { background: var(--t-hover); }
  .col button:focus-visible { outline-offset: -1px; }
  .col.num button { flex-direction: row-reverse; }
  .col .name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  .col.derived .name { font-weight: 400; font-style: italic; }
  .col .sash { position: absolute; top: 0; bottom: 0; right: -4px; width: 8px; cursor: col-resize; z-index: 1; touch-action: none; }
  .col .sash::after { content: ""; position: absolute; left: 3px; top: 6px; bottom: 6px; width: 1px; background: var(--t-line); }
  .col .sash:hover::after, .col .sash.dragging::after { top: 0; bottom: 0; width: 2px; background: var(--vscode-sash-hoverBorder, var(--vscode-focusBorder)); }
  .wait { display: inline-block; height: 8px; width: 60%; border-radius: 4px; background: var(--t-muted); opacity: 0.18; }
  mark { color: inherit; background: var(--vscode-editor-findMatchHighlightBackground); outline: 1px solid var(--vscode-editor-findMatchHighlightBorder, transparent); }
  .busy { position: absolute; z-index: 5; top: ${HEAD_HEIGHT - 1}px; left: 0; right: 0; height: 2px; overflow: hidden; opacity: 0; animation: appear 0s 200ms forwards; }
  .busy::after { content: ""; display: block; width: 20%; height: 100%; background: var(--vscode-progressBar-background, var(--t-accent)); animation: slide 1.2s linear infinite; }
  @keyframes appear { to { opacity: 1; } }
  @keyframes slide { from { transform: translateX(-100%); } to { transform: translateX(600%); } }
  @media (prefers-reduced-motion: reduce) { .busy::after { animation: none; width: 100%; opacity: 0.5; } }
`;
