import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { chromium } from "playwright-core";
import type { Browser, Frame, Page } from "playwright-core";
import { root } from "../../scripts/lib/run.mjs";
import { ensureBrowser } from "../../scripts/lib/tools.mjs";
import { startServer } from "./server";
import type { Server } from "./server";
import { webviewFrame } from "./webviews";

export type Theme = "light" | "dark" | "hc";
const themes: Record<Theme, { name: string; marker: string }> = {
  light: { name: "Light Modern", marker: ".monaco-workbench.vs" },
  dark: { name: "Dark Modern", marker: ".monaco-workbench.vs-dark" },
  hc: { name: "Default High Contrast", marker: ".monaco-workbench.hc-black" },
};

/** Keeps the window to the extension's own work: no start page, no hints, no chat, nothing that asks the network. */
const quietSettings = {
  "workbench.startupEditor": "none",
  "workbench.tips.enabled": false,
  "workbench.enableExperiments": false,
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "chat.disableAIFeatures": true,
  "extensions.autoCheckUpdates": false,
  "extensions.ignoreRecommendations": true,
  "git.openRepositoryInParentFolders": "never",
  "security.workspace.trust.startupPrompt": "never",
  "telemetry.telemetryLevel": "off",
  "editor.cursorBlinking": "solid",
};

export interface Options {
  /** Copied first, so that the original stays as it is. */
  workspace: string;
  /** Opens the workspace folder itself instead of a copy. */
  inPlace?: boolean;
  /** Leaves out of the copy what was built in the workspace: its `.tillage` folder. */
  fresh?: boolean;
  /** VS Code settings, given as settings of the machine. */
  settings?: Record<string, unknown>;
  /** The packaged extension to install. */
  vsix?: string;
  /** Or: the folder of an unpacked one, loaded as the extension under development. */
  developmentPath?: string;
  /** The bundle that runs inside the extension host and exports `run()`. */
  testsPath?: string;
  /** Opens the workspace untrusted, without asking about it at the start. */
  untrusted?: boolean;
  theme?: Theme;
  /** Window size in CSS pixels; 1440x900 when not given. */
  size?: { width: number; height: number };
}

/** A VS Code window in a browser, with what a person does in it. */
export class VsCode {
  constructor(
    readonly page: Page,
    readonly url: string,
    /** The folder that is open. */
    readonly workspace: string,
    private readonly browser: Browser,
    private readonly server: Server,
    private readonly folder: string,
    private readonly settings: Record<string, unknown>,
    private theme: Theme,
    /** Errors that the page or a webview logged, newest last. */
    readonly consoleErrors: string[],
  ) {}

  /** Another window of the same VS Code, such as one that a command opened. It goes with this one. */
  window(page: Page): VsCode {
    return new VsCode(page, page.url(), this.workspace, this.browser, this.server, this.folder, this.settings, this.theme, this.consoleErrors);
  }

  /** Writes `test/e2e/screenshots/<name>-<theme>.png` and returns its path. */
  async screenshot(name: string, file = path.join(root, "test/e2e/screenshots", `${name}-${this.theme}.png`)): Promise<string> {
    mkdirSync(path.dirname(file), { recursive: true });
    await this.page.screenshot({ path: file, animations: "disabled", caret: "hide" });
    return file;
  }

  /** Takes the picture in light and in dark, and leaves the theme as it was. Returns both paths. */
  async screenshotThemes(name: string): Promise<string[]> {
    const before = this.theme;
    const files: string[] = [];
    for (const theme of ["light", "dark"] as const) {
      if (theme !== this.theme) await this.setTheme(theme);
      files.push(await this.screenshot(name));
    }
    if (before !== this.theme) await this.setTheme(before);
    return files;
  }

  /** Runs a command by its palette title, such as `Tillage: Build Dataset`. Throws when the palette does not list it. */
  async runCommand(title: string): Promise<void> {
    await this.pick(`>${title}`, title, "F1");
  }

  /** Opens a file of the workspace in its default editor. `file` is relative to the workspace. */
  async openFile(file: string): Promise<void> {
    const name = path.basename(file);
    await this.pick(file, name, "Control+P");
    await this.page.locator(".tab.active", { hasText: name }).waitFor({ timeout: 15_000 });
  }

  /** Opens a file with a certain editor, as "Reopen Editor With..." does. */
  async openWith(file: string, editor: string): Promise<void> {
    await this.openFile(file);
    await this.runCommand("View: Reopen Editor With...");
    await this.choose(editor);
  }

