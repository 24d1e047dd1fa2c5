// Makes ../web-assets/: the page plugin, and the snippet files of both clients, each also compressed.

import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";

const at = (path) => new URL(path, import.meta.url);
const assets = at("../web-assets/");
const plugin = at("../../../destinations/heap_web/plugin/dist/");
const clients = { cio: "@customerio/cdp-analytics-browser", seg: "@segment/analytics-next" };

/** Name in web-assets/ to the file that goes there. */
const files = new Map();
files.set("plugin.js", new URL("heap-web.js", plugin));
files.set("debug.js", new URL("heap-web-debug.js", plugin));
for (const [family, name] of Object.entries(clients)) {
  const umd = at(`node_modules/${name}/dist/umd/`);
  for (const file of readdirSync(umd)) {
    if (!file.endsWith(".js") || file == "index.js") continue;
    const kept = file == "standalone.js" ? "analytics.min.js" : `chunks/${file}`;
    files.set(`${family}/${kept}`, new URL(file, umd));
  }
  files.set(`${family}/LICENSE`, at(`node_modules/${name}/LICENSE.MD`));
}

/** All that is to lie in web-assets/. */
const made = new Map();
for (const [name, from] of files) {
  if (!existsSync(from)) throw new Error(`${from.pathname} is missing: run \`cargo xtask setup\``);
  // The maps aren't handed out, so that a browser's tools need not ask for them.
  const text = readFileSync(from, "utf8").replace(/\n?\/\/# sourceMappingURL=\S+\s*$/, "");
  made.set(name, Buffer.from(text));
  if (!name.endsWith(".js")) continue;
  made.set(name + ".gz", gzipSync(text, { level: 9 }));
  made.set(name + ".br", brotliCompressSync(text));
}

// What stays the same keeps its time: the server is built again only where something changed.
for (const entry of readdirSync(assets, { recursive: true, withFileTypes: true })) {
  const name = relative(assets.pathname, join(entry.parentPath, entry.name));
  if (entry.isFile() && name != ".gitignore" && !made.has(name)) rmSync(new URL(name, assets));
}
let bytes = 0;
for (const [name, content] of made) {
  const to = new URL(name, assets);
  if (name.endsWith(".br")) bytes += content.length;
  if (existsSync(to) && readFileSync(to).equals(content)) continue;
  mkdirSync(dirname(to.pathname), { recursive: true });
  writeFileSync(to, content);
}
console.log(`${files.size} files in web-assets/, ${bytes} bytes compressed`);
