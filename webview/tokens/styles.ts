import { css } from "lit";

/** Trained and masked differ by border, weight and pattern as well as by colour. */
export const styles = css`
  :host { display: flex; flex-direction: column; gap: 12px; padding: 12px 16px 24px; min-height: 100vh; }
  .busy { height: 4px; margin: -12px -16px -8px; }
  .bar { display: flex; flex-wrap: wrap; gap: 8px 16px; align-items: center; }
  .bar label { display: inline-flex; gap: 8px; align-items: center; }
  .bar vscode-single-select { width: 160px; }
  .bar vscode-single-select.model { width: 240px; }
  .bar vscode-textfield.context { width: 88px; }
  .bar vscode-textfield.format { width: 260px; font-family: var(--t-mono); }
  .origin { display: flex; gap: 8px; align-items: center; }
  .inputs { display: grid; gap: 8px; grid-template-columns: repeat(auto-fit, minmax(260px, 1fr)); }
  .inputs label { display: grid; gap: 4px; color: var(--t-muted); }
  .inputs .calls { display: flex; flex-direction: column; gap: 4px; color: var(--t-muted); overflow-wrap: anywhere; }
  .inputs .calls .mono { color: var(--vscode-foreground); padding: 6px 0; }
  .inputs textarea {
    field-sizing: content; min-height: 32px; max-height: 160px; resize: vertical; padding: 6px 8px; font-family: var(--t-mono); font-size: var(--vscode-editor-font-size, 13px);
    color: var(--vscode-input-foreground); background: var(--vscode-input-background); border: 1px solid var(--vscode-input-border, var(--t-line));
  }
  h2 { margin: 4px 0 -4px; font-size: inherit; font-weight: 600; }
  .counts { display: flex; flex-wrap: wrap; gap: 4px 24px; align-items: baseline; border-block: 1px solid var(--t-line); padding: 6px 0; }
  .counts b { font-weight: 600; }
  .legend { display: flex; flex-wrap: wrap; gap: 8px 16px; align-items: center; color: var(--t-muted); }
  .tokens { font-family: var(--t-mono); font-size: var(--vscode-editor-font-size, 13px); line-height: 2; overflow-wrap: anywhere; padding: 4px 0; }
  .token {
    display: inline; padding: 2px 1px; margin: 0 1px 0 0; border: 0 solid transparent; border-bottom-width: 2px; border-radius: 2px; white-space: pre-wrap; cursor: default;
    box-decoration-break: clone; -webkit-box-decoration-break: clone;
  }
  .token.trained { border-bottom: 2px solid var(--t-accent); background: color-mix(in srgb, var(--t-accent) 18%, transparent); font-weight: 600; }
  .token.trained.odd { background: color-mix(in srgb, var(--t-accent) 30%, transparent); }
  .token.masked { border-bottom: 2px dotted var(--t-muted); color: var(--t-muted); }
  .token.masked.odd { background: color-mix(in srgb, var(--vscode-foreground) 7%, transparent); }
  .token.special { border: 1px solid currentColor; border-radius: 8px; padding: 1px 5px; font-size: 0.9em; }
  .token.cut { text-decoration: line-through; opacity: 0.55; border-bottom: 2px solid transparent; background: none; font-weight: 400; }
  .token:hover, .token.active { outline: 1px solid var(--vscode-focusBorder); outline-offset: 0; }
  .symbol { opacity: 0.5; font-weight: 400; }
  .edge { display: flex; gap: 8px; align-items: center; color: var(--t-warn); font-family: var(--vscode-font-family); margin: 4px 0; }
  .edge::before, .edge::after { content: ""; flex: 1; border-top: 2px dashed var(--t-warn); }
  .about { position: sticky; bottom: 0; padding: 6px 0; background: var(--vscode-editor-background); border-top: 1px solid var(--t-line); min-height: 32px; }
  details > summary { cursor: pointer; color: var(--t-muted); }
  pre { margin: 8px 0 0; padding: 8px 12px; white-space: pre-wrap; overflow-wrap: anywhere; background: var(--vscode-textCodeBlock-background); font-family: var(--t-mono); }
  .sample { padding: 0 6px; }
`;
