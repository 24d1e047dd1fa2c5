// A shop's pages, visited with the real clients; what arrived at the server and in Heap.

import { build } from "esbuild";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { chromium } from "playwright-core";

const { SERVER, HEAP, CONTROL, ADMIN_FILE } = process.env;
const HEAPS_CDN = "https://cdn.us.heap-api.com";

async function bundle(contents) {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: import.meta.dirname },
    bundle: true,
    minify: true,
    format: "iife",
    write: false,
    define: { "process.env.NODE_ENV": '"production"' },
  });
  return outputFiles[0].contents;
}

const browserClient = (name) => `import { AnalyticsBrowser } from "${name}";
  window.start = (key, server, options) => {
    window.analytics = AnalyticsBrowser.load({ writeKey: key, cdnURL: server }, options);
  };`;

const rudderstack = `import { RudderAnalytics } from "@rudderstack/analytics-js/bundled";
  window.start = (key, server) => {
    window.analytics = new RudderAnalytics();
    window.analytics.load(key, server, {
      configUrl: server,
      getSourceConfig: () => ({
        updatedAt: "",
        source: { id: "site", name: "Site", writeKey: key, enabled: true, workspaceId: "w", destinations: [],
          config: { statsCollection: { errors: { enabled: false }, metrics: { enabled: false } } } },
      }),
    });
  };`;

/** The snippet of docs/web.md, as a page has it. */
function snippet(client, key, nonce) {
  const guide = readFileSync(new URL("../../../../../docs/web.md", import.meta.url), "utf8");
  const html = guide.split(`<!-- snippet: ${client} -->`)[1].split("```")[1].replace(/^html\n/, "");
  return html
    .replace("<script>", `<script nonce="${nonce}">`)
    .replace("https://cdp.shop.example", SERVER)
    .replaceAll("WRITE_KEY", key);
}

/** A snippet as the hosted services hand them out, with only the host changed. */
const officialSnippet = (client, key) => `<script>
  var name = "${client == "cio" ? "cioanalytics" : "analytics"}", stub = (window[name] = []);
  for (const method of ["identify", "track", "page", "reset", "ready"])
    stub[method] = (...args) => (window[name].initialized ? window[name][method](...args) : (stub.push([method, ...args]), stub));
  stub._writeKey = "${key}";
  ${client == "seg" ? `stub._cdn = "${SERVER}";` : ""}
  var script = document.createElement("script");
  script.src = "${SERVER}${client == "cio" ? "/v1/analytics-js/snippet" : "/analytics.js/v1"}/${key}/analytics.min.js";
  script.setAttribute("data-global-${client == "cio" ? "customerio" : "segment"}-analytics-key", name);
  document.head.append(script);
</script>`;

export async function town() {
  const scripts = {
    "/cio.js": await bundle(browserClient("@customerio/cdp-analytics-browser")),
    "/seg.js": await bundle(browserClient("@segment/analytics-next")),
    "/rs.js": await bundle(rudderstack),
  };
  const shop = createServer((request, response) => {
    const url = new URL(request.url, "http://shop");
    if (scripts[url.pathname]) {
      return response.writeHead(200, { "content-type": "text/javascript" }).end(scripts[url.pathname]);
    }
    const [, kind, client] = url.pathname.split("/");
    const key = url.searchParams.get("key") || "wk_site";
    const policy = url.searchParams.get("policy");
    const body = {
      bundle: () => `<script nonce="n0nce" src="/${client}.js"></script>`,
      snippet: () => snippet(client, key, "n0nce"),
      official: () => officialSnippet(client, key),
    }[kind];
    const headers = { "content-type": "text/html", ...(policy && { "content-security-policy": policy }) };
    response.writeHead(body ? 200 : 404, headers);
    response.end(`<!doctype html><html lang=en><title>Shop</title><body>${body ? body() : ""}`);
  }).listen(0, "127.0.0.1");
  await once(shop, "listening");
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: ["--no-sandbox"],
  });
  return {
    shop: `http://127.0.0.1:${shop.address().port}`,
    browser,
    async close() {
      await browser.close();
      shop.closeAllConnections();
      shop.close();
    },
  };
}

/** Waits until `look` gives something true, at most `limit` milliseconds. */
export async function until(what, look, limit = 30_000) {
  const end = Date.now() + limit;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error("waited in vain for " + what);
    await new Promise((then) => setTimeout(then, 25));
  }
}

/**
 * Takes the page's requests that match a pattern out of the browser's hands, and no others: so the
 * browser asks our server itself whether it may call, as Playwright's own routes don't let it.
 * `handlers` is [pattern, (request, {answer, fail, go}) => …][].
 */
