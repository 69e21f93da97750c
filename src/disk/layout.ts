/** Where things lie in a workspace. Files are the truth; `.tillage/` can be deleted and made again, except for runs and evals. */
import { existsSync, lstatSync, mkdirSync, mkdtempSync, statSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

/** The folder whose `.tillage` a file or folder belongs to: the nearest one at or above it that holds `.tillage` or `.git`, else its own. */
export function workspaceRoot(fileOrFolder: string): string {
  return enclosingWorkspace(fileOrFolder) ?? ownFolder(fileOrFolder);
}

function ownFolder(fileOrFolder: string): string {
  const absolute = path.resolve(fileOrFolder);
  return statSync(absolute, { throwIfNoEntry: false })?.isDirectory() ? absolute : path.dirname(absolute);
}

/** As `workspaceRoot`, but undefined where no folder above holds `.tillage` or `.git`. */
export function enclosingWorkspace(fileOrFolder: string): string | undefined {
  for (let folder = ownFolder(fileOrFolder); ; folder = path.dirname(folder)) {
    if (existsSync(path.join(folder, ".tillage")) || existsSync(path.join(folder, ".git"))) return folder;
    if (path.dirname(folder) === folder) return undefined;
  }
}

/** Makes `<root>/.tillage/<name>` and keeps all of `.tillage` out of git. */
export function tillageFolder(root: string, ...names: string[]): string {
  const base = path.join(root, ".tillage");
  mkdirSync(base, { recursive: true });
  const ignore = path.join(base, ".gitignore");
  if (!existsSync(ignore)) writeFileSync(ignore, "*\n");
  const folder = path.join(base, ...names);
  mkdirSync(folder, { recursive: true });
  return folder;
}

/**
 * Where what is computed from a file is kept: the folder that `TILLAGE_CACHE` names (where a workspace is not to be written to), the
 * workspace's `.tillage/cache`, or the system's temporary folder for a file outside any workspace or on a read-only disk.
 */
export function cacheFolder(file: string, kind: "browse" | "steps" = "browse"): string {
  const given = process.env["TILLAGE_CACHE"];
  if (given) return subfolder(privateFolder(given), kind);
  const root = enclosingWorkspace(file);
  if (root !== undefined) {
    try {
      return tillageFolder(root, "cache", kind);
    } catch {
      // A workspace that cannot be written to is looked at all the same, from a cache elsewhere.
    }
  }
  return subfolder(privateFolder(path.join(os.tmpdir(), `tillage-cache-${process.getuid?.() ?? "user"}`)), kind);
}

function subfolder(folder: string, name: string): string {
  const made = path.join(folder, name);
  mkdirSync(made, { recursive: true, mode: 0o700 });
  return made;
}

/** A folder that only this user reads. In a shared temporary folder somebody else may have made one of that name first: then another is made. */
function privateFolder(folder: string): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const found = lstatSync(folder);
  const ours = process.getuid === undefined || (found.uid === process.getuid() && (found.mode & 0o077) === 0);
  return found.isDirectory() && ours ? folder : mkdtempSync(`${folder}-`);
}

export const runsDir = (root: string): string => path.join(root, ".tillage", "runs");
export const evalsDir = (root: string): string => path.join(root, ".tillage", "evals");
export const datasetsDir = (root: string): string => path.join(root, ".tillage", "datasets");
export const reportsDir = (root: string): string => path.join(root, ".tillage", "reports");

/** The stem of `tune.run.yaml` is `tune`. */
export function stem(file: string): string {
  return path.basename(file).replace(/\.(run|recipe|eval)\.ya?ml$/u, "");
}
