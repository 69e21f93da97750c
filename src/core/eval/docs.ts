/** What each key of an eval file means, for completion and hover. */
import type { KeyDocs } from "../yaml-complete";

export const evalDocs: KeyDocs = {
  tillage: { doc: "Version of this format: 1.", values: ["1"] },
  title: { doc: "Shown to people." },
  template: { doc: "Overrides the template that each model was trained with: `plain`, `chat`, or a form with `{prompt}`.", values: ["plain", "chat"], keys: { prompt: { doc: "A text with `{prompt}` in it." } } },
  max_new_tokens: { doc: "Longest answer, tokens. Default 64." },
  temperature: { doc: "0 always takes the likeliest token. Default 0." },
  seed: { doc: "Seed of the sampling, where the temperature is not 0. Default 1." },
  prompts: {
    doc: "What is asked.",
    items: {
      id: { doc: "A stable name; every prompt has its own." },
      prompt: { doc: "The question." },
      expect: {
        doc: "When an answer passes; all conditions together.",
        keys: {
          contains: { doc: "Every one of these is in the answer, as whole words; case, white space and thousands separators do not matter." },
          lacks: { doc: "None of these is in the answer." },
          exact: { doc: "The whole answer." },
          regex: { doc: "A regular expression that the answer matches; case does not matter." },
        },
      },
      answer: { doc: "For the reader: what a right answer says." },
      tags: { doc: "Words to group prompts by, such as `[glaze]`." },
    },
  },
};