async function intercept(context, page, handlers) {
  const session = await context.newCDPSession(page);
  const send = (method, what) => session.send("Fetch." + method, what).catch(() => {}); // the page is gone
  session.on("Fetch.requestPaused", async ({ requestId, request }) => {
    const [, handle] = handlers.find(([pattern]) => request.url.startsWith(pattern));
    await handle(request, {
      answer: (status, headers, body) =>
        send("fulfillRequest", {
          requestId,
          responseCode: status,
          responseHeaders: Object.entries(headers).map(([name, value]) => ({ name, value })),
          body: Buffer.from(body).toString("base64"),
        }),
      fail: () => send("failRequest", { requestId, errorReason: "BlockedByClient" }),
      go: () => send("continueRequest", { requestId }),
    });
  });
  await session.send("Fetch.enable", { patterns: handlers.map(([pattern]) => ({ urlPattern: pattern + "*" })) });
}

/** Heap's CDN: `runs`, `hangs`, `blocked`, `missing`, or answers once `heap` (a promise) is settled. */
const cdn = (heap) => async (request, { answer, fail }) => {
  const read = request.method == "GET";
  if (read && heap == "hangs") return;
  if (read && heap == "blocked") return fail();
  if (read) await heap;
  const path = read && heap == "missing" ? "/no-such-file.js" : new URL(request.url).pathname;
  const body = request.method == "POST" ? request.postData : undefined;
  const got = await fetch(HEAP + path, { method: request.method, body, headers: { "content-type": "text/plain" } });
  const headers = { "access-control-allow-origin": "*", "content-type": got.headers.get("content-type") || "" };
  await answer(got.status, headers, await got.text());
};

/**
 * A visitor of `kind`/`client`. `heap` is how Heap's CDN behaves; `intercepted` are further patterns
 * and handlers.
 */
export async function visit(
  town,
  client,
  { kind = "bundle", key = "wk_site", heap = "runs", policy, search = {}, options = {}, before, start = true, intercepted = [] },
) {
  const context = await town.browser.newContext();
  const page = await context.newPage();
  await intercept(context, page, [[HEAPS_CDN, cdn(heap)], ...intercepted]);
  const console = [];
  const requests = [];
  page.on("console", (message) => console.push(message.text()));
  page.on("request", (request) => requests.push(request));
  if (before) await page.addInitScript(before);
  const query = new URLSearchParams({ key, ...(policy && { policy }), ...search });
  const address = `${town.shop}/${kind}/${client}?${query}`;
  await page.goto(address);
  const begin = () => page.evaluate(([key, server, options]) => window.start(key, server, options), [key, SERVER, options]);
  if (kind == "bundle" && start) await begin();
  const global = kind != "bundle" && client == "cio" ? "cioanalytics" : "analytics";
  return {
    context,
    page,
    console,
    requests,
    address,
    begin,
    /** Requests whose address holds this. */
    asked: (part) => requests.filter((request) => request.url().includes(part)).length,
    /** One after the other in one go, as a page does. */
    calls: (...list) =>
      page.evaluate(
        ([global, list]) => list.forEach(([method, ...args]) => void window[global][method](...args)),
        [global, list],
      ),
    close: () => context.close(),
  };
}

/** The server's admin API. Its token is another one after a restart. */
export async function ask(path) {
  const { token } = JSON.parse(readFileSync(ADMIN_FILE, "utf8"));
  const response = await fetch(`${SERVER}/api/v1${path}`, { headers: { authorization: "Bearer " + token } });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

/** Events by name, each with its whole way, once there are `count`. */
export const events = (name, count = 1) =>
  until(`${count} of ${name}`, async () => {
    const { events } = await ask(`/events?event=${encodeURIComponent(name)}`);
    if (events.length < count) return;
    return Promise.all(events.map((event) => ask(`/events/${event.seq}`)));
  });

/** The way of the event `name` at an action in the page, once the page has told. */
export const inPage = (name, outcome) =>
  until(`${outcome} of ${name}`, async () => {
    const [event] = await events(name);
    return event.page.find((way) => way.outcome == outcome);
  });

/** Calls on `window.heap` that reached Heap, as [method, …arguments]. */
export async function heapCalls(query) {
  const response = await fetch(`${HEAP}/_sandbox/web-calls?limit=1000&${query}`);
  const { web_calls } = await response.json();
  return web_calls.map(({ method, args }) => [method, ...args]);
}

/** The calls that name one of these first, in the page's order, once all have reached Heap. */
export const allInHeap = (app, ...names) =>
  until(`${names.join(", ")} in Heap`, async () => {
    const calls = (await heapCalls("app_id=" + app)).filter(([, name]) => names.includes(name));
    return calls.length >= names.length && calls;
  });

/** The `track` call with this name, once it has reached Heap. */
export const inHeap = (name) =>
  until(`${name} in Heap`, async () => (await heapCalls("event=" + encodeURIComponent(name)))[0]);

export const heapsApi = async (what) => (await fetch(`${HEAP}/_sandbox/${what}`)).json();

const control = (what) => async () => {
  const { ok } = await fetch(`${CONTROL}/${what}`, { method: "POST" });
  if (!ok) throw new Error(what);
};
export const stop = control("stop");
export const start = control("start");
/** From now on the server takes no events; `stop` and `start` end that. */
export const refuse = control("refuse");
export { HEAPS_CDN, SERVER };
