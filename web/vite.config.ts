import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  // Where the API function serves it from, and `sam build` finds it.
  build: { outDir: "../functions/api/dist", emptyOutDir: true, target: "es2023", modulePreload: { polyfill: false } },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  worker: { format: "es" },
  // `npm run dev` beside `make up`: the stack lets pages of this port in.
  server: { port: 5173, strictPort: true, proxy: { "^/(auth|files|drops|shares|archives)": "http://127.0.0.1:8080" } },
});
