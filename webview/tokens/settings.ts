import { html, nothing } from "lit";
import type { TemplateResult } from "lit";
import type { LossOn, Template } from "../../src/protocol/native.gen";
import type { TokensApi, TokensSettings, TokensState } from "../../src/protocol/tokens-panel";
import type { Calls } from "../shared/rpc";
import { escaped, unescaped } from "./format-text";

const TEMPLATES: readonly [Template["kind"], string][] = [["plain", "plain"], ["chat", "chat template"], ["format", "own format"]];
const LOSSES: readonly [LossOn, string][] = [["completion", "completion"], ["assistant", "assistant turns"], ["all", "all tokens"]];
const BROWSE = "\u0000browse";

/** Which model, template, label mask and context the row is shown for. */
export function settingsView(host: TokensState, calls: Calls<TokensApi>, call: (work: Promise<unknown>) => void): TemplateResult {
  const { settings } = host;
  const set = (change: Partial<TokensSettings>): void => call(calls.setSettings({ ...settings, ...change }));
  const value = (event: Event): string => (event.target as HTMLInputElement).value;
  const pickModel = (event: Event): void => {
    const path = value(event);
    call(path === BROWSE ? calls.browseModel(null) : calls.pickModel({ path }));
  };
  const { template } = settings;
  const isText = "text" in host.row;
  // Of answers that are compared or judged, the answers count, whatever the rows of other shapes do.
  const isJudged = "rejected" in host.row || "label" in host.row;
  const loss = isText ? "all" : isJudged ? "completion" : settings.lossOn;
  const fixed = isText ? "A text has no completion: all of it is trained on" : isJudged ? "Of answers that are compared or judged, the answers count" : undefined;
  return html`<div class="bar">
    <label>model
      <vscode-single-select class="model" data-testid="tokens-model" .value=${host.model?.path ?? ""} @change=${pickModel}>
        ${host.models.map((model) => html`<vscode-option value=${model.path} ?selected=${model.path === host.model?.path}>${model.label}</vscode-option>`)}
        <vscode-option value=${BROWSE}>another folder…</vscode-option>
      </vscode-single-select>
    </label>
    <label>template
      <vscode-single-select data-testid="tokens-template" .value=${template.kind} @change=${(event: Event) => set({ template: templateOf(value(event)) })}>
        ${TEMPLATES.map(([kind, label]) => html`<vscode-option value=${kind} ?selected=${kind === template.kind}>${label}</vscode-option>`)}
      </vscode-single-select>
    </label>
    ${template.kind === "format" ? html`<vscode-textfield class="format" data-testid="tokens-format" .value=${escaped(template.prompt)} title="The prompt's format; {prompt} is the row's prompt, \\n a new line" @change=${(event: Event) => set({ template: { kind: "format", prompt: unescaped(value(event)) } })}></vscode-textfield>` : nothing}
    <label>loss on
      <vscode-single-select data-testid="tokens-loss" .value=${loss} ?disabled=${fixed !== undefined} title=${fixed ?? "Which tokens the loss counts"} @change=${(event: Event) => set({ lossOn: value(event) as LossOn })}>
        ${LOSSES.map(([kind, label]) => html`<vscode-option value=${kind} ?selected=${kind === loss}>${label}</vscode-option>`)}
      </vscode-single-select>
    </label>
    <label>context
      <vscode-textfield class="context" type="number" min="1" data-testid="tokens-context" .value=${String(settings.context)} @change=${(event: Event) => set({ context: Math.max(1, Math.round(Number(value(event)) || settings.context)) })}></vscode-textfield>
    </label>
    ${host.settingsFrom === null ? nothing : html`<span class="muted" data-testid="tokens-settings-from">as in ${host.settingsFrom}</span>`}
  </div>`;
}

function templateOf(kind: string): Template {
  if (kind === "format") return { kind: "format", prompt: "{prompt}" };
  return { kind: kind === "chat" ? "chat" : "plain" };
}
