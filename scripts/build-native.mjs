// @ts-check
// Builds the engine and the DuckDB extension into dist/native.
// usage: npm run build:native
import { checkNode, ensureNative } from "./lib/setup.mjs";
import { entry, say } from "./lib/run.mjs";

await entry(import.meta, async () => {
  checkNode();
  const { engine, duckdbExtension } = await ensureNative();
  say(`${engine}\n${duckdbExtension}`);
});
