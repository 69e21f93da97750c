import { html, LitElement } from "lit";
import type { TemplateResult } from "lit";
import { customElement, property } from "lit/decorators.js";
import { formatDuration } from "../shared/format";

/** Seconds since a moment, counting. */
@customElement("tillage-elapsed")
export class Elapsed extends LitElement {
  /** Milliseconds since the epoch. */
  @property({ type: Number }) since = Date.now();
  private timer: number | undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    this.timer = window.setInterval(() => this.requestUpdate(), 1000);
  }

  override disconnectedCallback(): void {
    window.clearInterval(this.timer);
    super.disconnectedCallback();
  }

  override render(): TemplateResult {
    const seconds = (Date.now() - this.since) / 1000;
    return html`${seconds < 2 ? "" : `· ${formatDuration(seconds)}`}`;
  }
}
