import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [react()],
  clearScreen: false,
  server: { port: 1420, strictPort: true },
  build: {
    // What WebKitGTK, WebView2 and WKWebView of the supported systems run.
    target: ["es2022", "chrome111", "safari16.4"],
    chunkSizeWarningLimit: 1500,
  },
  test: { environment: "happy-dom", include: ["src/**/*.test.{ts,tsx}"] },
});
