// Lint rules: strict, type-checked TypeScript, and the architecture's boundaries (ARCHITECTURE.md states them in words).
import boundaries from "eslint-plugin-boundaries";
import tseslint from "typescript-eslint";

/** What each layer may import besides itself; plain libraries are open to all. */
const layers = {
  core: ["protocol"],
  protocol: ["core"],
  disk: ["core", "protocol"],
  data: ["core", "protocol", "disk"],
  runtime: ["core", "protocol", "disk"],
  app: ["core", "protocol", "disk", "data", "runtime"],
  cli: ["core", "protocol", "disk", "data", "runtime", "app"],
  vscode: ["core", "protocol", "disk", "data", "runtime", "app"],
  feature: ["core", "protocol", "disk", "data", "runtime", "app", "vscode"],
  "webview-shared": ["core", "protocol"],
  panel: ["core", "protocol", "webview-shared"],
};
/** What the composition root, src/extension.ts, may import. */
const composed = ["core", "protocol", "disk", "data", "runtime", "app", "vscode", "feature"];
/** A feature or a panel may import only itself, not its siblings. */
const named = ["feature", "panel"];
const elements = [
  ...["core", "protocol", "disk", "data", "runtime", "app", "cli", "vscode"].map((type) => ({ type, pattern: `src/${type}` })),
  { type: "feature", pattern: "src/features/*", capture: ["name"] },
  { type: "webview-shared", pattern: "webview/shared" },
  { type: "panel", pattern: "webview/*", capture: ["name"] },
];

const free = /** @type {const} */ ({ patterns: [{ regex: "^(node:|vscode$|@duckdb/)", message: "This layer is pure: no Node, no VS Code, no DuckDB." }] });
const noVsCode = /** @type {const} */ ({ paths: [{ name: "vscode", message: "Only features, src/vscode and the composition root know VS Code." }] });

export default tseslint.config(
  { ignores: ["**/node_modules", "dist", ".cache", "native", "src/protocol/*.gen.ts", "demo", "bench"] },
  {
    files: ["src/**/*.ts", "webview/**/*.ts", "test/**/*.ts"],
    extends: [...tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "max-lines": ["error", { max: 400 }],
      eqeqeq: ["error", "smart"],
      "no-restricted-syntax": ["error", { selector: "Property[key.name='retainContextWhenHidden']", message: "A hidden panel asks for a new snapshot when it returns." }],
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true }],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_", destructuredArrayIgnorePattern: "^_" }],
      // An index into an array is checked by the compiler (noUncheckedIndexedAccess); where the code knows better it says so with `!` or a test.
      "@typescript-eslint/no-non-null-assertion": "off",
      "@typescript-eslint/no-unnecessary-type-parameters": "off",
      "@typescript-eslint/no-dynamic-delete": "off",
      // VS Code's interfaces are classes in its declarations, and are meant to be implemented by any object.
      "@typescript-eslint/no-unsafe-class-instance-assignment": "off",
      // A method is async because its interface says so, also where it has nothing to wait for.
      "@typescript-eslint/require-await": "off",
      "@typescript-eslint/no-meaningless-void-operator": "off",
    },
  },
  {
    files: ["src/**/*.ts", "webview/**/*.ts"],
    plugins: { boundaries },
    settings: {
      "boundaries/elements": elements,
      "boundaries/files": [{ category: "root", pattern: "src/extension.ts" }],
      "boundaries/include": ["src/**/*.ts", "webview/**/*.ts"],
      "import/resolver": { node: { extensions: [".ts", ".js", ".mjs", ".json"] } },
    },
    rules: {
      "boundaries/no-unknown-files": "error",
      "boundaries/dependencies": [
        "error",
        {
          default: "disallow",
          policies: [
            { from: { file: { categories: "root" } }, allow: { to: { element: { types: { anyOf: composed } } } } },
            ...Object.entries(layers).map(([type, allowed]) => ({
              from: { element: { type } },
              allow: { to: { element: { types: { anyOf: named.includes(type) ? allowed : [type, ...allowed] } } } },
            })),
            ...named.map((type) => ({
              from: { element: { type } },
              allow: { to: { element: { type, captured: { name: "{{ from.element.captured.name }}" } } } },
            })),
          ],
        },
      ],
    },
  },
  { files: ["src/core/**/*.ts", "src/protocol/**/*.ts", "webview/**/*.ts"], ignores: ["**/*.test.ts"], rules: { "no-restricted-imports": ["error", free] } },
  { files: ["src/disk/**/*.ts", "src/data/**/*.ts", "src/runtime/**/*.ts", "src/app/**/*.ts", "src/cli/**/*.ts"], rules: { "no-restricted-imports": ["error", noVsCode] } },
  {
    // A test may look at what the types call impossible, and mocha's and vitest's own functions are called for their effect.
    files: ["**/*.test.ts", "test/**/*.ts"],
    rules: { "@typescript-eslint/no-unsafe-assignment": "off", "@typescript-eslint/no-unsafe-member-access": "off", "@typescript-eslint/no-unused-expressions": "off" },
  },
  // A step's tests build datasets with it, and so need the layers that run its plan.
  { files: ["src/core/steps/**/*.test.ts"], rules: { "boundaries/dependencies": "off" } },
  // Lit calls an element's methods on the element when its templates name them as listeners.
  // uPlot's enums are in its declarations only, so its options take their numbers.
  { files: ["webview/**/*.ts"], rules: { "@typescript-eslint/unbound-method": "off", "@typescript-eslint/no-unsafe-enum-assignment": "off" } },
  { files: ["**/*.mjs"], rules: { "max-lines": ["error", { max: 400 }], eqeqeq: ["error", "smart"], "no-undef": "off", "no-unused-vars": ["error", { argsIgnorePattern: "^_" }] } },
);
