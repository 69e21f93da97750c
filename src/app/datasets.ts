/** Which built dataset is meant. */
import { existsSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { datasetsDir, stem } from "../disk/layout";
import { TillageError } from "../protocol/errors";

/** The datasets that were built in a workspace, newest first, as `recipe@hash`. */
export function builtDatasets(root: string): string[] {
  const folder = datasetsDir(root);
  if (!existsSync(folder)) return [];
  const built = readdirSync(folder).filter((name) => !name.startsWith(".") && existsSync(path.join(folder, name, "manifest.json")));
  const age = (name: string) => statSync(path.join(folder, name, "manifest.json")).mtimeMs;
  return built.sort((a, b) => age(b) - age(a) || a.localeCompare(b));
}

/**
 * The folder of a dataset that is named by its folder, as `recipe@hash` (a beginning of the hash is enough), or by its recipe: the newest that
 * was built of it. `from` is what paths are relative to.
 *
 * @throws a user's error that lists what there is
 */
export function resolveDataset(root: string, ref: string, from: string): string {
  const folder = path.resolve(from, ref);
  if (existsSync(path.join(folder, "manifest.json"))) return folder;
  const built = builtDatasets(root);
  const name = /\.recipe\.ya?ml$/iu.test(ref) ? `${stem(ref)}@` : ref.includes("@") ? ref : `${ref}@`;
  const found = built.filter((candidate) => candidate.startsWith(name));
  const several = ref.includes("@") && found.length > 1;
  if (found[0] !== undefined && !several) return path.join(datasetsDir(root), found[0]);
  const are = built.length === 0 ? "None was built here yet." : `Built are ${built.slice(0, 8).join(", ")}${built.length > 8 ? ` and ${built.length - 8} more` : ""}.`;
  throw TillageError.user("no_dataset", several ? `'${ref}' may be ${found.join(" or ")}.` : `There is no dataset '${ref}'.`, `${are} Name one, its folder, or its recipe.`);
}

/** The dataset that was built of the same recipe before the one in this folder. */
export function previousBuild(dataset: string): string | undefined {
  const root = path.resolve(dataset, "..", "..", "..");
  const [recipe = ""] = path.basename(dataset).split("@");
  const same = builtDatasets(root).filter((name) => name.split("@")[0] === recipe);
  const at = same.indexOf(path.basename(dataset));
  const before = at < 0 ? undefined : same[at + 1];
  return before === undefined ? undefined : path.join(datasetsDir(root), before);
}
