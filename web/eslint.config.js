import tseslint from "typescript-eslint";

export default tseslint.config({ ignores: ["node_modules", "eslint.config.js"] }, tseslint.configs.strictTypeChecked, {
  languageOptions: { parserOptions: { projectService: true } },
  rules: {
    "no-console": "error", // a log may hold what a person did not want to show
    "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
    "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
  },
});
