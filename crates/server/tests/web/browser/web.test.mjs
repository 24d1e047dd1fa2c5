// The real clients against the server, in Chromium.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  HEAPS_CDN, SERVER, allInHeap, ask, events, heapCalls, heapsApi, inHeap, inPage, refuse, start, stop, town, until, visit,
} from "./site.mjs";

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
      visiting(client, {}, async ({ calls, page, asked }) => {
        const [user, name] = [fresh("ada"), fresh("Ordered")];
        await calls(["identify", user, { plan: { name: "pro" } }], ["track", name, { n: 1.5 }], ["page", "Home"]);
        const [identified, [method, event, properties]] = await allInHeap(11, user, name);
        assert.deepEqual(identified, ["identify", user]);
        assert.deepEqual([method, event, properties.n], ["track", name, "1.5"]);
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
        // Two page loads, and a turn that loads nothing anew.
        assert.deepEqual([asked("/p/hw/"), asked("heap_config.js")], [2, 2]);
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
          const [user, name] = [fresh("ada"), fresh(kind)];
          await calls(["identify", user, { plan: "pro" }], ["track", name]);
          assert.deepEqual((await allInHeap(11, user, name)).map(([method]) => method), ["identify", "track"]);
          await inPage(name, "sent");
          assert.equal((await events(name))[0].event.userId, user);
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
      {
        let arrive;
        return visiting(client, { heap: new Promise((then) => (arrive = then)) }, async ({ calls }) => {
          const [user, name] = [fresh("ada"), fresh("Early")];
          await calls(["identify", user], ["track", name]);
          await events(name);
          assert.deepEqual(await heapCalls("event=" + encodeURIComponent(name)), []);
          arrive();
          assert.deepEqual((await allInHeap(11, user, name)).map(([method]) => method), ["identify", "track"]);
          await inPage(name, "sent");
        });
      });

    for (const heap of ["blocked", "missing"]) {
      it(`Heap's script is ${heap}: events arrive, and the integration says so`, () =>
        visiting(client, { heap }, async ({ calls }) => {
          const known = await failures("web-site", "sdk_load_failed");
          const name = fresh("Without");
          await calls(["track", name]);
          assert.equal((await inPage(name, "failed")).code, "sdk_load_failed");
          await until("sdk_load_failed", async () => (await failures("web-site", "sdk_load_failed")) > known);
          assert.deepEqual(await heapCalls("event=" + encodeURIComponent(name)), []);
        }));
    }

    it("what a page without Heap's script couldn't send the server delivers, with the keys of the cloud: it counts once", () =>
      visiting(client, { key: "wk_fallback", heap: "blocked" }, async ({ calls }) => {
        const [user, name] = [fresh("ada"), fresh("Fallback")];
        await calls(["identify", user], ["track", name, { n: 1 }]);
        const deliveries = await until("both deliveries", async () => {
          const [{ ways }] = await events(name);
          const both = ways.filter(({ outcome }) => outcome == "delivered");
          return both.length == 2 && both;
        });
        assert.deepEqual(deliveries.map((way) => way.integration).sort(), ["cloud-fallback", "web-fallback"]);
        const keys = deliveries.map((way) => way.requests.at(-1).json.events[0].idempotency_key);
        assert.equal(keys[0], keys[1]);
        const { events: kept } = await heapsApi("events?event=" + encodeURIComponent(name));
        assert.deepEqual(kept.map((event) => event.idempotency_key), [keys[0]]);
        assert.equal((await inPage(name, "failed")).code, "sdk_load_failed");
      }));

    it("what the page sent the server leaves alone", () =>
      visiting(client, { key: "wk_fallback" }, async ({ calls }) => {
        const [name, later] = [fresh("Sent"), fresh("Later")];
        await calls(["identify", fresh("ada")], ["track", name]);
        await inPage(name, "sent");
        // The next one is decided after it, so it is decided once that is.
        const settled = ({ deliveries }) => deliveries.some((d) => d.integration == "web-fallback");
        await visiting(client, { key: "wk_fallback", heap: "blocked" }, async ({ calls }) => {
          await calls(["identify", fresh("ada")], ["track", later]);
          await until("the later one", async () => settled((await events(later))[0]));
        });
        assert.ok(!settled((await events(name))[0]));
      }));

    it("an action whose mapping goes wrong is told, and the other sends", () =>
      visiting(client, { key: "wk_odd" }, async ({ calls, console }) => {
        const name = fresh("Odd");
        await calls(["track", name]);
        await inHeap(name);
        await inPage(name, "sent");
        const failed = await inPage(name, "failed");
        assert.deepEqual([failed.action, failed.code], ["odd", "invalid_payload"]);
        assert.ok(console.some((text) => text.startsWith("[heap-web] odd")));
        assert.equal((await heapCalls("event=" + encodeURIComponent(name))).length, 1);
      }));

    it("consent that is withdrawn stops Heap's own tracking, and given again starts it", () =>
      visiting(client, { key: "wk_consent" }, async ({ calls }) => {
        const stamp = (analytics) => ({ context: { consent: { categoryPreferences: { analytics } } } });
        const mark = fresh("");
        const names = ["Given", "Withdrawn", "Given again"].map((what) => what + mark);
        // From the first to the last, which may reach Heap before those between them.
        const own = async () => {
          const calls = (await heapCalls("app_id=12")).filter(([method]) => method != "addUserProperties");
          const [first, last] = [names[0], names[2]].map((known) => calls.findIndex(([, name]) => name == known));
          const methods = calls.slice(first, last + 1).map(([method]) => method);
          return first >= 0 && methods.length >= 4 && methods;
        };
        await calls(["track", names[0], {}, stamp(true)]);
        await inHeap(names[0]);
        await calls(["track", names[1], {}, stamp(false)], ["track", names[2], {}, stamp(true)]);
        assert.deepEqual(await until("all of it", own), ["track", "stopTracking", "startTracking", "track"]);
      }));

    it("a page whose source has no Heap (Web) delivers all the same", () =>
      visiting(client, { key: "wk_plain" }, async ({ calls, asked }) => {
        const name = fresh("Plain");
        await calls(["track", name]);
        const [{ page, event }] = await events(name);
        assert.deepEqual([page, event._metadata.bundled.includes("heap-web")], [[], false]);
        assert.deepEqual([asked("/p/hw/"), asked(HEAPS_CDN)], [0, 0]);
      }));

    it("a key that nobody knows shows in Data In, and the page goes on", () =>
      visiting(client, { key: "wk_typo" }, async ({ page }) => {
        const known = () => ask("/refused?limit=500").then((all) => all.filter(({ message }) => /^a page's settings/.test(message)).length);
        await until("the refusal", async () => (await known()) > 0);
        assert.equal(await page.evaluate(() => 1 + 1), 2);
      }));

    it("two sources on one page load Heap once, and the second says that it runs for another", () =>
      visiting(client, {}, async ({ calls, page, asked }) => {
        const [first, second] = [fresh("First"), fresh("Second")];
        await calls(["track", first]);
        await inHeap(first);
        const known = await failures("web-reset", "other_environment");
        await page.evaluate(([server]) => window.start("wk_reset", server, {}), [SERVER]);
        await calls(["track", second]);
        await inHeap(second);
        await until("other_environment", async () => (await failures("web-reset", "other_environment")) > known);
        assert.equal(asked("heap_config.js"), 1);
        assert.equal((await heapCalls("event=" + encodeURIComponent(second))).length, 1);
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
        async ({ calls, page, asked, console }) => {
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
          assert.equal(asked(HEAPS_CDN), 0);
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
        assert.match(warnings[0], /twice.*"web-both".*"cloud-both"/);
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
      let leave;
      const left = new Promise((then) => (leave = then));
      let answered = false;
      // The server has it; the answer comes once the page is gone.
      const late = async (request, { answer, go }) => {
        if (answered || request.method != "POST") return go();
        answered = true;
        const { headers, postData } = request;
        const got = await fetch(request.url, { method: "POST", headers, body: postData });
        assert.equal(got.status, 200);
        await left;
        await answer(200, { "access-control-allow-origin": "*" }, "{}");
      };
      await visiting(client, { intercepted: [[SERVER + "/v1/t", late]] }, async ({ page, calls, begin, address }) => {
        await calls(["track", name]);
        await events(name);
        await page.goto(address);
        leave();
        const repeated = page.waitForRequest(
          (request) => /\/v1\/t$/.test(request.url()) && request.method() == "POST" && request.postData().includes(name),
        );
        await begin();
        await repeated;
        const last = fresh("Last");
        await calls(["track", last]);
        await events(last);
        assert.equal((await events(name)).length, 1);
      });
    });
  });
}

describe("calls made before the client is there", () => {
  for (const client of ["cio", "seg"]) {
    it(`${client} replays them method by method, which no plugin can mend`, () =>
      visiting(client, { start: false }, async ({ calls, page }) => {
        const [first, user, second] = [fresh("First"), fresh("ada"), fresh("Second")];
        await page.evaluate(
          ([server, list]) => {
            window.start("wk_site", server, {});
            for (const [method, what] of list) void window.analytics[method](what);
          },
          [SERVER, [["track", first], ["identify", user], ["track", second]]],
        );
        const methods = (await allInHeap(11, first, user, second)).map(([method]) => method);
        assert.deepEqual(methods, ["track", "track", "identify"]);
        // Once it is there, the order is that of the calls.
        const [third, other, fourth] = [fresh("Third"), fresh("bob"), fresh("Fourth")];
        await calls(["track", third], ["identify", other], ["track", fourth]);
        const later = (await allInHeap(11, third, other, fourth)).map(([method]) => method);
        assert.deepEqual(later, ["track", "identify", "track"]);
      }));
  }
});

describe("seg", () => {
  it("a retry with its count passes the browser's own check, and needs no key for that", async () => {
    const counts = [];
    const preflights = [];
    const failing = async ({ method, headers }, { answer, go }) => {
      if (method == "OPTIONS") return go();
      counts.push(headers["X-Retry-Count"] ?? headers["x-retry-count"]);
      if (counts.length > 1) return go();
      await answer(500, { "access-control-allow-origin": "*" }, "{}");
    };
    await visiting("seg", { intercepted: [[SERVER + "/v1/t", failing]] }, async ({ page, calls }) => {
      page.on("response", (response) => {
        if (response.request().method() == "OPTIONS") preflights.push(response.status());
      });
      const name = fresh("Retried");
      await calls(["track", name]);
      await events(name);
      assert.deepEqual(counts.slice(0, 2), [undefined, "1"]);
    });
    const asked = "authorization, content-type, x-retry-count";
    const headers = { origin: here.shop, "access-control-request-method": "POST", "access-control-request-headers": asked };
    const told = await fetch(SERVER + "/v1/t", { method: "OPTIONS", headers });
    assert.deepEqual([told.status, told.headers.get("access-control-allow-headers")], [204, asked]);
  });
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

describe("a server that takes nothing for a while", () => {
  for (const client of ["cio", "seg"]) {
    it(`answers 503 so that ${client} keeps its events and delivers them later, none twice`, () =>
      visiting(client, {}, async ({ calls, page }) => {
        const [first, ...later] = [fresh("Before"), fresh("While"), fresh("Still")];
        await calls(["track", first]);
        await events(first);
        await refuse();
        const told = [];
        const ofTrack = (request) =>
          /\/v1\/t$/.test(request.url()) && request.method() == "POST" && later.some((name) => request.postData().includes(name));
        page.on("response", (response) => ofTrack(response.request()) && told.push(response.status()));
        page.on("requestfailed", (request) => ofTrack(request) && told.push(request.failure().errorText));
        await calls(...later.map((name) => ["track", name]));
        await until("the refusals", () => told.length >= 2);
        // What Customer.io's client may read it takes for a success: so it may not.
        const expected = client == "cio" ? "net::ERR_FAILED" : 503;
        assert.deepEqual(new Set(told), new Set([expected]));
        await stop();
        await start();
        for (const name of [first, ...later]) assert.equal((await events(name)).length, 1, name);
        const last = fresh("After");
        await calls(["track", last]);
        await events(last);
        for (const name of [first, ...later]) assert.equal((await events(name)).length, 1, name);
      }));
  }
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
