import path from "node:path";
import { sourceShapes } from "../../core/recipe";
import type { Shape } from "../../protocol/corpus";

/** A `where` step as YAML, for `addStep`. `only` names the source that it is about where a recipe has several. */
export function whereStep(sql: string, only?: string): string {
  const step = `where: ${yamlString(sql)}`;
  return only === undefined ? step : `${step}\nonly: [${only}]`;
}

/** The text of a recipe that reads one file and keeps the rows of a predicate. */
export function newRecipe(recipeFile: string, corpusFile: string, shape: Shape, sql: string): string {
  const relative = path.relative(path.dirname(recipeFile), corpusFile).split(path.sep).join("/");
  const as = (sourceShapes as readonly string[]).includes(shape) ? `, as: ${shape}` : "";
  const files = /^[\w./-]+$/u.test(relative) ? relative : yamlString(relative);
  return `tillage: 1\nsources:\n  ${sourceName(corpusFile)}: { files: ${files}${as} }\nsteps:\n  - ${whereStep(sql)}\n`;
}

/** A file's stem as a source's name: letters, digits, - and _, not starting with a digit. */
export function sourceName(file: string): string {
  const name = path.basename(file).replace(/\.[^.]+$/u, "").replace(/[^\w-]+/gu, "_").replace(/^_+|_+$/gu, "");
  return /^[A-Za-z_]/u.test(name) ? name : `source_${name}`;
}

/** JSON's strings are YAML's double-quoted ones. */
function yamlString(text: string): string {
  return JSON.stringify(text);
}
