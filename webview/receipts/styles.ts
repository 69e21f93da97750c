import { css } from "lit";

/** Head and steps on top; below them the rows, and beside these the one that is chosen. Differences are marked by line as well as by colour. */
export const styles = css`
  :host { display: flex; flex-direction: column; height: 100vh; overflow: auto; container-type: inline-size; }
  .busy { height: 4px; flex: none; }
  h1 { font-size: 1.15em; font-weight: 600; margin: 0; }
  h2 { font-size: 1.05em; font-weight: 600; margin: 0; }
  h3 { font-size: 1em; font-weight: 600; margin: 0 0 4px; }
  .head { display: flex; flex-wrap: wrap; gap: 4px 20px; align-items: baseline; padding: 8px 16px; flex: none; }
  .guards { list-style: none; margin: 0 16px 8px; padding: 0; display: flex; flex-direction: column; gap: 4px; max-height: 128px; overflow: auto; flex: none; }
  .guards > li { display: flex; flex-wrap: wrap; gap: 4px 8px; align-items: baseline; }
  .guards vscode-icon { align-self: center; }
  .guards .ok { color: var(--t-good); } .guards .warn { color: var(--t-warn); }
  .guards summary { cursor: pointer; color: var(--vscode-textLink-foreground); }
  .guards ul { margin: 4px 0; }
  .steps { flex: none; max-height: 32vh; overflow: auto; border-block: 1px solid var(--t-line); }
  .step {
    display: grid; grid-template-columns: minmax(120px, 160px) 72px 72px 72px 72px minmax(80px, 140px) 1fr; gap: 0 12px; align-items: center; width: 100%; min-height: 24px; padding: 0 16px;
    border: 0; background: none; color: inherit; font: inherit; font-variant-numeric: tabular-nums; text-align: left; cursor: pointer;
  }
  .step-head { color: var(--t-muted); cursor: default; border-bottom: 1px solid var(--t-line); position: sticky; top: 0; background: var(--vscode-editor-background); }
  button.step:hover { background: var(--t-hover); }
  button.step:focus-visible { outline-offset: -1px; }
  button.step[aria-selected="true"], .item.active { background: var(--vscode-list-activeSelectionBackground); color: var(--vscode-list-activeSelectionForeground); outline: 1px solid var(--vscode-contrastActiveBorder, transparent); outline-offset: -1px; }
  button.step[aria-selected="true"] .muted, .item.active .muted { color: inherit; opacity: 0.85; }
  .loss { font-weight: 600; }
  .why { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  .flow { display: flex; height: 8px; }
  .kept { background: var(--t-accent); opacity: 0.7; }
  .gone { border: 1px solid var(--t-bad); border-left: 0; background: repeating-linear-gradient(135deg, var(--t-bad) 0 2px, transparent 2px 5px); }
  .gone[style="width: 0%"] { border: 0; }
  .filters { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; padding: 8px 16px; flex: none; max-height: 96px; overflow: auto; }
  .chip { padding: 2px 8px; border: 1px solid var(--t-line); border-radius: 12px; background: none; color: inherit; font: inherit; cursor: pointer; }
  .chip:hover { background: var(--t-hover); }
  .chip[aria-pressed="true"] { background: var(--vscode-badge-background); color: var(--vscode-badge-foreground); border-color: var(--vscode-contrastBorder, transparent); }
  .chip[aria-pressed="true"] .muted { color: inherit; }
  .search { width: 200px; margin-left: auto; }
  .panes { flex: 1; min-height: 300px; display: grid; grid-template-columns: minmax(260px, 2fr) 3fr; border-top: 1px solid var(--t-line); }
  .list { min-height: 0; overflow: hidden; border-right: 1px solid var(--t-line); }
  .list:focus-visible { outline-offset: -1px; }
  lit-virtualizer { height: 100%; }
  .item { width: 100%; padding: 4px 12px 6px 16px; border-bottom: 1px solid var(--t-line); cursor: pointer; }
  .item:hover:not(.active) { background: var(--t-hover); }
  .item-head { display: flex; gap: 8px; align-items: baseline; white-space: nowrap; overflow: hidden; }
  .reason { font-weight: 600; overflow: hidden; text-overflow: ellipsis; }
  .where { margin-left: auto; padding-left: 8px; }
  .effect { font-size: 0.85em; padding: 0 5px; border: 1px solid currentColor; border-radius: 8px; opacity: 0.85; }
  .effect.changed, .effect.flagged, .effect.weighted { border-style: dashed; }
  .value { overflow: hidden; text-overflow: ellipsis; }
  .item-text { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  .detail { min-height: 0; overflow: auto; padding: 12px 16px; }
  .detail-head { display: flex; flex-wrap: wrap; gap: 4px 12px; align-items: baseline; }
  .detail-head .value { white-space: normal; overflow-wrap: anywhere; }
  .facts { display: grid; grid-template-columns: auto 1fr; gap: 2px 12px; margin: 8px 0; overflow-wrap: anywhere; }
  .detail-actions { display: flex; gap: 8px; margin-bottom: 12px; }
  .text { white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.5; }
  .pair { display: grid; grid-template-columns: 1fr 1fr; gap: 16px; }
  .facts button.link { text-align: left; }
  mark { color: inherit; border-radius: 2px; }
  mark.found { background: var(--vscode-editor-findMatchHighlightBackground); border-bottom: 2px solid var(--t-warn); }
  mark.gone { background: var(--vscode-diffEditor-removedTextBackground, transparent); border-bottom: 2px dotted var(--t-bad); }
  mark.kept { background: var(--vscode-diffEditor-insertedTextBackground, transparent); border-bottom: 2px solid var(--t-good); }
  .none { padding: 16px; }
  @container (max-width: 720px) {
    .step { grid-template-columns: minmax(100px, 1fr) 56px 56px 60px 60px; }
    .step > :nth-child(n + 6) { display: none; }
    .panes { grid-template-columns: none; grid-template-rows: minmax(140px, 1fr) minmax(240px, 1.3fr); }
    .list { border-right: 0; border-bottom: 1px solid var(--t-line); }
    .pair { grid-template-columns: none; }
  }
`;
