// Takes the README's pictures from those that the end-to-end tests made.
// usage: npm test -- --only e2e && node scripts/pictures.mjs
import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import path from "node:path";

const root = path.resolve(import.meta.dirname, "..");
const made = path.join(root, "test/e2e/screenshots");
const target = path.join(root, "media/pictures");
/** Name in the README ← name of the test's picture. */
const pictures = {
  "corpus.png": "corpus-dark.png",
  "recipe.png": "recipe-light.png",
  "mixer.png": "mixer-moved-dark.png",
  "receipts.png": "receipts-detail-light.png",
  "tokens.png": "tokens-dark.png",
  "preflight.png": "preflight-light.png",
  "training.png": "training-dark.png",
  "compare.png": "compare-light.png",
  "eval.png": "eval-comment-dark.png",
  "explorer.png": "explorer-light.png",
};

mkdirSync(target, { recursive: true });
const missing = Object.values(pictures).filter((name) => !existsSync(path.join(made, name)));
if (missing.length > 0) {
  console.error(`The end-to-end tests have not made ${missing.join(", ")} yet. Run \`npm test -- --only e2e\` first.`);
  process.exit(1);
}
for (const [name, from] of Object.entries(pictures)) copyFileSync(path.join(made, from), path.join(target, name));
