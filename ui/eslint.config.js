import { readdirSync } from "node:fs";
import js from "@eslint/js";
import a11y from "eslint-plugin-jsx-a11y";
import hooks from "eslint-plugin-react-hooks";
import globals from "globals";
import tseslint from "typescript-eslint";

const tauri = {
  group: ["@tauri-apps/*", "**/ipc/bindings", "./bindings"],
  message: "Only src/ipc talks to the backend; import from ipc/index.",
};
const iconBarrel = {
  name: "@fluentui/react-icons",
  message: "Import icons one by one, e.g. @fluentui/react-icons/svg/add.",
};

const features = readdirSync(new URL("./src/features", import.meta.url), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);

const textAttributes = "aria-label|title|placeholder|label|alt";

export default tseslint.config(
  { ignores: ["dist", "node_modules"] },
  { files: ["*.{js,ts}"], languageOptions: { globals: globals.node } },
  js.configs.recommended,
  ...tseslint.configs.strict,
  {
    files: ["src/**/*.{ts,tsx}"],
    languageOptions: { globals: globals.browser },
    plugins: { "react-hooks": hooks, "jsx-a11y": a11y },
    rules: {
      ...hooks.configs.recommended.rules,
      ...a11y.flatConfigs.recommended.rules,
      // The compiler is not used here, so nothing is memoized behind the virtualizer's back.
      "react-hooks/incompatible-library": "off",
      "@typescript-eslint/no-unused-vars": ["error", { varsIgnorePattern: "^_", argsIgnorePattern: "^_" }],
      "max-lines": ["error", 400],
      "no-eval": "error",
      "no-restricted-imports": ["error", { paths: [iconBarrel], patterns: [tauri] }],
      "no-restricted-syntax": [
        "error",
        { selector: "JSXText[value=/[A-Za-z]/]", message: "Texts live in locales/en.json." },
        {
          selector: `JSXAttribute[name.name=/^(${textAttributes})$/] > Literal[value=/[A-Za-z]/]`,
          message: "Texts live in locales/en.json.",
        },
      ],
    },
  },
  // As long as there are commands: generated from the backend's types.
  { files: ["src/ipc/bindings.ts"], rules: { "max-lines": "off" } },
  ...features.map((feature) => ({
    files: [`src/features/${feature}/**`],
    rules: {
      "no-restricted-imports": [
        "error",
        {
          paths: [iconBarrel],
          patterns: [
            tauri,
            { group: ["**/app/*"], message: "The application knows the features, never the other way round." },
            ...features
              .filter((other) => other !== feature)
              .map((other) => ({
                group: [`../${other}`, `../${other}/*`, `**/features/${other}/*`],
                message: "Features never import features; share through components, lib or store.",
              })),
          ],
        },
      ],
    },
  })),
  {
    files: ["src/{lib,store,components,ipc}/**"],
    rules: {
      "no-restricted-imports": [
        "error",
        {
          paths: [iconBarrel],
          patterns: [tauri, { group: ["**/features/*", "**/features/*/*", "**/app/*"], message: "Shared code knows no screens." }],
        },
      ],
    },
  },
  {
    files: ["src/ipc/**"],
    rules: { "no-restricted-imports": "off" },
  },
);
