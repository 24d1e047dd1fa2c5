// The plugin under the real clients in Chromium.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { chromium } from "playwright-core";
import { site } from "./site.mjs";

let browser;
before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: ["--no-sandbox"],
  });
});
after(() => browser.close());

/** Waits until `look` gives something true, at most `limit` milliseconds. */
async function until(look, limit = 5000) {
  const end = Date.now() + limit;
  for (;;) {
    const found = await look();
    if (found) return found;
    assert.ok(Date.now() < end, "waited in vain for " + look);
    await new Promise((then) => setTimeout(then, 20));
  }
}

/** Visits the shop with one of the clients, started with `options`, and gives `then` the page. */
async function visit(client, { heap, plugin = {}, policy, options = {}, search = "" }, then) {
  const shop = await site({ heap });
  const context = await browser.newContext();
  try {
    shop.plugin = plugin;
    shop.policy = typeof policy == "function" ? policy(shop) : policy;
    const page = await context.newPage();
    const warnings = [];
    page.on("console", (message) => warnings.push(message.text()));
    await page.goto(`${shop.shop}/${client}${search}`);
    const start = Date.now();
    await page.evaluate(([settings, options]) => window.start(settings, options), [shop.settings, options]);
    /** One after the other in one go, as a page does. */
    const calls = (...list) =>
      page.evaluate((list) => list.forEach(([method, ...args]) => void window.analytics[method](...args)), list);
    const call = (...one) => calls(one);
    const made = () => page.evaluate(() => (window.heap && window.heap.calls) || []);
    await then({ shop, page, start, call, calls, made, warnings });
  } finally {
    await context.close();
    shop.close();
  }
}

/** Without them `All: false` of the load call would switch off the way to our server, too. */
const SERVER = { "Customer.io Data Pipelines": true, "Segment.io": true };
const MARK = { segment_library: "browser-destination" };
const reasons = (shop) => shop.receipts().filter((receipt) => !receipt.messageId).map((receipt) => receipt.reason);

