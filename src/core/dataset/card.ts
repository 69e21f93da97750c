import { stringify } from "yaml";
import { formatPercent } from "../format";
import type { GuardResult, MixTable, StepCount } from "../../protocol/corpus";

/** What a dataset's card tells: the parts of its manifest that do not depend on a machine. */
export interface CardFacts {
  recipe: { name: string; text: string };
  hash: string;
  files: readonly { source: string; path: string; sha256: string }[];
  evals: readonly { path: string }[];
  ngram: number;
  sources: readonly { name: string; rows: number; badRows: number; tokens: number }[];
  steps: readonly StepCount[];
  mix: MixTable;
  split: readonly { name: string; rows: number; tokens: number }[];
  guards: readonly GuardResult[];
}

/** The hub's name of a side of the split. */
export const hubSplit = (side: string): string => (side === "valid" ? "validation" : side);

const bounds: readonly [number, string][] = [[1e3, "1K"], [1e4, "10K"], [1e5, "100K"], [1e6, "1M"], [1e7, "10M"], [1e8, "100M"], [1e9, "1B"], [1e10, "10B"], [1e11, "100B"], [1e12, "1T"]];

/** The hub's size category of a number of rows. */
export function sizeCategory(rows: number): string {
  const at = bounds.findIndex(([bound]) => rows < bound);
  if (at < 0) return "n>1T";
  return at === 0 ? "n<1K" : `${bounds[at - 1]?.[1] ?? ""}<n<${bounds[at]?.[1] ?? ""}`;
}

const number = (value: number): string => value.toLocaleString("en-US");
const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");

function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [`| ${head.join(" | ")} |`, `|${head.map(() => "---|").join("")}`, ...rows.map((row) => `| ${row.map(cell).join(" | ")} |`)].join("\n");
}

/**
 * The README.md of a dataset folder as the Hugging Face hub reads it: which files are which split, and below it what the rows were made from and
 * what each step took out.
 */
export function datasetCard(facts: CardFacts): string {
  const rows = facts.split.reduce((sum, side) => sum + side.rows, 0);
  const header = stringify({
    configs: [{ config_name: "default", data_files: facts.split.filter((side) => side.rows > 0).map(({ name }) => ({ split: hubSplit(name), path: `data/${hubSplit(name)}-*` })) }],
    size_categories: [sizeCategory(rows)],
  });
  const fence = "`".repeat(Math.max(3, ...[...facts.recipe.text.matchAll(/`+/gu)].map((run) => run[0].length + 1)));
  const parts = [
    `---\n${header}---\n`,
    `# ${facts.recipe.name}\n`,
    `Built by Tillage from the recipe at the end of this page (\`${facts.hash}\`). The sources' licences hold for their rows; name them here before you publish.\n`,
    tableOf(["split", "rows", "tokens"], facts.split.map((side) => [hubSplit(side.name), number(side.rows), number(side.tokens)])),
    "\n## Sources\n",
    tableOf(["source", "rows", "tokens", "unreadable rows", "files (SHA-256)"], facts.sources.map((source) => {
      const files = facts.files.filter((file) => file.source === source.name);
      const listed = files.slice(0, 5).map((file) => `\`${file.path}\` (${file.sha256.slice(0, 12)})`).join(", ");
      return [source.name, number(source.rows), number(source.tokens), number(source.badRows), files.length > 5 ? `${listed} and ${files.length - 5} more` : listed];
    })),
  ];
  if (facts.steps.length > 0) {
    parts.push("\n## Steps\n", tableOf(["step", "rows in", "rows out", "changed", "why"], facts.steps.map((step) => [step.step, number(step.in), number(step.out), number(step.changed), step.reasons.map((reason) => `${reason.reason} ${number(reason.rows)}`).join(", ")])));
  }
  if (facts.mix.rows.length > 1) {
    parts.push("\n## Mix\n", tableOf([facts.mix.by, "rows", "tokens", "share of the training tokens", "epochs"], facts.mix.rows.map((row) => [row.group, number(row.rows), number(row.tokens), formatPercent(row.shareWanted), row.epochs.toFixed(2)])));
  }
  if (facts.evals.length > 0) parts.push(`\n## Evaluations\n\nThe training rows were compared with ${facts.evals.map((entry) => `\`${entry.path}\``).join(", ")} by n-grams of ${facts.ngram} words.`);
  const told = facts.guards.filter((guard) => !guard.ok);
  if (told.length > 0) parts.push("\n## Known problems\n", ...told.map((guard) => `- ${guard.guard}: ${guard.message}`));
  return `${[...parts, "\n## Recipe\n", `${fence}yaml`, facts.recipe.text.trimEnd(), fence].join("\n")}\n`;
}
