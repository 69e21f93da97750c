import path from "node:path";
import { inject } from "vitest";
import { root } from "../../scripts/lib/run.mjs";
import { startVsCode } from "../harness/vscode";
import type { VsCode } from "../harness/vscode";

declare module "vitest" {
  export interface ProvidedContext {
    /** The package under test. */
    vsix: string;
    /** A copy of the demo workspace in which the whole loop has run once. */
    loop: string;
  }
}

/** The demo workspace as it is shipped: nothing has been built in it. */
export const fresh = path.join(root, "demo");

/** The demo workspace after the loop: datasets, two runs, and the answers at each stage. */
export const loop = (): string => inject("loop");

/** VS Code with the packaged extension installed, on a copy of a workspace. */
export function open(workspace: string): Promise<VsCode> {
  return startVsCode({ workspace, fresh: workspace === fresh, vsix: inject("vsix") });
}

/** The same on the workspace itself: for tests that look at models, whose files name each other by full paths. */
export function openInPlace(workspace: string): Promise<VsCode> {
  return startVsCode({ workspace, inPlace: true, vsix: inject("vsix") });
}

/** The same in a folder that nobody has trusted. */
export function openUntrusted(workspace: string): Promise<VsCode> {
  return startVsCode({ workspace, fresh: workspace === fresh, vsix: inject("vsix"), untrusted: true });
}

/** Takes a picture before a failed test goes on to the next, and closes the window at the end. */
export async function pictureOfFailure(code: VsCode | undefined, context: { task: { name: string; result?: { state?: string } } }): Promise<void> {
  if (code && context.task.result?.state === "fail") await code.screenshot(`failed-${context.task.name.replaceAll(/[^a-z0-9]+/gi, "-").slice(0, 60)}`);
}
