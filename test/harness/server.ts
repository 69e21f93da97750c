import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { ensureVsCodeServer } from "../../scripts/lib/tools.mjs";
import { Failure, run } from "../../scripts/lib/run.mjs";

/** A running VS Code server that belongs to one test and goes with it. */
export interface Server {
  /** `http://127.0.0.1:PORT`. */
  url: string;
  /** What the server and its extension host printed. */
  log: string;
  /** Where VS Code writes its own logs, one folder a window. */
  dataDir: string;
  /** Settings of this machine: VS Code reads the file again whenever it changes. */
  settingsFile: string;
  stop(): Promise<void>;
}

export interface ServerOptions {
  /** A folder of this server's own; it is emptied first. */
  folder: string;
  settings: Record<string, unknown>;
  /** The window tells when suites inside it have ended. It shows no notifications then. */
  driver?: boolean;
  /** Folders are not trusted until somebody says so, as at a person's. */
  askTrust?: boolean;
  /** An extension to install before the start. */
  vsix?: string;
}

/** Starts VS Code's server on a free loopback port. Throws `Failure` with the end of its log when it does not come up in a minute. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { node, env: base, serverMain } = await ensureVsCodeServer();
  const env = cleanEnvironment(base);
  rmSync(options.folder, { recursive: true, force: true });
  const dataDir = path.join(options.folder, "data");
  const settingsFile = path.join(options.folder, "user", "Machine", "settings.json");
  mkdirSync(path.dirname(settingsFile), { recursive: true });
  writeFileSync(settingsFile, JSON.stringify(options.settings, null, 2));
  const folders = ["--user-data-dir", path.join(options.folder, "user"), "--server-data-dir", dataDir, "--extensions-dir", path.join(options.folder, "extensions")];
  if (options.vsix) await install(node, serverMain, env, folders, options.vsix);
  const port = await freePort();
  const log = path.join(options.folder, "server.log");
  const out = openSync(log, "w");
  const flags = [
    "--host", "127.0.0.1",
    "--port", String(port),
    "--accept-server-license-terms",
    "--without-connection-token",
    "--disable-telemetry",
    ...(options.askTrust ? [] : ["--disable-workspace-trust"]),
    ...(options.driver ? ["--enable-smoke-test-driver"] : []),
  ];
  // Its own process group: the extension hosts that it forks end with it.
  const child = spawn(node, [serverMain, ...flags, ...folders], { env, stdio: ["ignore", out, out], detached: true });
  let ended: string | undefined;
  child.on("error", (error) => (ended = error.message));
  child.on("exit", (code, signal) => (ended = signal ?? `exit code ${code}`));
  const kill = (signal: NodeJS.Signals): void => {
    try {
      if (child.pid) process.kill(-child.pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  };
  const killAtExit = (): void => kill("SIGKILL");
  process.once("exit", killAtExit);
  const url = `http://127.0.0.1:${port}`;
  for (const until = Date.now() + 60_000; ; ) {
    if (ended !== undefined || Date.now() > until) {
      kill("SIGKILL");
      throw new Failure(`VS Code's server did not start (${ended ?? "no answer for 60 s"}).`, `Its log: ${log}`, readFileSync(log, "utf8").slice(-4000));
    }
    if (await answers(url)) break;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return {
    url,
    log,
    dataDir,
    settingsFile,
    stop: async () => {
      process.removeListener("exit", killAtExit);
      kill("SIGTERM");
      for (const until = Date.now() + 5_000; ended === undefined && Date.now() < until; ) await new Promise((resolve) => setTimeout(resolve, 50));
      kill("SIGKILL");
    },
  };
}

/** Without what a surrounding VS Code or test runner set: it would change how the server and the extension behave. */
function cleanEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([key]) => !/^(VSCODE_|ELECTRON_|NODE_OPTIONS|VITEST|NODE_ENV|TEST$)/.test(key)));
}

async function install(node: string, serverMain: string, env: NodeJS.ProcessEnv, folders: string[], vsix: string): Promise<void> {
  const args = [serverMain, ...folders, "--accept-server-license-terms", "--install-extension", vsix, "--force"];
  await run(node, args, { env, remedy: "Check the VSIX with `npm run package`." });
}

/**
 * Installs a VSIX as VS Code does, into an empty folder.
 * @returns the folder of the unpacked extension
 */
export async function installVsix(vsix: string, folder: string): Promise<string> {
  const { node, env, serverMain } = await ensureVsCodeServer();
  rmSync(folder, { recursive: true, force: true });
  const extensions = path.join(folder, "extensions");
  mkdirSync(extensions, { recursive: true });
  const folders = ["--user-data-dir", path.join(folder, "user"), "--server-data-dir", path.join(folder, "data"), "--extensions-dir", extensions];
  await install(node, serverMain, cleanEnvironment(env), folders, vsix);
  const unpacked = readdirSync(extensions, { withFileTypes: true }).find((entry) => entry.isDirectory() && !entry.name.startsWith("."));
  if (!unpacked) throw new Failure(`${vsix} was not installed.`, "Check it with `npm run package`.");
  return path.join(extensions, unpacked.name);
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(5_000) })).ok;
  } catch {
    return false;
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => (address && typeof address === "object" ? resolve(address.port) : reject(new Error("no port"))));
    });
  });
}
