// The page plugin beside the public one, in Chromium: size, time to the first call, cost of an event.
//
// Usage: node measure.mjs ROUNDS EVENTS.jsonl. Prints one line of JSON: by name, a number for each
// round. Both plugins are driven by the same clients, get the same stand-in for Heap's script and
// the same events, in turns.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { once } from "node:events";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { build } from "esbuild";
import { chromium } from "playwright-core";

const [rounds, file] = [Number(process.argv[2]), process.argv[3]];
const here = (path) => new URL(path, import.meta.url);
const OURS = readFileSync(here("../../destinations/heap_web/plugin/dist/heap-web.js"));
const PUBLIC = here("node_modules/@segment/browser-destinations/dist/web/");
const MANIFEST = JSON.parse(readFileSync(new URL("manifest-latest.json", PUBLIC), "utf8"));
const EVENTS = readFileSync(file, "utf8").trim().split("\n").map(JSON.parse).filter(({ type }) => type == "track" || type == "identify");

/** Heap's classic script: notes when it is called first, and runs what was queued. */
const HEAP = `(() => {
  const queue = window.heap || [], heap = { appid: queue.appid, config: queue.config, count: 0 };
  for (const method of ["track", "identify", "addUserProperties"])
    heap[method] = () => {
      heap.count++;
      if (method == "track") window.firstTrack ??= performance.now();
    };
  window.heap = heap;
  if (queue.length) for (const [method, ...args] of queue) heap[method](...args);
  heap.loaded = true;
})();`;

const path = (value) => ({ "@path": value });
const get = (...keys) => ["get", ...keys];
const plugins = {
  ours: (origin) => ({
    name: "heap-web",
    creationName: "heap-web",
    libraryName: "heap-webDestination",
    url: origin + "/ours/heap-web.js",
    settings: {
      appId: "11",
      start: { script: "https://cdn.heapanalytics.com/js/heap-11.js", heap: { appid: "11", config: {} }, stubs: ["track", "identify", "addUserProperties"] },
      subscriptions: [
        { id: "t", partnerAction: "trackEvent", test: ["=", "type", "track"],
          mapping: { name: get("event"), properties: get("properties"), anonymousId: get("anonymousId"), traits: get("context", "traits") } },
        { id: "i", partnerAction: "identifyUser", test: ["=", "type", "identify"],
          mapping: { userId: get("userId"), traits: get("traits") } },
      ],
    },
  }),
  public: (origin) => ({
    name: "Heap Web (Actions)",
    creationName: "Heap Web (Actions)",
    libraryName: "heapDestination",
    url: `${origin}/public/heap/${MANIFEST.heap}`,
    settings: {
      appId: "11",
      subscriptions: [
        { partnerAction: "trackEvent", name: "Track Event", enabled: true, subscribe: 'type = "track"',
          mapping: { name: path("$.event"), properties: path("$.properties"), anonymousId: path("$.anonymousId"), traits: path("$.context.traits") } },
        { partnerAction: "identifyUser", name: "Identify User", enabled: true, subscribe: 'type = "identify"',
          mapping: { userId: path("$.userId"), traits: path("$.traits") } },
      ],
    },
  }),
};

async function bundle(client) {
  const { outputFiles } = await build({
    stdin: {
      contents: `import { AnalyticsBrowser, Context } from "${client}"; Object.assign(window, { AnalyticsBrowser, Context });`,
      resolveDir: import.meta.dirname,
    },
    bundle: true,
    minify: true,
    format: "iife",
    write: false,
    define: { "process.env.NODE_ENV": '"production"' },
  });
  return outputFiles[0].contents;
}
const clients = {
  "/seg.js": await bundle("@segment/analytics-next"),
  "/cio.js": await bundle("@customerio/cdp-analytics-browser"),
};

const arrived = new Map();
const server = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, "http://x");
  const headers = { "access-control-allow-origin": "*", "access-control-allow-headers": "authorization, content-type", "cache-control": "no-store" };
  const send = (type, body) => {
    const gzip = /gzip/.test(request.headers["accept-encoding"]) && body.length > 500;
    response.writeHead(200, { ...headers, "content-type": type, ...(gzip && { "content-encoding": "gzip" }) });
    response.end(gzip ? gzipSync(body, { level: 9 }) : body);
  };
  if (request.method == "OPTIONS") return response.writeHead(204, headers).end();
  if (clients[pathname]) return send("text/javascript", clients[pathname]);
  if (pathname.startsWith("/page/")) return send("text/html", `<!doctype html><title>Shop</title><script src="/${pathname.slice(6)}.js"></script>`);
  if (pathname == "/ours/heap-web.js") return send("text/javascript", OURS);
  if (pathname.startsWith("/public/")) return send("text/javascript", readFileSync(new URL(pathname.slice(8), PUBLIC)));
  const settings = /^\/v1\/projects\/(\w+)\/settings$/.exec(pathname);
  if (settings) return send("application/json", JSON.stringify(document(settings[1])));
  let body = "";
  for await (const chunk of request) body += chunk;
  if (pathname == "/v1/t") arrived.get(JSON.parse(body).event)?.();
  send("application/json", "{}");
}).listen(0, "127.0.0.1");
await once(server, "listening");
const origin = `http://127.0.0.1:${server.address().port}`;

