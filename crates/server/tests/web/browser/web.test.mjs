// The real clients against the server, in Chromium.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { HEAPS_CDN, SERVER, ask, events, heapCalls, heapsApi, inHeap, inPage, start, stop, town, until, visit } from "./site.mjs";

let here;
before(async () => void (here = await town()));
after(() => here.close());

let count = 0;
/** A text that no other visit uses. */
const fresh = (what) => `${what} ${process.pid}-${count++}`;

/** Visits, and leaves whatever happens. */
async function visiting(client, options, then) {
  const visitor = await visit(here, client, options);
  try {
    await then(visitor);
  } finally {
    await visitor.close();
  }
}

const failures = async (integration, code) => {
  const { failures } = await ask(`/integrations/${integration}/page-reports`);
  return failures.filter((failure) => !failure.messageId && failure.code == code).length;
};

for (const client of ["cio", "seg"]) {
  describe(client, { concurrency: 3 }, () => {
    it("identify, track and page reach the server; the first two Heap, in order, and the ledger tells", () =>
      visiting(client, {}, async ({ calls, page }) => {
        const [user, name] = [fresh("ada"), fresh("Ordered")];
        await calls(["identify", user, { plan: { name: "pro" } }], ["track", name, { n: 1.5 }], ["page", "Home"]);
        const [method, event, properties] = await inHeap(name);
        assert.deepEqual([method, event, properties.n], ["track", name, "1.5"]);
        const all = await heapCalls("app_id=11");
        const at = (test) => all.findIndex(test);
        const identified = at(([method, id]) => method == "identify" && id == user);
        assert.ok(identified >= 0 && identified < at(([, id]) => id == name));
        const told = await inPage(name, "sent");
        assert.equal(told.browser, "Chrome");
        const [stored] = await events(name);
        assert.deepEqual(stored.event._metadata.bundledIds, ["web-site"]);
        assert.equal(stored.event._metadata.failedInitializations, undefined);

        // The same visitor on the next page, and after a turn of a single-page application.
        await page.reload();
        await page.evaluate(([server]) => window.start("wk_site", server, {}), [SERVER]);
        const again = fresh("Again");
        await calls(["track", again]);
        await inHeap(again);
        const [next] = await events(again);
        assert.equal(next.event.userId, user);
        const turned = fresh("Turned");
        await page.evaluate(() => history.pushState({}, "", "/bundle/other"));
        await calls(["page", turned], ["track", turned]);
        await inHeap(turned);
        assert.equal((await events(turned))[0].event.context.page.path, "/bundle/other");
      }));

    it("the documented example of flattening ends as documented", () =>
      visiting(client, {}, async ({ calls }) => {
        const name = fresh("Signed Up");
        const foo = { bar: { cheese: "american", prop: [1, 2, 3], products: [{ A: "Jello" }, { B: "Peanut" }] } };
        await calls(["track", name, { foo }]);
        const [, , { segment_library, ...properties }] = await inHeap(name);
        assert.equal(segment_library, "browser-destination");
        assert.deepEqual(properties, {
          "foo.bar.cheese": "american",
          "foo.bar.prop": "[1,2,3]",
          "foo.bar.products": '[{"A":"Jello"},{"B":"Peanut"}]',
        });
      }));

    for (const kind of ["snippet", "official"]) {
      it(`the ${kind} one delivers and loads all from here`, () =>
        visiting(client, { kind }, async ({ calls, requests }) => {
          const name = fresh(kind);
          await calls(["track", name]);
          await inHeap(name);
          await inPage(name, "sent");
          const hosts = new Set(requests.map((request) => new URL(request.url()).origin));
          assert.deepEqual([...hosts].sort(), [SERVER, here.shop, HEAPS_CDN].sort());
        }));
    }

    it("a strict policy of the page lets all of it work, by a snippet", () =>
      visiting(
        client,
        {
          kind: "snippet",
          policy: `default-src 'none'; script-src 'nonce-n0nce' ${SERVER} ${HEAPS_CDN}; connect-src ${SERVER} ${HEAPS_CDN}`,
        },
        async ({ calls, console }) => {
          const name = fresh("Strict");
          await calls(["track", name]);
          await inHeap(name);
          assert.deepEqual(console.filter((text) => /Content Security Policy|violat/.test(text)), []);
        },
      ));

    it("a policy without Heap's host: events arrive, and the ledger says why Heap has none", () =>
      visiting(
        client,
        { policy: `default-src 'none'; script-src 'nonce-n0nce' ${SERVER}; connect-src ${SERVER}` },
        async ({ calls }) => {
          const name = fresh("Refused");
          await calls(["track", name]);
          assert.equal((await inPage(name, "failed")).code, "sdk_load_failed");
        },
      ));

    it("every form of integrations ends in Heap, and in the ledger, as documented", () =>
      visiting(client, {}, async ({ calls }) => {
        const rows = [
          [undefined, true],
          [{}, true],
          [{ All: true }, true],
          [{ All: false }, false],
          [{ all: false }, false],
          [{ "heap-web": false }, false],
          [{ All: false, "heap-web": true }, true],
          [{ All: false, "heap-web": { x: 1 } }, true],
          [{ "Heap Web (Actions)": false }, false],
          [{ "Heap (Web)": false }, false],
          [{ "actions-heap-web": false }, false],
          [{ All: false, "Heap (Web)": true }, false],
          [{ "Heap Web (Actions) trackEvent": false }, false],
          [{ "Heap Web (Actions) identifyUser": false }, true],
          [{ "heap-web": null, All: false }, false],
          [{ "heap cloud (actions)": false }, true],
        ].map(([integrations, goes]) => ({ integrations, goes, name: fresh("Row") }));
        await calls(...rows.map(({ name, integrations }) => ["track", name, {}, integrations && { integrations }]));
        const last = fresh("Last");
        await calls(["track", last]);
        await inHeap(last);
        for (const { name, integrations, goes } of rows) {
          const [{ page }] = await events(name);
          const expected = goes ? ["sent"] : ["filtered", "skipped"];
          if (goes) await inPage(name, "sent");
          else assert.ok(expected.includes(page[0].outcome), `${JSON.stringify(integrations)}: ${JSON.stringify(page[0])}`);
          assert.equal((await heapCalls("event=" + encodeURIComponent(name))).length, goes ? 1 : 0, JSON.stringify(integrations));
        }
      }));

    it("Heap's script hangs: the server has the first event at once, and later hears of it", () =>
      visiting(client, { heap: "hangs" }, async ({ calls, page }) => {
        const name = fresh("Hanging");
        const known = await failures("web-site", "sdk_not_ready");
        const sent = page.waitForRequest((request) => /\/v1\/t$/.test(request.url()), { timeout: 5_000 });
        await calls(["track", name]);
        await sent;
        await events(name);
        await until("sdk_not_ready", async () => (await failures("web-site", "sdk_not_ready")) > known);
        assert.equal((await inPage(name, "failed")).code, "sdk_not_ready");
      }));

    it("Heap's script is slow: what was called before it ran arrives when it does", () =>
      visiting(client, { heap: 1_500 }, async ({ calls }) => {
        const name = fresh("Early");
        await calls(["track", name]);
        await events(name);
        assert.deepEqual(await heapCalls("event=" + encodeURIComponent(name)), []);
        await inHeap(name);
        await inPage(name, "sent");
      }));

    it("Heap's script is blocked: events arrive, and the integration says so", () =>
      visiting(client, { heap: "blocked" }, async ({ calls }) => {
        const known = await failures("web-site", "sdk_load_failed");
        const name = fresh("Blocked");
        await calls(["track", name]);
        assert.equal((await inPage(name, "failed")).code, "sdk_load_failed");
        await until("sdk_load_failed", async () => (await failures("web-site", "sdk_load_failed")) > known);
      }));

    it("a Heap of the page's own is used as it is; one that throws is told, and the others go on", () =>
      visiting(
        client,
        {
          before: () => {
            window.made = [];
            window.heap = {
              loaded: true,
              envId: "99",
              identify: () => {
                throw new RangeError("broken");
              },
              track: (...args) => window.made.push(args),
              addUserProperties: () => {},
            };
          },
        },
        async ({ calls, page, requests, console }) => {
          const [user, name] = [fresh("ada"), fresh("Own")];
          const known = await failures("web-site", "other_environment");
          await calls(["identify", user], ["track", name]);
          assert.equal((await inPage(name, "sent")).code, "");
          assert.deepEqual(await page.evaluate(() => window.made.map(([name]) => name)), [name]);
          const failed = await until("the exception", async () => {
            const { failures } = await ask("/integrations/web-site/page-reports");
            return failures.find(({ code }) => code == "RangeError: broken");
          });
          assert.match(failed.reason, /^an exception: RangeError: broken/);
          assert.ok(console.some((text) => text.startsWith("[heap-web]")));
          await until("other_environment", async () => (await failures("web-site", "other_environment")) > known);
          assert.deepEqual(requests.filter((request) => request.url().startsWith(HEAPS_CDN)).length, 0);
        },
      ));

    it("without consent Heap's script isn't loaded; with it, it is", () =>
      visiting(client, { key: "wk_consent" }, async ({ calls, requests }) => {
        const stamp = (analytics) => ({ context: { consent: { categoryPreferences: { analytics } } } });
        const [without, none, given] = [fresh("Without"), fresh("None"), fresh("Given")];
        await calls(["track", none], ["track", without, {}, stamp(false)]);
        assert.equal((await inPage(without, "skipped")).code, "consent");
        assert.equal((await inPage(none, "skipped")).code, "consent");
        assert.ok(!requests.some((request) => request.url().startsWith(HEAPS_CDN)));
        await calls(["track", given, {}, stamp(true)]);
        await inHeap(given);
        await inPage(given, "sent");
      }));

    it("reset() resets Heap's identity where the setting says so", () =>
      visiting(client, { key: "wk_reset" }, async ({ calls }) => {
        const resets = async () => (await heapCalls("app_id=13")).filter(([method]) => method == "resetIdentity").length;
        const name = fresh("Before");
        await calls(["track", name]);
        await inHeap(name);
        const known = await resets();
        await calls(["reset"]);
        await until("resetIdentity", async () => (await resets()) > known);
      }));

    it("an event that goes both ways to one environment is warned of", () =>
      visiting(client, { key: "wk_both" }, async ({ calls }) => {
        const [user, name] = [fresh("ada"), fresh("Both")];
        await calls(["identify", user], ["track", name]);
        await inHeap(name);
        await until("the cloud's copy", async () => {
          const { events } = await heapsApi("events?event=" + encodeURIComponent(name));
          return events.length == 1;
        });
        const [{ warnings, event }] = await events(name);
        assert.match(warnings[0], /twice.*"web-both".*"cloud"/);
        assert.deepEqual(event._metadata.unbundled, ["Heap Cloud (Actions)"]);
      }));

    it("load-level integrations keep the plugin out, and the server still has the events", () =>
      visiting(client, { options: { integrations: { All: true, "heap-web": false } } }, async ({ calls, requests }) => {
        const name = fresh("Unloaded");
        await calls(["track", name]);
        const [{ page }] = await events(name);
        assert.equal(page[0].outcome, "filtered");
        assert.ok(!requests.some((request) => request.url().includes("/p/hw/")));
      }));

    it("a disabled source's page goes on, and its events are recorded as refused", () =>
      visiting(client, { key: "wk_off" }, async ({ calls }) => {
        const refused = async () => (await ask("/refused?source=off&limit=500")).length;
        const known = await refused();
        await calls(["track", fresh("Off")]);
        await until("the refusal", async () => (await refused()) > known);
      }));

    it("an event that comes again from the next page is stored once", async () => {
      const name = fresh("Left");
      const visitor = await visit(here, client, {});
      try {
        let held = 0;
        // The answer comes after the page is gone.
        await visitor.context.route(SERVER + "/v1/t", async (route) => {
          const answer = await route.fetch();
          if (held++ == 0) await new Promise((then) => setTimeout(then, 600));
          await route.fulfill({ response: answer }).catch(() => {});
        });
        await visitor.calls(["track", name]);
        await events(name);
        await visitor.page.goto(visitor.address);
        const repeated = visitor.page.waitForRequest(
          (request) => /\/v1\/t$/.test(request.url()) && request.postData().includes(name),
        );
        await visitor.begin();
        await repeated;
        const last = fresh("Last");
        await visitor.calls(["track", last]);
        await events(last);
        assert.equal((await events(name)).length, 1);
      } finally {
        await visitor.close();
      }
    });
  });
}

