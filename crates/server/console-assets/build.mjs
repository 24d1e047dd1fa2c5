// Builds dist/: one script and the fonts; and holds the script to its budget.

import { build } from "esbuild";
import { copyFileSync, mkdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

/** Bytes of the script after gzip -9, at most. */
const BUDGET = 40 * 1024;

const here = (path) => new URL(path, import.meta.url).pathname;

mkdirSync(here("dist"), { recursive: true });
await build({
  absWorkingDir: here("."),
  entryPoints: ["src/console.ts"],
  outfile: "dist/console.js",
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  legalComments: "none",
  logLevel: "warning",
});
for (const [font, name] of [["geist", "sans"], ["geist-mono", "mono"]]) {
  const from = `node_modules/@fontsource-variable/${font}/files/${font}-latin-wght-normal.woff2`;
  copyFileSync(here(from), here(`dist/${name}.woff2`));
}

const gzip = gzipSync(readFileSync(here("dist/console.js")), { level: 9 }).length;
console.log(`console.js: ${gzip} bytes after gzip -9`);
if (gzip > BUDGET) {
  console.error(`the budget is ${BUDGET}`);
  process.exitCode = 1;
}
