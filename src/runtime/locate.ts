import { accessSync, constants } from "node:fs";
import path from "node:path";
import { TillageError } from "../protocol/errors";

/** The engine's file name on this platform. */
export const engineFileName = process.platform === "win32" ? "tillage-native.exe" : "tillage-native";

/**
 * Finds `tillage-native`: the setting (the caller passes it in trusted workspaces only), the packaged one, a development build.
 * @param distDir the folder of the bundles, in which `native/` lies
 * @throws `engine_missing` when there is none that can be executed
 */
export function locateEngine(distDir: string, setting?: string): string {
  const candidates = setting ? [setting] : [path.join(distDir, "native", engineFileName), path.join(distDir, "..", "native", "target", "release", engineFileName)];
  for (const file of candidates) {
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      continue;
    }
  }
  throw setting
    ? TillageError.user("engine_missing", `The engine that tillage.native.path names, ${setting}, is not there or cannot be executed.`, "Correct the setting, or empty it to use the engine that comes with Tillage.")
    : TillageError.environment("engine_missing", "The engine tillage-native was not found beside the extension.", "Install Tillage for this platform, or build it with `npm run build:native`.");
}
