import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

/** The folder whose `.tillage` a file belongs to: the nearest one at or above it that holds `.tillage` or `.git`, else the file's own. */
export function workspaceRoot(file: string): string {
  return enclosingWorkspace(file) ?? path.dirname(path.resolve(file));
}

/** As `workspaceRoot`, but undefined where no folder above holds `.tillage` or `.git`. */
export function enclosingWorkspace(file: string): string | undefined {
  for (let folder = path.dirname(path.resolve(file)); ; folder = path.dirname(folder)) {
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

/** Where what is computed from a file is kept: the workspace's `.tillage/cache`, or the system's temporary folder for a file outside any workspace or on a read-only disk. */
export function cacheFolder(file: string): string {
  const root = enclosingWorkspace(file);
  if (root !== undefined) {
    try {
      return tillageFolder(root, "cache", "browse");
    } catch {
      // A workspace that cannot be written to is browsed all the same, from a cache elsewhere.
    }
  }
  const folder = path.join(os.tmpdir(), `tillage-cache-${os.userInfo().username}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
}
