import { css } from "lit";

/** Which two on top, what differs below, then the rows and the one that is chosen. Changes are told by sign as well as by colour. */
export const styles = css`
  :host { display: flex; flex-direction: column; height: 100vh; overflow: auto; container-type: inline-size; }
  .sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
  h2 { font-size: 1em; font-weight: 600; margin: 0 0 8px; }
  h3 { font-size: 1em; font-weight: 600; margin: 0 0 4px; }
  .head { display: flex; flex-wrap: wrap; gap: 8px 16px; align-items: center; padding: 12px 16px 8px; flex: none; }
  .side-of { display: flex; flex-wrap: wrap; gap: 0 8px; align-items: baseline; }
  .name { font-size: 1.1em; font-weight: 600; }
  .counts { display: flex; flex-wrap: wrap; gap: 8px 12px; align-items: center; padding: 4px 16px 12px; flex: none; border-bottom: 1px solid var(--t-line); }
  .counts b { font-size: 1.25em; font-weight: 600; }
  .count { padding: 4px 12px; border: 1px solid var(--t-line); border-radius: 4px; background: none; color: inherit; font: inherit; cursor: pointer; }
  .count:hover:enabled { background: var(--t-hover); }
  .count:disabled { opacity: 0.55; cursor: default; }
  .count[aria-pressed="true"], .chip[aria-pressed="true"] { background: var(--vscode-badge-background); color: var(--vscode-badge-foreground); border-color: var(--vscode-contrastBorder, transparent); }
  .count.added b { color: var(--t-good); } .count.removed b { color: var(--t-bad); } .count.changed b { color: var(--t-warn); }
  .count[aria-pressed="true"] b, .chip[aria-pressed="true"] .muted { color: inherit; }
  .same { padding: 4px 8px; }
  .overview { display: grid; grid-template-columns: minmax(320px, 1fr) minmax(420px, 1fr); gap: 0 24px; padding: 12px 16px; flex: none; }
  .chips { display: flex; flex-wrap: wrap; gap: 8px; margin-bottom: 8px; }
  .chip { padding: 2px 8px; border: 1px solid var(--t-line); border-radius: 12px; background: none; color: inherit; font: inherit; cursor: pointer; }
  .chip:hover { background: var(--t-hover); }
  .reasons { max-height: 168px; overflow: auto; }
  .cause { display: grid; grid-template-columns: 16px minmax(96px, 160px) 1fr 80px 64px; gap: 0 8px; align-items: center; width: 100%; min-height: 24px; padding: 0 4px; border: 0; background: none; color: inherit; font: inherit; text-align: left; cursor: pointer; }
  .cause:hover { background: var(--t-hover); }
  .cause[aria-pressed="true"], .item.active { background: var(--vscode-list-activeSelectionBackground); color: var(--vscode-list-activeSelectionForeground); outline: 1px solid var(--vscode-contrastActiveBorder, transparent); outline-offset: -1px; }
  .item.active .muted, .item.active .sign { color: inherit; opacity: 0.85; }
  .cause .step, .cause .why { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  .sign { font-weight: 700; } .sign.added { color: var(--t-good); } .sign.removed { color: var(--t-bad); } .sign.changed { color: var(--t-warn); }
  .flow { display: flex; height: 8px; }
  .flow .added { background: var(--t-good); } .flow .removed { background: repeating-linear-gradient(135deg, var(--t-bad) 0 2px, transparent 2px 5px); border: 1px solid var(--t-bad); } .flow .changed { background: var(--t-warn); }
  .shift + .shift { margin-top: 16px; }
  .key { font-weight: 400; color: var(--t-muted); margin-left: 8px; }
  .swatch { display: inline-block; width: 10px; height: 10px; margin-left: 8px; }
  .before.swatch, .bar.before, .box.before { background: none; border: 1px solid var(--t-muted); background-image: repeating-linear-gradient(90deg, var(--t-muted) 0 1px, transparent 1px 4px); }
  .after.swatch, .bar.after, .box.after { background: var(--t-accent); border: 1px solid var(--t-accent); }
  table.shares { border-collapse: collapse; width: 100%; }
  .shares th { font-weight: 400; text-align: left; padding: 0 12px 4px 0; color: var(--t-muted); white-space: nowrap; }
  .shares th.num { text-align: right; }
  .shares tbody th { color: inherit; }
  .shares td { padding: 2px 0 2px 12px; }
  .shares td.bars { padding-left: 0; width: 40%; }
  .bar { display: block; height: 7px; min-width: 1px; } .bar.after { margin-top: 1px; }
  .lengths { display: grid; grid-template-columns: auto 1fr auto; gap: 4px 12px; align-items: center; }
  .plot { position: relative; height: 14px; }
  .plot i { position: absolute; top: 0; height: 14px; }
  .plot .line { top: 6px; height: 2px; background: var(--t-muted); }
  .plot .box { opacity: 0.85; background-color: var(--vscode-editor-background); } .plot .box.after { background-color: var(--t-accent); }
  .plot .median { width: 2px; background: var(--vscode-foreground); }
  .axis { display: flex; justify-content: space-between; border-top: 1px solid var(--t-line); font-size: 0.9em; }
  .filters { display: flex; flex-wrap: wrap; gap: 8px 12px; align-items: center; padding: 8px 16px; flex: none; border-top: 1px solid var(--t-line); }
  .search { width: 220px; margin-left: auto; }
  .panes { flex: 1; min-height: 280px; display: grid; grid-template-columns: minmax(280px, 2fr) 3fr; border-top: 1px solid var(--t-line); }
  .list { min-height: 0; overflow: hidden; border-right: 1px solid var(--t-line); }
  .list:focus-visible { outline-offset: -1px; }
  lit-virtualizer { height: 100%; }
  .item { width: 100%; padding: 4px 12px 6px 16px; border-bottom: 1px solid var(--t-line); cursor: pointer; }
  .item:hover:not(.active) { background: var(--t-hover); }
  .item-head { display: flex; gap: 8px; align-items: baseline; white-space: nowrap; overflow: hidden; }
  .where { margin-left: auto; padding-left: 8px; }
  .item-text { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  .detail { min-height: 0; overflow: auto; padding: 12px 16px; }
  .detail-head { display: flex; flex-wrap: wrap; gap: 4px 12px; align-items: baseline; }
  .detail-head h2 { font-size: 1.05em; margin: 0; }
  .facts { display: grid; grid-template-columns: auto 1fr; gap: 2px 12px; margin: 8px 0; overflow-wrap: anywhere; }
  .facts button.link { text-align: left; }
  .detail-actions { display: flex; flex-wrap: wrap; gap: 8px; margin-bottom: 12px; }
  .text { white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.5; }
  .pair { display: grid; grid-template-columns: 1fr 1fr; gap: 16px; }
  mark { color: inherit; border-radius: 2px; }
  mark.gone { background: var(--vscode-diffEditor-removedTextBackground, transparent); border-bottom: 2px dotted var(--t-bad); }
  mark.came { background: var(--vscode-diffEditor-insertedTextBackground, transparent); border-bottom: 2px solid var(--t-good); }
  @container (max-width: 820px) {
    .overview, .pair { grid-template-columns: 1fr; gap: 16px; }
    .panes { grid-template-columns: none; grid-template-rows: minmax(140px, 1fr) minmax(240px, 1.3fr); }
    .list { border-right: 0; border-bottom: 1px solid var(--t-line); }
  }
`;