describe("seg", () => {
  it("a retry with its count passes the browser's checks", () =>
    visiting("seg", {}, async ({ context, calls }) => {
      const counts = [];
      await context.route(SERVER + "/v1/t", async (route) => {
        counts.push(route.request().headers()["x-retry-count"]);
        if (counts.length > 1) return route.continue();
        await route.fulfill({ status: 500, headers: { "access-control-allow-origin": "*" }, body: "{}" });
      });
      const name = fresh("Retried");
      await calls(["track", name]);
      await events(name);
      assert.deepEqual(counts.slice(0, 2), [undefined, "1"]);
    }));
});

describe("rs", () => {
  it("delivers its events", () =>
    visiting("rs", {}, async ({ calls }) => {
      const [user, name] = [fresh("ada"), fresh("Rudder")];
      await calls(["identify", user, { plan: "pro" }], ["track", name, { n: 1 }], ["page", "Home"]);
      const [{ event }] = await events(name);
      assert.deepEqual([event.userId, event.properties.n], [user, 1]);
    }));
});

describe("a server that is away for a while", () => {
  for (const client of ["cio", "seg"]) {
    it(`loses nothing of ${client}, and stores nothing twice`, () =>
      visiting(client, {}, async ({ calls, page }) => {
        const [first, second] = [fresh("Before"), fresh("While")];
        await calls(["track", first]);
        await events(first);
        await stop();
        const failed = page.waitForEvent("requestfailed", (request) => /\/v1\/t$/.test(request.url()));
        await calls(["track", second]);
        await failed;
        await start();
        assert.equal((await events(second)).length, 1);
        assert.equal((await events(first)).length, 1);
      }));
  }
});
