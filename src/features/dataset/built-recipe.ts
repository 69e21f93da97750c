import * as vscode from "vscode";
import { z } from "zod";

/** The scheme of recipes as they were when a dataset was built. */
export const BUILT_RECIPE = "tillage-built-recipe";

/** Recipes as they were when a dataset was built of them, to read. */
export function provideBuiltRecipes(): vscode.Disposable {
  return vscode.workspace.registerTextDocumentContentProvider(BUILT_RECIPE, {
    provideTextDocumentContent: async (uri) => {
      const { readManifest } = await import("../../data/build/manifest");
      const { dataset } = z.object({ dataset: z.string() }).parse(JSON.parse(uri.query));
      return readManifest(dataset).recipe.text;
    },
  });
}