function document(which) {
  const way = { apiKey: which, apiHost: origin.slice(7) + "/v1", protocol: "http" };
  return {
    integrations: { "Customer.io Data Pipelines": way, "Segment.io": way },
    plan: {},
    middlewareSettings: { routingRules: [] },
    enabledMiddleware: {},
    metrics: { sampleRate: 0 },
    remotePlugins: [plugins[which](origin)],
  };
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });

/** A visitor without a cache; Heap's script comes after so many milliseconds. */
async function visit(client, { cdn = 0, network } = {}) {
  const context = await browser.newContext();
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  session.on("Fetch.requestPaused", async ({ requestId }) => {
    await new Promise((then) => setTimeout(then, cdn));
    const responseHeaders = [{ name: "content-type", value: "text/javascript" }];
    const body = Buffer.from(HEAP).toString("base64");
    await session.send("Fetch.fulfillRequest", { requestId, responseCode: 200, responseHeaders, body }).catch(() => {});
  });
  await session.send("Fetch.enable", { patterns: [{ urlPattern: "https://cdn.heapanalytics.com/*" }] });
  await page.goto(`${origin}/page/${client}`);
  if (network) {
    await session.send("Network.enable");
    await session.send("Network.emulateNetworkConditions", { offline: false, ...network });
  }
  return { context, page };
}

let count = 0;
const begin = (page, which, event) =>
  page.evaluate(
    ([which, origin, event]) => {
      window.begun = performance.now();
      window.analytics = AnalyticsBrowser.load({ writeKey: which, cdnURL: origin });
      window.analytics.track(event);
    },
    [which, origin, event],
  );

/** Milliseconds from the client's load to the first `heap.track`. */
async function firstCall(which, network) {
  const { context, page } = await visit("seg", { network });
  await begin(page, which, "First");
  const after = await page.waitForFunction(() => window.firstTrack && window.firstTrack - window.begun, null, { polling: 20 });
  const milliseconds = await after.jsonValue();
  await context.close();
  return milliseconds;
}

/** Milliseconds from the client's load to the first event at the server, Heap's CDN being slow. */
async function firstEvent(which) {
  const { context, page } = await visit("cio", { cdn: 2_000 });
  const event = "Event " + count++;
  const came = new Promise((then) => arrived.set(event, then));
  const since = performance.now();
  await begin(page, which, event);
  await came;
  const milliseconds = performance.now() - since;
  await context.close();
  return milliseconds;
}

/**
 * Microseconds that one event takes in the page, from the client's call of the plugin on. The least of
 * so many passes: the others were interrupted by something else.
 */
async function perEvent(page, which, times) {
  return page.evaluate(
    async ([which, events, times]) => {
      const contexts = events.map((event) => new Context(event));
      let least = Infinity;
      for (let n = 0; n < times; n++) {
        const before = performance.now();
        for (const context of contexts)
          for (const plugin of window.loaded[which]) await plugin[context.event.type](context);
        least = Math.min(least, performance.now() - before);
      }
      return (least / contexts.length) * 1_000;
    },
    [which, EVENTS, times],
  );
}

/** A page with both plugins, on a Heap that runs. */
async function both() {
  const { context, page } = await visit("seg");
  await page.addScriptTag({ content: HEAP });
  for (const which of ["ours", "public"]) {
    const { url, libraryName, settings } = plugins[which](origin);
    await page.addScriptTag({ url });
    await page.evaluate(
      async ([which, library, settings]) => {
        const list = [].concat(await window[library](settings));
        for (const plugin of list) await plugin.load(Context.system(), { on() {} });
        (window.loaded ||= {})[which] = list.filter((plugin) => plugin.type == "destination");
      },
      [which, libraryName, settings],
    );
  }
  return { context, page };
}

const sizes = (...files) => ({
  raw: files.reduce((sum, bytes) => sum + bytes.length, 0),
  gzip: files.reduce((sum, bytes) => sum + gzipSync(bytes, { level: 9 }).length, 0),
  brotli: files.reduce((sum, bytes) => sum + brotliCompressSync(bytes).length, 0),
});

// The public plugin is two requests: itself, and the chunk that it names.
const chunk = readFileSync(new URL("heap/" + MANIFEST.heap, PUBLIC), "utf8").match(/688:"(\w+)"|(\w{20})\.js"/);
const publicFiles = [`heap/${MANIFEST.heap}`, `688/${chunk[1] || chunk[2]}.js`].map((name) => readFileSync(new URL(name, PUBLIC)));

const PASSES = 10;
const SLOW_4G = { latency: 150, downloadThroughput: 1_600_000 / 8, uploadThroughput: 750_000 / 8 };
const result = { sizes: { ours: sizes(OURS), public: sizes(...publicFiles) }, calls: {} };
const add = (name, which, value) => ((result[name] ||= { ours: [], public: [] })[which].push(value));
const shared = await both();
for (const which of ["ours", "public"]) await perEvent(shared.page, which, 3);
for (let round = 0; round < rounds; round++) {
  for (const which of round % 2 ? ["public", "ours"] : ["ours", "public"]) {
    add("firstCall", which, await firstCall(which));
    add("firstCallSlow", which, await firstCall(which, SLOW_4G));
    add("firstEvent", which, await firstEvent(which));
    const made = await shared.page.evaluate(() => window.heap.count);
    add("perEvent", which, await perEvent(shared.page, which, PASSES));
    result.calls[which] = ((await shared.page.evaluate(() => window.heap.count)) - made) / PASSES / EVENTS.length;
  }
}
await browser.close();
server.close();
server.closeAllConnections();
console.log(JSON.stringify(result));
