import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { build } from "esbuild";
import { cache, root } from "../../scripts/lib/run.mjs";
import { startVsCode } from "./vscode";

/** What one test inside the extension host came to. */
export interface Outcome {
  name: string;
  ok: boolean;
  milliseconds: number;
  error?: string;
}

/** Where suites run: `*.empty.test.ts` in an empty folder, in which nothing activates the extension by itself, the others in the demo workspace. */
export type Place = "empty" | "demo";

/** Bundles the suites of one place for the extension host. Returns the folder; its index.js is what VS Code is given. */
export async function bundleSuites(place: Place): Promise<string> {
  const folder = path.join(cache, "integration", place);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const sources = readdirSync(path.join(root, "test/integration")).filter((file) => file === "index.ts" || (file.endsWith(".test.ts") && file.endsWith(".empty.test.ts") === (place === "empty")));
  if (sources.length < 2) throw new Error(`test/integration has no suites for ${place}.`);
  await build({
    absWorkingDir: root,
    entryPoints: sources.map((file) => path.join("test/integration", file)),
    outdir: folder,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "cjs",
    external: ["vscode", "mocha"],
    sourcemap: "inline",
    logLevel: "error",
  });
  return folder;
}

/** What the suites in `folder` wrote when they ran. */
export function readOutcomes(folder: string): Outcome[] {
  const file = path.join(folder, "results.json");
  if (!existsSync(file)) throw new Error("The suites inside VS Code ended without results: the extension host did not run them to the end.");
  return JSON.parse(readFileSync(file, "utf8")) as Outcome[];
}

/** The folder that the suites of a place are run on; a copy of it is opened. */
export function workspaceOf(place: Place): string {
  if (place === "demo") return path.join(root, "demo");
  const folder = path.join(cache, "run", "empty");
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Runs all suites in a real VS Code's extension host. */
export async function runInHost(options: { developmentPath: string; minutes?: number; log?: (line: string) => void }): Promise<Outcome[]> {
  return [...(await runPlace("empty", options)), ...(await runPlace("demo", options))];
}

async function runPlace(place: Place, options: { developmentPath: string; minutes?: number; log?: (line: string) => void }): Promise<Outcome[]> {
  const folder = await bundleSuites(place);
  let finish: (code: number) => void = () => undefined;
  const exit = new Promise<number>((resolve) => (finish = resolve));
  const code = await startVsCode(
    { workspace: workspaceOf(place), fresh: true, developmentPath: options.developmentPath, testsPath: path.join(folder, "index.js") },
    {
      beforeLoad: async (page) => {
        await page.exposeFunction("codeAutomationExit", (status: number) => finish(status));
        await page.exposeFunction("codeAutomationLog", (_level: string, args: unknown[]) => options.log?.(args.map(String).join(" ")));
      },
    },
  );
  try {
    const minutes = options.minutes ?? 10;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`The suites inside VS Code did not end in ${minutes} minutes.`)), minutes * 60_000);
    });
    await Promise.race([exit, late]);
    clearTimeout(timer);
    return readOutcomes(folder);
  } catch (error) {
    await code.screenshot("in-host-failure");
    throw error;
  } finally {
    await code.dispose();
  }
}