  /** Clicks the entry of the open quick pick whose label starts with `label`. */
  async choose(label: string): Promise<void> {
    const row = this.page.locator(".quick-input-list .monaco-list-row", { hasText: label }).first();
    await row.waitFor({ timeout: 15_000 });
    await row.click();
  }

  /** Types into the open input box or quick pick and accepts. */
  async enter(text: string): Promise<void> {
    const input = this.page.locator(".quick-input-widget input.input:visible");
    await input.fill(text);
    await input.press("Enter");
  }

  /** The document inside the visible webview of one panel, by its `data-panel` (`corpus`, `training`), or by its page title. */
  webview(panel: string, timeout = 30_000): Promise<Frame> {
    return webviewFrame(this.page, panel, timeout);
  }

  /** Changes the colour theme and waits until the window has it. */
  async setTheme(theme: Theme): Promise<void> {
    this.theme = theme;
    await this.setSettings({ "workbench.colorTheme": themes[theme].name });
    await this.page.locator(themes[theme].marker).first().waitFor({ timeout: 15_000 });
    // Webviews get the new colours by message, one frame later.
    await this.page.waitForTimeout(700);
  }

  /** Changes settings while VS Code runs. */
  async setSettings(change: Record<string, unknown>): Promise<void> {
    Object.assign(this.settings, change);
    writeFileSync(this.server.settingsFile, JSON.stringify(this.settings, null, 2));
    await this.page.waitForTimeout(100);
  }

  /** Reads a file of the open workspace as text. */
  read(file: string): string {
    return readFileSync(path.join(this.workspace, file), "utf8");
  }

  /** Writes a file of the open workspace, as another program would. */
  write(file: string, text: string): void {
    writeFileSync(path.join(this.workspace, file), text);
  }

  /** The texts of the notifications that are shown. */
  async notifications(): Promise<string[]> {
    return (await this.page.locator(".notifications-toasts .notification-list-item-message").allInnerTexts()).map((text) => text.trim());
  }

  /** Takes all notifications away. */
  async clearNotifications(): Promise<void> {
    await this.runCommand("Notifications: Clear All Notifications");
  }

  /**
   * Loads the window again by "Developer: Reload Window". The browser's own reload is no such thing: the front end puts away every
   * five seconds which editors are open, and what was opened since is lost when the page goes without its knowledge.
   */
  async reload(): Promise<void> {
    const loaded = this.page.waitForEvent("load", { timeout: 60_000 });
    await this.runCommand("Developer: Reload Window");
    await loaded;
    await ready(this.page);
  }

