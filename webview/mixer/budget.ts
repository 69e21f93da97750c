import { html, nothing } from "lit";
import type { TemplateResult } from "lit";
import type { MixResult } from "../../src/core/mix";
import { syntheticWords } from "../../src/core/mix/words";
import { chinchilla, CHINCHILLA_TOKENS_PER_PARAMETER } from "../../src/core/model-size";
import { formatTokens } from "../../src/core/recipe/quantity";
import type { MixerModel, MixerState } from "../../src/protocol/mixer-panel";
import { formatPercent, formatScaled } from "../shared/format";
import { formatTimes } from "./row";

const SOURCE = "Hoffmann et al. 2022, “Training Compute-Optimal Large Language Models”, arXiv:2203.15556: for a fixed amount of compute, a model is best trained on about 20 tokens a parameter.";

export interface BudgetActions {
  setBudget: (text: string) => void;
  setParameters: (text: string) => void;
}

/** The budget against the model's size, as a meter that is full at Chinchilla's 20 tokens a parameter. */
export function budgetView(host: MixerState, mix: MixResult, actions: BudgetActions): TemplateResult {
  const value = (event: Event): string => (event.target as HTMLInputElement).value;
  return html`<div class="budget" data-testid="mixer-budget-bar">
    <label class="field">budget
      <vscode-textfield data-testid="mixer-budget" .value=${formatTokens(mix.wantedTokens)} title="Tokens of the training rows, repeats included"
        @change=${(event: Event) => actions.setBudget(value(event))}></vscode-textfield>
    </label>
    <label class="field">model
      <vscode-textfield data-testid="mixer-parameters" .value=${host.model ? formatScaled(host.model.parameters) : ""} placeholder="such as 1.1M"
        title="Parameters of the model; leave it empty to take them from the run file" @change=${(event: Event) => actions.setParameters(value(event))}></vscode-textfield>
      <span class="muted" data-testid="mixer-model-from">${origin(host.model)}</span>
    </label>
    ${host.model ? meter(host.model, mix.budgetTokens) : nothing}
  </div>`;
}

/** Synthetic rows' share of the tokens now and in the mix, against its limit; nothing where the recipe sets none. */
export function syntheticView(host: MixerState, mix: MixResult): TemplateResult | typeof nothing {
  const { synthetic } = mix;
  if (!synthetic) return nothing;
  const words = syntheticWords(synthetic);
  return html`<div class="synthetic ${synthetic.unmet ? "unmet" : ""}" data-testid="mixer-synthetic">
    <span>synthetic <span class="muted">by ${host.syntheticColumn ?? ""}</span></span>
    <div class="meter" role="meter" aria-label="Synthetic share of the mixed tokens" aria-valuemin="0" aria-valuemax="100" aria-valuenow=${(synthetic.mixed * 100).toFixed(1)} aria-valuetext=${words}>
      <div class="meter-fill" style="width: ${synthetic.mixed * 100}%"></div><div class="meter-limit" style="left: ${synthetic.limit * 100}%" title="limit ${formatPercent(synthetic.limit)}"></div>
    </div>
    <span class="words">${synthetic.unmet ? html`<vscode-icon name="warning"></vscode-icon> ` : nothing}${words}</span>
  </div>`;
}

function origin(model: MixerModel | null): string {
  if (!model) return "parameters (no run file names this recipe)";
  return model.from === "typed" ? "parameters" : `parameters · ${model.from}`;
}

function meter(model: MixerModel, tokens: number): TemplateResult {
  const { ratio, part: full } = chinchilla(tokens, model.parameters, model.epochs);
  const epochs = model.epochs === undefined || model.epochs === 1 ? "" : ` in ${formatTimes(model.epochs)} epochs`;
  const text = `${formatTimes(ratio)} tokens a parameter${epochs}`;
  const tuning = model.objective !== undefined && model.objective !== "pretrain";
  return html`<div class="chinchilla" title=${SOURCE}>
    <span data-testid="mixer-ratio">${text}</span>
    <div class="meter" role="meter" aria-label="Tokens a parameter against Chinchilla's 20" aria-valuemin="0" aria-valuemax=${CHINCHILLA_TOKENS_PER_PARAMETER} aria-valuenow=${Math.min(ratio, CHINCHILLA_TOKENS_PER_PARAMETER).toFixed(1)} aria-valuetext=${text}>
      <div class="meter-fill ${full >= 1 ? "full" : ""}" style="width: ${Math.min(100, full * 100)}%"></div>
    </div>
    <span class="muted">${formatPercent(full)} of <a href="https://arxiv.org/abs/2203.15556">Chinchilla’s ${CHINCHILLA_TOKENS_PER_PARAMETER}</a>${tuning ? ", a rule for pretraining; this run tunes" : ""}</span>
  </div>`;
}
