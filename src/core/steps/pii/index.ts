import { z } from "zod";
import { oneOrMore } from "../../recipe/field";
import { defineStep } from "../definition";
import { piiPlan } from "./sql";

export const piiKinds = ["email", "ip", "phone", "card", "iban", "secret"] as const;

/** Redacts, drops or flags rows with personal data. */
export const pii = defineStep({
  key: "pii",
  schema: z.strictObject({
    action: z.enum(["redact", "drop", "flag"]).default("redact"),
    kinds: oneOrMore(z.enum(piiKinds)).default([...piiKinds]),
  }),
  field: {
    doc: "**pii**: finds e-mail addresses, IP addresses, phone numbers, payment cards (Luhn), IBANs (mod 97), and secrets: keys and tokens of well-known services (AWS, GitHub, GitLab, Slack, Stripe, Google, OpenAI, Anthropic, Hugging Face, npm, PyPI and others), JSON web tokens and private keys, each by its format and its check sum where it has one. Passwords have no format and are not found. `redact` replaces them by `<EMAIL>` and so on, `drop` drops the row, `flag` only writes a receipt.\n\n```yaml\n- pii: { action: redact, kinds: [email, phone] }\n```",
    snippet: "{ action: ${1|redact,drop,flag|}, kinds: [${2:email, ip, phone, card, iban, secret}] }",
    fields: {
      action: { doc: "`redact` replaces what is found by its kind, `drop` drops the row, `flag` writes a receipt and changes nothing. Default `redact`.", values: ["redact", "drop", "flag"] },
      kinds: { doc: "What to look for. Default: all of `email, ip, phone, card, iban, secret`.", snippet: "[${1:email, phone}]", items: { doc: "kind of personal data", values: piiKinds } },
    },
  },
  snippets: [{ label: "pii", insert: "pii: { action: ${1|redact,drop,flag|}, kinds: [${2:email, ip, phone, card, iban, secret}] }", detail: "Redact, drop or flag personal data" }],
  title: (config) => `pii ${config.action}`,
  plan: piiPlan,
});
