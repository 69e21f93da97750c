// @ts-check
// A look at the extension in a real VS Code, from the command line; see README.md.
import { importTs } from "../../scripts/lib/run-ts.mjs";
import { printFailure } from "../../scripts/lib/run.mjs";

try {
  /** @type {typeof import("./look.js")} */
  const { main } = await importTs("test/harness/look.ts");
  await main(process.argv.slice(2));
} catch (error) {
  printFailure(error);
  process.exitCode = 1;
}