  /** Closes the browser and the server and deletes what they wrote. */
  async dispose(): Promise<void> {
    await this.browser.close();
    await this.server.stop();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  /** Opens the quick input with a key, types, and accepts the row with that label. */
  private async pick(text: string, label: string, key: string): Promise<void> {
    const input = this.page.locator(".quick-input-widget input.input:visible");
    for (let attempt = 0; ; attempt++) {
      // A webview that has the focus passes keys on late; the window itself takes them at once.
      await this.page.evaluate(() => {
        if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
        window.focus();
      });
      await this.page.keyboard.press(key);
      try {
        await input.waitFor({ timeout: 3_000 });
        break;
      } catch (error) {
        if (attempt === 3) throw error;
      }
    }
    const rows = this.page.locator(".quick-input-list .monaco-list-row");
    const row = rows.filter({ has: this.page.locator(".label-name", { hasText: exactly(label) }) }).first();
    // Just after the start the extension host has not said yet what it contributes, and files are still being indexed: ask again.
    for (const until = Date.now() + 20_000; ; ) {
      await input.fill(text);
      try {
        await row.waitFor({ timeout: 2_500 });
        break;
      } catch {
        if (Date.now() < until) {
          await input.fill(text.slice(0, 1));
          continue;
        }
        const seen = await rows.allInnerTexts();
        await this.page.keyboard.press("Escape");
        throw new Error(`VS Code lists no "${label}" for "${text}". It lists: ${seen.slice(0, 8).map((item) => item.replaceAll("\n", " ")).join(" | ") || "nothing"}`);
      }
    }
    await row.click();
    // Gone, or asking something else: a command may go on with a quick pick or an input box of its own.
    for (const until = Date.now() + 10_000; Date.now() < until && (await input.isVisible()); ) {
      if ((await input.inputValue({ timeout: 1_000 }).catch(() => "")) !== text) break;
      await this.page.waitForTimeout(50);
    }
  }
}

function exactly(label: string): RegExp {
  return new RegExp(`^\\s*${label.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")}\\s*$`);
}

/** Waits until the workbench stands and the extension host has answered. */
async function ready(page: Page): Promise<void> {
  await page.locator(".monaco-workbench .activitybar, .monaco-workbench .part.activitybar").first().waitFor({ timeout: 90_000 });
  await page.locator(".monaco-workbench .part.statusbar .statusbar-item").first().waitFor({ timeout: 60_000 });
}

/**
 * Hands the window its default settings in the configuration that the server's page carries, and takes away the addresses of the
 * gallery and of telemetry. The web front end keeps a person's own settings in the browser, where a fresh profile has none, and
 * reads the machine's only after it has drawn the first time.
 */
async function giveDefaults(page: Page, configurationDefaults: Record<string, unknown>): Promise<void> {
  await page.addInitScript((defaults) => {
    if (window.top !== window) return;
    const observer = new MutationObserver(() => {
      const meta = document.getElementById("vscode-workbench-web-configuration");
      if (!meta) return;
      observer.disconnect();
      const config = JSON.parse(meta.dataset["settings"] ?? "{}") as { productConfiguration?: Record<string, unknown> };
      const { extensionsGallery: _gallery, telemetryEndpoint: _telemetry, serviceWorker: _worker, ...product } = config.productConfiguration ?? {};
      meta.dataset["settings"] = JSON.stringify({ ...config, configurationDefaults: defaults, productConfiguration: { ...product, enableTelemetry: false } });
    });
    observer.observe(document, { childList: true, subtree: true });
  }, configurationDefaults);
}

/** Starts VS Code with the extension on a copy of the workspace. Call `dispose()` when done. */
export async function startVsCode(options: Options, hooks: { beforeLoad?: (page: Page) => Promise<void> } = {}): Promise<VsCode> {
  if (!existsSync(options.workspace)) throw new Error(`There is no workspace ${options.workspace}.`);
  // Outside the clone: a copy of a workspace inside it would take the clone for the folder that it belongs to.
  const folder = mkdtempSync(path.join(tmpdir(), "tillage-vscode-"));
  const workspace = options.inPlace ? options.workspace : path.join(folder, path.basename(options.workspace));
  if (!options.inPlace) cpSync(options.workspace, workspace, { recursive: true, preserveTimestamps: true, filter: (file) => !(options.fresh && path.basename(file) === ".tillage") });
  const theme = options.theme ?? "dark";
  const settings = { ...quietSettings, "workbench.colorTheme": themes[theme].name, ...options.settings };
  const executablePath = await ensureBrowser();
  const server = await startServer({ folder: path.join(folder, "server"), settings, vsix: options.vsix, askTrust: options.untrusted, driver: options.testsPath !== undefined });
  try {
    const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
    const browser = await chromium.launch({ executablePath, headless: true, args: flags });
    const context = await browser.newContext({ viewport: options.size ?? { width: 1440, height: 900 }, locale: "en-US", permissions: ["clipboard-read", "clipboard-write"] });
    const page = await context.newPage();
    const consoleErrors: string[] = [];
    page.on("console", (message) => {
      const { url } = message.location();
      // The server's front end asks for icons and a manifest that its npm package does not carry.
      if (message.type() === "error" && !/\/_static\/|\/vsda\/|\/update\/check$|\/manifest\.json$/.test(url)) consoleErrors.push(`${message.text()} (${url})`);
    });
    page.on("pageerror", (error) => consoleErrors.push(error.stack ?? error.message));
    const remote = server.url.replace("http://", "vscode-remote://");
    const payload: string[][] = [];
    if (options.developmentPath) payload.push(["extensionDevelopmentPath", `${remote}${path.resolve(options.developmentPath)}`]);
    if (options.testsPath) payload.push(["extensionTestsPath", `${remote}${path.resolve(options.testsPath)}`]);
    const query = new URLSearchParams({ folder: workspace });
    if (payload.length > 0) query.set("payload", JSON.stringify(payload));
    const url = `${server.url}/?${query.toString()}`;
    await giveDefaults(page, quietSettings);
    await hooks.beforeLoad?.(page);
    await page.goto(url);
    await ready(page);
    return new VsCode(page, url, workspace, browser, server, folder, settings, theme, consoleErrors);
  } catch (error) {
    await server.stop();
    throw error;
  }
}
