import { ESLint } from "eslint";
import tseslint from "typescript-eslint";
import { beforeAll, describe, expect, it } from "vitest";
import { root } from "../../scripts/lib/run.mjs";

/** The architecture's rules, each shown to bite: a rule that a wrong glob has switched off would go unnoticed otherwise. */
describe("the linter", () => {
  let eslint: ESLint;
  beforeAll(() => {
    const override = { ...tseslint.configs.disableTypeChecked, files: ["**/*.ts"] } as unknown as NonNullable<ESLint.Options["overrideConfig"]>;
    eslint = new ESLint({ cwd: root, overrideConfig: override });
  });

  async function rulesBroken(file: string, code: string): Promise<string[]> {
    const [result] = await eslint.lintText(code, { filePath: file });
    return (result?.messages ?? []).map((message) => message.ruleId ?? message.message);
  }

  const forbidden: [what: string, file: string, code: string, rule: string][] = [
    ["core importing Node", "src/core/x.ts", 'import { readFileSync } from "node:fs";\nexport const x = readFileSync;', "no-restricted-imports"],
    ["core importing VS Code", "src/core/x.ts", 'import * as vscode from "vscode";\nexport const x = vscode;', "no-restricted-imports"],
    ["core importing the runtime", "src/core/x.ts", 'export * from "../runtime/locate";', "boundaries/dependencies"],
    ["protocol importing the wrappers", "src/protocol/x.ts", 'export * from "../vscode/disposable";', "boundaries/dependencies"],
    ["data importing VS Code", "src/data/x.ts", 'import * as vscode from "vscode";\nexport const x = vscode;', "no-restricted-imports"],
    ["runtime importing VS Code", "src/runtime/x.ts", 'import * as vscode from "vscode";\nexport const x = vscode;', "no-restricted-imports"],
    ["a use case importing VS Code", "src/app/x.ts", 'import * as vscode from "vscode";\nexport const x = vscode;', "no-restricted-imports"],
    ["a use case importing a wrapper of VS Code", "src/app/x.ts", 'export * from "../vscode/disposable";', "boundaries/dependencies"],
    ["the command line importing a feature", "src/cli/x.ts", 'export * from "../features/recipe/index";', "boundaries/dependencies"],
    ["a feature importing another", "src/features/training/x.ts", 'export * from "../recipe/index";', "boundaries/dependencies"],
    ["a panel importing the host's code", "webview/corpus/x.ts", 'export * from "../../src/vscode/disposable";', "boundaries/dependencies"],
    ["a panel importing another", "webview/mixer/x.ts", 'export * from "../corpus/main";', "boundaries/dependencies"],
    ["a panel importing Node", "webview/corpus/x.ts", 'import path from "node:path";\nexport const x = path;', "no-restricted-imports"],
    ["any", "src/core/x.ts", "export const x: any = 1;", "@typescript-eslint/no-explicit-any"],
    ["a file over 400 lines", "src/core/x.ts", `${"// line\n".repeat(401)}export const x = 1;`, "max-lines"],
    ["retainContextWhenHidden", "src/vscode/x.ts", "export const x = { retainContextWhenHidden: true };", "no-restricted-syntax"],
  ];
  it.each(forbidden)("forbids %s", async (_what, file, code, rule) => {
    expect(await rulesBroken(file, code)).toContain(rule);
  });

  const allowed: [what: string, file: string, code: string][] = [
    ["core importing the protocol", "src/core/x.ts", 'export * from "../protocol/errors";'],
    ["a feature importing the wrappers", "src/features/recipe/x.ts", 'export * from "../../vscode/disposable";'],
    ["a panel importing the protocol and what panels share", "webview/corpus/x.ts", 'export * from "../../src/protocol/errors";\nexport * from "../shared/theme";'],
    ["the composition root importing a feature", "src/extension.ts", 'export * from "./features/recipe/index";'],
  ];
  it.each(allowed)("allows %s", async (_what, file, code) => {
    expect(await rulesBroken(file, code)).toEqual([]);
  });

  it("type-checks every source with the strict rules", async () => {
    for (const file of ["src/extension.ts", "webview/shared/theme.ts", "test/harness/vscode.ts"]) {
      const config = (await eslint.calculateConfigForFile(file)) as { rules: Record<string, [number, ...unknown[]] | undefined> } | undefined;
      expect(config?.rules["@typescript-eslint/no-explicit-any"]?.[0], file).toBe(2);
    }
    const plain = new ESLint({ cwd: root });
    const config = (await plain.calculateConfigForFile("src/extension.ts")) as { rules: Record<string, [number, ...unknown[]] | undefined> };
    expect(config.rules["@typescript-eslint/no-floating-promises"]?.[0]).toBe(2);
  });
});
