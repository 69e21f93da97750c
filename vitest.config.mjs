import { defineConfig } from "vitest/config";

const common = { pool: "forks", testTimeout: 30_000 };

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      { test: { ...common, name: "unit", include: ["src/**/*.test.ts", "webview/**/*.test.ts", "test/{unit,contract,reference}/**/*.test.ts"] } },
      // What is in the VSIX; scripts/test.mjs makes it first.
      { test: { ...common, name: "package", include: ["test/package/**/*.test.ts"], hookTimeout: 120_000 } },
      // A person's clicks in a browser: one window at a time.
      {
        test: {
          ...common,
          name: "e2e",
          include: ["test/e2e/**/*.e2e.ts"],
          globalSetup: ["test/e2e/setup.ts"],
          testTimeout: 180_000,
          hookTimeout: 300_000,
          fileParallelism: false,
          maxWorkers: 1,
        },
      },
    ],
  },
});
