// Builds dist/: the plugin, the overlay, the module for bundlers; and holds the plugin to its budget.

import { build } from "esbuild";
import { readFileSync } from "node:fs";
import { brotliCompressSync, gzipSync } from "node:zlib";

/** Bytes of the plugin after gzip -9, at most. */
const BUDGET = 3072;

const { version } = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8"));

const common = {
  absWorkingDir: new URL(".", import.meta.url).pathname,
  bundle: true,
  minify: true,
  target: "es2018",
  legalComments: "none",
  define: { VERSION: JSON.stringify(version) },
  tsconfigRaw: { compilerOptions: { alwaysStrict: false } },
  logLevel: "warning",
};
await Promise.all([
  build({ ...common, entryPoints: ["src/page.ts"], format: "iife", outfile: "dist/heap-web.js" }),
  build({ ...common, entryPoints: ["src/debug.ts"], format: "iife", outfile: "dist/heap-web-debug.js" }),
  build({ ...common, entryPoints: ["src/index.ts"], format: "esm", outfile: "dist/heap-web.mjs" }),
]);

console.log("file                  raw   gzip  brotli");
const [plugin] = ["heap-web.js", "heap-web-debug.js", "heap-web.mjs"].map((name) => {
  const bytes = readFileSync(new URL("dist/" + name, import.meta.url));
  const gzip = gzipSync(bytes, { level: 9 }).length;
  const columns = [bytes.length, gzip, brotliCompressSync(bytes).length].map((n) => String(n).padStart(7));
  console.log(name.padEnd(18) + columns.join(""));
  return { gzip, text: bytes.toString() };
});
if (plugin.gzip > BUDGET) {
  console.error(`heap-web.js is ${plugin.gzip} bytes after gzip -9; the budget is ${BUDGET}.`);
  process.exitCode = 1;
}
if (/\beval\b|new Function/.test(plugin.text)) {
  console.error("heap-web.js builds code from text, which a content security policy forbids.");
  process.exitCode = 1;
}
