import { css, html, LitElement } from "lit";
import type { TemplateResult } from "lit";
import { customElement, property } from "lit/decorators.js";

/** A border between two panes that is dragged, or moved with the arrow keys by 16 px. Fires `resize-to` with the pane's new width. */
@customElement("tillage-splitter")
export class Splitter extends LitElement {
  static override styles = css`
    :host { position: relative; display: block; width: 1px; background: var(--vscode-panel-border, var(--vscode-contrastBorder, rgba(128, 128, 128, 0.35))); }
    div { position: absolute; inset: 0 -3px; cursor: col-resize; z-index: 5; touch-action: none; }
    div:hover, div:focus-visible, div.dragging { background: var(--vscode-sash-hoverBorder, var(--vscode-focusBorder)); outline: none; }
  `;

  @property() label = "";
  @property({ type: Number }) size = 0;
  @property({ type: Number }) min = 0;
  @property({ type: Number }) max = 1000;
  /** The sized pane lies to the right. */
  @property({ type: Boolean }) reversed = false;

  override render(): TemplateResult {
    return html`<div role="separator" tabindex="0" aria-orientation="vertical" aria-label=${this.label}
      aria-valuenow=${this.size} aria-valuemin=${this.min} aria-valuemax=${this.max}
      @pointerdown=${this.down} @keydown=${this.key}></div>`;
  }

  private down(event: PointerEvent): void {
    const handle = event.currentTarget as HTMLElement;
    const startX = event.clientX;
    const start = this.size;
    handle.setPointerCapture(event.pointerId);
    handle.classList.add("dragging");
    const move = (next: PointerEvent): void => this.resize(start + (next.clientX - startX) * (this.reversed ? -1 : 1));
    const up = (): void => {
      handle.classList.remove("dragging");
      handle.removeEventListener("pointermove", move);
    };
    handle.addEventListener("pointermove", move);
    handle.addEventListener("pointerup", up, { once: true });
    handle.addEventListener("pointercancel", up, { once: true });
  }

  private key(event: KeyboardEvent): void {
    const by = event.key === "ArrowLeft" ? -16 : event.key === "ArrowRight" ? 16 : 0;
    if (by === 0) return;
    event.preventDefault();
    this.resize(this.size + (this.reversed ? -by : by));
  }

  private resize(size: number): void {
    this.dispatchEvent(new CustomEvent("resize-to", { detail: Math.round(Math.min(Math.max(size, this.min), this.max)) }));
  }
}
