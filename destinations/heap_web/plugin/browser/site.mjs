// A shop, our server's double and a stand-in for Heap's CDN, each on its own origin.

import { build } from "esbuild";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const dist = (name) => readFileSync(new URL("../dist/" + name, import.meta.url));

/** The clients as an application bundles them, with `start(options, load)` to begin. */
async function bundle(client) {
  const { outputFiles } = await build({
    stdin: {
      contents: `import { AnalyticsBrowser } from ${JSON.stringify(client)};
        window.start = (settings, options) => { window.analytics = AnalyticsBrowser.load(settings, options); };`,
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

/** Heap's newer script in one file: takes the id and the queue, and records each call. */
const HEAP = `(() => {
  const heap = window.heap, queue = window.heapReadyCb;
  heap.calls = [];
  for (const name of ["track", "identify", "resetIdentity", "addUserProperties", "startTracking", "stopTracking"])
    heap[name] = (...args) => {
      if (heap.breaks === name) throw new RangeError("broken " + name);
      heap.calls.push([name, ...args]);
    };
  heap.loaded = true;
  for (const { fn } of queue.splice(0)) fn();
})();`;

async function listen(handle) {
  // A page that is closed breaks off what it was sending: that is no fault of the test.
  const answer = async (request, response) => {
    try {
      await handle(request, response);
    } catch (error) {
      if (!request.destroyed) throw error;
    }
  };
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, origin: `http://127.0.0.1:${server.address().port}` };
}

/** What the page's visitor gets: `heap` is `"runs"`, `"hangs"`, or `"missing"`. */
export async function site({ heap = "runs" } = {}) {
  const clients = {
    "/cio.js": await bundle("@customerio/cdp-analytics-browser"),
    "/seg.js": await bundle("@segment/analytics-next"),
  };
  const events = [];
  const receipts = [];
  const requested = [];
  let plugin = {};
  let policy;

  const cdn = await listen((request, response) => {
    requested.push(request.url);
    if (heap == "hangs") return;
    response.writeHead(heap == "missing" ? 404 : 200, { "content-type": "text/javascript" });
    response.end(heap == "missing" ? "" : HEAP);
  });

  const cdp = await listen(async (request, response) => {
    const cors = {
      "access-control-allow-origin": "*",
      "access-control-allow-headers": "authorization, content-type, x-retry-count",
      "access-control-max-age": "7200",
    };
    const answer = (type, body) => response.writeHead(200, { ...cors, "content-type": type }).end(body);
    if (request.method == "OPTIONS") return response.writeHead(204, cors).end();
    let body = "";
    for await (const chunk of request) body += chunk;
    const path = request.url;
    if (path == "/p/hw/plugin.js") return answer("text/javascript", dist("heap-web.js"));
    if (path == "/p/hw/debug.js") return answer("text/javascript", dist("heap-web-debug.js"));
    if (path.endsWith("/settings")) return answer("application/json", JSON.stringify(document()));
    if (path == "/v1/r") receipts.push({ ...JSON.parse(body), headers: request.headers });
    else if (path.startsWith("/v1/")) events.push({ ...JSON.parse(body), at: Date.now() });
    answer("application/json", "{}");
  });

  const shop = await listen((request, response) => {
    const path = new URL(request.url, "http://shop").pathname;
    if (clients[path]) return response.writeHead(200, { "content-type": "text/javascript" }).end(clients[path]);
    const headers = { "content-type": "text/html", ...(policy && { "content-security-policy": policy }) };
    response.writeHead(200, headers);
    response.end(`<!doctype html><html lang=en><title>Shop</title><body><script src="${path == "/seg" ? "/seg.js" : "/cio.js"}"></script>`);
  });

  const key = "wk_site";
  const server = {
    apiKey: key,
    apiHost: cdp.origin.replace("http://", "") + "/v1",
    protocol: "http",
    addBundledMetadata: true,
    unbundledIntegrations: [],
    maybeBundledConfigIds: { "heap-web": ["heap-web-prod"] },
  };
  const document = () => ({
    integrations: {
      "Customer.io Data Pipelines": server,
      "Segment.io": server,
      "heap-web": { bundlingStatus: "bundled", versionSettings: { componentTypes: [] } },
    },
    plan: {},
    middlewareSettings: { routingRules: [] },
    enabledMiddleware: {},
    metrics: { sampleRate: 0, host: server.apiHost },
    legacyVideoPluginsEnabled: false,
    remotePlugins: [
      {
        name: "heap-web",
        creationName: "heap-web",
        libraryName: "heap-webDestination",
        url: cdp.origin + "/p/hw/plugin.js",
        settings: {
          appId: "11",
          start: {
            script: cdn.origin + "/config/11/heap_config.js",
            heap: { envId: "11", clientConfig: { shouldFetchServerConfig: false } },
            stubs: ["track", "identify", "resetIdentity", "addUserProperties", "startTracking", "stopTracking"],
          },
          receipts: { url: cdp.origin + "/v1/r", rate: 1 },
          debugUrl: cdp.origin + "/p/hw/debug.js",
          writeKey: key,
          revision: 1,
          subscriptions: [
            {
              id: "track",
              partnerAction: "trackEvent",
              name: "Track Event",
              enabled: true,
              subscribe: 'type = "track"',
              test: ["=", "type", "track"],
              mapping: { name: ["get", "event"], properties: ["get", "properties"] },
            },
            {
              id: "identify",
              partnerAction: "identifyUser",
              name: "Identify User",
              enabled: true,
              subscribe: 'type = "identify"',
              test: ["=", "type", "identify"],
              mapping: { userId: ["get", "userId"], traits: ["get", "traits"] },
            },
          ],
          ...plugin,
        },
      },
    ],
  });

  return {
    cdp: cdp.origin,
    cdn: cdn.origin,
    shop: shop.origin,
    events,
    requested,
    receipts: () => receipts.flatMap((body) => body.receipts),
    bodies: receipts,
    /** Settings of the plugin that this visit has otherwise. */
    set plugin(settings) {
      plugin = settings;
    },
    /** The shop's content security policy. */
    set policy(text) {
      policy = text;
    },
    settings: { writeKey: key, cdnURL: cdp.origin },
    close() {
      for (const { server } of [cdn, cdp, shop]) {
        server.closeAllConnections();
        server.close();
      }
    },
  };
}
