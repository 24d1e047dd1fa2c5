// Weighs the console and measures its first paint, over loopback. `cargo xtask bench console`.
//
// Prints a table, and as the last line the same as
// JSON. First paint is the browser's own figure, counted from the start of the navigation.

import { get } from "node:http";
import { begin, furnish, send } from "./server.mjs";

const ROUNDS = Number(process.argv[2] ?? 25);
const EVENTS = 500;

const run = await begin();
const key = await furnish(run);
for (let n = 0; n < EVENTS; n++) {
  const properties = { total: n, plan: "team", cart: { currency: "EUR", items: [1, 2] } };
  await send(run.origin, key, { type: "track", event: "Order Completed", userId: `user-${n % 50}`, messageId: `m-${n}`, properties });
}
const PAGES = {
  Home: "/",
  Integration: "/integrations/heap",
  Event: "/events/1",
  Editor: "/integrations/heap/actions/trackEvent-1",
};

await run.page.goto(run.link);
await run.open("/events?message=m-" + (EVENTS - 1));
await run.page.locator("tbody .tag.delivered").waitFor();
const storageState = await run.context.storageState();

/** Milliseconds from the start of the navigation to the first paint. */
async function paint(context, path) {
  const page = await context.newPage();
  await page.goto(run.origin + path);
  const at = await page.evaluate(() => new Promise((told) => {
    const seen = (list) => {
      const first = list.getEntries().find(({ name }) => name === "first-contentful-paint");
      if (first) told(first.startTime);
    };
    new PerformanceObserver(seen).observe({ type: "paint", buffered: true });
  }));
  await page.close();
  return at;
}

const middle = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const figures = (values) => ({ median: middle(values), least: Math.min(...values), most: Math.max(...values) });

const paints = {};
for (const [name, path] of Object.entries(PAGES)) {
  const [cold, warm] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    const context = await run.browser.newContext({ storageState, viewport: { width: 1280, height: 860 } });
    cold.push(await paint(context, path));
    warm.push(await paint(context, path));
    await context.close();
  }
  paints[name] = { cold: figures(cold), warm: figures(warm) };
}

/** Bytes of the body as it is sent. */
const weigh = (path, cookie) => new Promise((told, failed) => {
  get(run.origin + path, { headers: { "accept-encoding": "gzip", cookie } }, (answer) => {
    let bytes = 0;
    answer.on("data", (chunk) => (bytes += chunk.length));
    answer.on("end", () => told(bytes));
  }).on("error", failed);
});
const cookie = storageState.cookies.map(({ name, value }) => `${name}=${value}`).join("; ");
await run.open("/");
const assets = await run.page.evaluate(() => [...document.querySelectorAll("[src^='/assets/'], [href^='/assets/']")]
  .map((element) => element.getAttribute("src") ?? element.getAttribute("href")));
const weights = {};
for (const asset of new Set(assets)) weights[asset.replace(/^\/assets\/|-[0-9a-f]{12}/g, "")] = await weigh(asset, cookie);
for (const [name, path] of Object.entries(PAGES)) weights[`${name} (HTML)`] = await weigh(path, cookie);
await run.end();

const ms = ({ median, least, most }) => `${median.toFixed(0)} (${least.toFixed(0)}–${most.toFixed(0)})`;
console.log(`first paint in ms over ${ROUNDS} rounds, median (least–most)\n`);
for (const [name, { cold, warm }] of Object.entries(paints)) {
  console.log(`${name.padEnd(14)} nothing cached ${ms(cold).padEnd(16)} cached ${ms(warm)}`);
}
console.log("\nbytes as sent\n");
for (const [name, bytes] of Object.entries(weights)) console.log(`${name.padEnd(22)} ${String(bytes).padStart(7)}`);
console.log(JSON.stringify({ paints, weights }));
