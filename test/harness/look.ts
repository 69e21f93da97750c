import path from "node:path";
import { pathToFileURL } from "node:url";
import { Command, Option } from "commander";
import { root } from "../../scripts/lib/run.mjs";
import { startVsCode } from "./vscode";
import type { Theme, VsCode } from "./vscode";

interface LookOptions {
  workspace: string;
  extension: string;
  vsix?: string;
  open?: string;
  with?: string;
  command?: string[];
  theme: string;
  out: string;
  script?: string;
  wait: string;
  size: string;
}

/** Opens a workspace, does the steps, takes a picture in each theme, prints what the pages complained about. */
export async function main(argv: string[]): Promise<void> {
  const program = new Command("look")
    .description("Opens the extension in a real VS Code and takes a picture of it.")
    .requiredOption("--workspace <dir>", "workspace folder; a copy of it is opened")
    .option("--extension <dir>", "unpacked extension to load", root)
    .option("--vsix <file>", "install this package instead of loading a folder")
    .option("--open <file>", "file to open, relative to the workspace")
    .option("--with <editor>", "editor to open it with, as the picker of editors names it")
    .option("--command <title...>", "commands to run, by their title in the palette")
    .option("--script <file>", "module whose default export is called with the VsCode object, before the picture")
    .option("--wait <ms>", "time to wait before the picture", "2000")
    .option("--size <WxH>", "size of the window", "1440x900")
    .addOption(new Option("--theme <list>", "light, dark, hc, or several with commas").default("dark"))
    .requiredOption("--out <file.png>", "where to write the picture; with several themes the theme goes before .png");
  program.parse(argv, { from: "user" });
  const options = program.opts<LookOptions>();
  const list = options.theme.split(",") as Theme[];
  const [width = 1440, height = 900] = options.size.split("x").map(Number);
  const started = Date.now();
  const code = await startVsCode({
    workspace: path.resolve(options.workspace),
    theme: list[0],
    size: { width, height },
    ...(options.vsix ? { vsix: path.resolve(options.vsix) } : { developmentPath: path.resolve(options.extension) }),
  });
  try {
    process.stdout.write(`VS Code stands after ${((Date.now() - started) / 1000).toFixed(1)} s; workspace copy: ${code.workspace}\n`);
    await steps(code, options);
    await code.page.waitForTimeout(Number(options.wait));
    for (const theme of list) {
      if (list.length > 1) await code.setTheme(theme);
      const out = list.length > 1 ? options.out.replace(/(\.png)?$/, `-${theme}.png`) : options.out;
      process.stdout.write(`${await code.screenshot("", path.resolve(out))}\n`);
    }
  } catch (error) {
    process.stdout.write(`at the failure: ${await code.screenshot("", path.resolve(options.out))}\n`);
    throw error;
  } finally {
    for (const line of [...new Set(code.consoleErrors)].slice(0, 20)) process.stdout.write(`console error: ${line.slice(0, 600)}\n`);
    await code.dispose();
  }
}

async function steps(code: VsCode, options: LookOptions): Promise<void> {
  if (options.open) await (options.with ? code.openWith(options.open, options.with) : code.openFile(options.open));
  for (const title of options.command ?? []) await code.runCommand(title);
  if (!options.script) return;
  const module = (await import(pathToFileURL(path.resolve(options.script)).href)) as { default: (code: VsCode) => Promise<void> };
  await module.default(code);
}