for (const client of ["cio", "seg"]) {
  describe(client, () => {
    it("identify and track reach Heap in call order, and our server", () =>
      visit(client, {}, async ({ shop, calls, made }) => {
        await calls(
          ["identify", "ada", { plan: { name: "pro" } }],
          ["track", "Order Completed", { n: 1.5, items: [{ sku: "x" }] }],
        );
        await until(async () => (await made()).length == 3);
        assert.deepEqual(await made(), [
          ["addUserProperties", { "plan.name": "pro" }],
          ["identify", "ada"],
          ["track", "Order Completed", { ...MARK, n: "1.5", items: '[{"sku":"x"}]' }],
        ]);
        await until(() => shop.events.length == 2);
        for (const event of shop.events) {
          assert.ok(event._metadata.bundled.includes("heap-web"));
          assert.equal(event._metadata.failedInitializations, undefined);
        }
        const sent = () => shop.receipts().filter((receipt) => receipt.result == "sent");
        await until(() => sent().length == 2);
        const ids = shop.events.map((event) => event.messageId).sort();
        assert.deepEqual(sent().map((receipt) => receipt.messageId).sort(), ids);
        assert.equal(shop.bodies[0].headers.cookie, undefined);
        assert.match(shop.bodies[0].headers["content-type"], /^text\/plain/);
      }));

    const both = ["identify", "track"];
    for (const [where, integrations, expected] of [
      ["load", { All: true, "heap-web": false }, null],
      ["load", { All: false }, null],
      ["load", { All: false, "heap-web": true }, both],
      ["event", { "heap-web": false }, []],
      ["event", { All: false }, []],
      ["event", { All: false, "heap-web": true }, both],
      ["event", { "Heap Web (Actions) trackEvent": false }, ["identify"]],
      ["event", { "Heap Web (Actions)": false }, []],
      ["event", { "Heap (Web)": false }, []],
    ]) {
      it(`integrations at ${where} ${JSON.stringify(integrations)}: Heap gets ${expected || "no script"}`, () =>
        visit(client, { options: where == "load" ? { integrations: { ...SERVER, ...integrations } } : {} }, async ({ shop, calls, made }) => {
          const options = where == "event" ? { integrations } : {};
          await calls(["identify", "ada", {}, options], ["track", "E", {}, options], ["track", "Last"]);
          await until(() => shop.events.length == 3);
          if (!expected) return assert.deepEqual(shop.requested, []);
          await until(async () => (await made()).some(([, name]) => name == "Last"));
          const methods = (await made()).filter(([, name]) => name != "Last").map(([method]) => method);
          assert.deepEqual(methods, expected);
        }));
    }

    it("Heap's CDN hangs: the first event doesn't wait for it; sdk_not_ready after 10 seconds", () =>
      visit(client, { heap: "hangs" }, async ({ shop, start, call }) => {
        await call("track", "E");
        await until(() => shop.events.length == 1);
        assert.deepEqual(reasons(shop), []);
        assert.equal(shop.events[0]._metadata.failedInitializations, undefined);
        await until(() => reasons(shop).length, 15_000);
        assert.ok(Date.now() - start >= 10_000);
        assert.deepEqual(reasons(shop), ["sdk_not_ready"]);
        assert.equal(shop.receipts().find((receipt) => receipt.action == "track").reason, "sdk_not_ready");
      }));

    it("Heap's CDN answers 404: sdk_load_failed", () =>
      visit(client, { heap: "missing" }, async ({ shop, call }) => {
        await call("track", "E");
        await until(() => reasons(shop).length && shop.events.length);
        assert.deepEqual(reasons(shop), ["sdk_load_failed"]);
      }));

    it("the page's policy refuses Heap's script: sdk_load_failed, events reach us", () =>
      visit(
        client,
        { policy: ({ cdp }) => `default-src 'none'; script-src 'self' ${cdp}; connect-src ${cdp}` },
        async ({ shop, call }) => {
          await call("track", "E");
          await until(() => reasons(shop).length && shop.events.length);
          assert.deepEqual(reasons(shop), ["sdk_load_failed"]);
        },
      ));

    it("an action that throws is told, and the other is sent", () =>
      visit(client, {}, async ({ shop, page, call, calls, made, warnings }) => {
        await call("track", "First");
        await until(async () => (await made()).length);
        await page.evaluate(() => void (window.heap.breaks = "identify"));
        await calls(["identify", "ada"], ["track", "E"]);
        await until(() => shop.receipts().find((receipt) => receipt.result == "failed"));
        const failed = shop.receipts().find((receipt) => receipt.result == "failed");
        assert.equal(failed.reason, "RangeError: broken identify");
        await until(async () => (await made()).some(([, name]) => name == "E"));
        assert.ok(warnings.some((text) => text.startsWith("[heap-web]")));
      }));

    it("no consent, no script; consent, script", () =>
      visit(client, { plugin: { consentCategories: ["analytics"] } }, async ({ shop, call, made }) => {
        const stamp = (analytics) => ({ context: { consent: { categoryPreferences: { analytics } } } });
        await call("track", "E", {}, stamp(false));
        await until(() => shop.events.length == 1);
        assert.deepEqual(shop.requested, []);
        await call("track", "E", {}, stamp(true));
        await until(async () => (await made()).length == 1);
      }));

    it("reset() resets Heap's identity if the setting says so", () =>
      visit(client, { plugin: { resetOnLogout: true } }, async ({ call, made }) => {
        await call("track", "E");
        await until(async () => (await made()).length == 1);
        await call("reset");
        await until(async () => (await made()).length == 2);
        assert.deepEqual((await made())[1], ["resetIdentity"]);
      }));

    it("left at once, the receipts come all the same", () =>
      visit(client, {}, async ({ shop, page, call, made }) => {
        await call("track", "E");
        await until(async () => (await made()).length == 1);
        await page.goto("about:blank");
        await until(() => shop.receipts().some((receipt) => receipt.action == "track"));
      }));

    it("the overlay says that Heap is blocked, and that the call is lost", () =>
      visit(client, { search: "?heapline_debug=1", heap: "missing" }, async ({ page, call }) => {
        await call("track", "Order Completed", { n: 1 });
        const overlay = page.locator("heapline-debug");
        await overlay.getByRole("status").getByText("Heap's script was blocked").waitFor();
        await overlay.locator("li", { hasText: "Order Completed" }).locator("summary .failed").waitFor();
      }));

    it("the overlay shows events under a strict policy", () =>
      visit(
        client,
        {
          search: "?heapline_debug=1",
          policy: ({ cdp, cdn }) => `default-src 'none'; script-src 'self' ${cdp} ${cdn}; connect-src ${cdp}`,
        },
        async ({ page, call, warnings }) => {
          await call("track", "Order Completed", { n: 1 });
          const overlay = page.locator("heapline-debug");
          const entry = overlay.locator("li").filter({ hasText: "Order Completed" });
          await entry.locator("summary").first().click();
          await entry.getByText('heap.track("Order Completed"').waitFor();
          await entry.getByText("The trigger doesn't fire on it.").waitFor();
          await overlay.getByText("Heap runs, environment 11").waitFor();
          assert.equal(await entry.count(), 1, "one entry for an event, whatever its actions");
          assert.equal(await overlay.evaluate((host) => getComputedStyle(host).position), "fixed");
          if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/overlay-${client}.png` });
          assert.deepEqual(warnings.filter((text) => /Content Security Policy|violat/.test(text)), []);
          await page.keyboard.press("Escape");
          await page.locator("heapline-debug").waitFor({ state: "detached" });
        },
      ));
  });
}
