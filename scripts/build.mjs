// @ts-check
// Builds everything that the extension and the command line need, as far as it is stale.
// usage: npm run build
import { checkProtocol, ensureBuilt } from "./lib/setup.mjs";
import { duration, entry, say } from "./lib/run.mjs";

await entry(import.meta, async () => {
  const started = performance.now();
  await ensureBuilt();
  await checkProtocol();
  say(`Built in ${duration(performance.now() - started)}.`);
});
