import { css } from "lit";

export const styles = css`
  :host { display: flex; flex-direction: column; height: 100vh; overflow: hidden; background: var(--vscode-editor-background); }
  .body { flex: 1; min-height: 0; display: grid; }
  .body.narrow { grid-template-rows: minmax(0, 1fr); }
  .body.narrow.split { grid-template-rows: minmax(0, 3fr) minmax(0, 2fr); }
  .body.narrow > tillage-row-detail { grid-column: 1 / -1; border-top: 1px solid var(--t-line); }
  .table { display: flex; flex-direction: column; min-width: 0; min-height: 0; }
  .bar { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 8px; min-height: 36px; padding: 4px 8px; border-bottom: 1px solid var(--t-line); }
  .count { white-space: nowrap; }
  .chips { display: flex; flex: 1 1 auto; flex-wrap: wrap; align-items: center; gap: 4px; min-width: 0; }
  .chips .link { margin-left: 4px; font-size: 12px; white-space: nowrap; }
  .chip { display: inline-flex; align-items: center; gap: 2px; max-width: 260px; height: 20px; padding: 0 2px 0 8px; border-radius: 10px; font-size: 12px;
    background: var(--vscode-badge-background); color: var(--vscode-badge-foreground); border: 1px solid var(--vscode-contrastBorder, transparent); }
  .chip span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  .chip button { display: inline-flex; padding: 1px; border: 0; border-radius: 8px; background: none; color: inherit; cursor: pointer; }
  .chip vscode-icon { color: inherit; }
  .chip button:hover { background: var(--vscode-toolbar-hoverBackground); }
  .actions { display: flex; align-items: center; gap: 4px; margin-left: auto; }
  .grid-wrap { position: relative; flex: 1; min-height: 0; display: grid; }
  .note { display: flex; align-items: center; gap: 8px; padding: 4px 12px; border-bottom: 1px solid var(--t-line); background: var(--vscode-editorWidget-background); }
  .note span { flex: 1; overflow-wrap: anywhere; }
  .note vscode-icon:first-child { color: var(--vscode-editorInfo-foreground, var(--t-accent)); }
  .note.failed vscode-icon:first-child { color: var(--t-bad); }
  .note.kept vscode-icon:first-child { color: var(--t-good); }
  .state { flex: 1; display: flex; flex-direction: column; align-items: center; justify-content: center; gap: 4px; padding: 24px; text-align: center; }
  .state h2 { margin: 8px 0 0; font-size: 15px; font-weight: 600; }
  .state p { margin: 0; max-width: 64ch; overflow-wrap: anywhere; }
  .state vscode-button { margin-top: 12px; }
  .state vscode-progress-bar { width: 240px; margin-top: 12px; }
  .state .buttons { display: flex; gap: 8px; }
  .state .code { margin-top: 16px; font-size: 11px; font-family: var(--t-mono); }
  .state .bad { color: var(--t-bad); }
  .state > vscode-icon { color: var(--t-muted); }
  .state > vscode-icon.bad { color: var(--t-bad); }
  .over { position: absolute; inset: 25px 0 0; background: var(--vscode-editor-background); }
`;
