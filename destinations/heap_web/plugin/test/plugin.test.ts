/** What the plugin does in a page: loading Heap, who may be sent, receipts, failures. */

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Settings } from "../src/settings";
import { CLASSIC, IDENTIFY, START, TRACK, load, page, settings, track } from "./page";

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(console, "warn").mockImplementation(() => {});
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

/** Lets the next batch of receipts go. */
const second = () => vi.advanceTimersByTimeAsync(1000);

const events = (here: ReturnType<typeof page>) => here.receipts().filter((receipt) => receipt.messageId);
const told = (here: ReturnType<typeof page>) =>
  here.receipts().filter((receipt) => !receipt.messageId).map((receipt) => receipt.reason);

describe("Heap's script", () => {
  it("is loaded once, by two plugin objects that are ready at once", async () => {
    const here = page();
    const { plugins } = await load(settings());
    expect(plugins.map((plugin) => [plugin.name, plugin.type, plugin.isLoaded()])).toEqual([
      ["Heap Web (Actions) trackEvent", "destination", true],
      ["Heap Web (Actions) identifyUser", "destination", true],
    ]);
    expect(here.scripts.map((script) => script.src)).toEqual([START.script]);
    expect(here.window.heap).toMatchObject(START.heap);
    expect(Object.keys(here.window.heap)).toEqual(expect.arrayContaining(START.stubs));
  });

  it("v5: the stub's calls run in order once the script is there", async () => {
    const here = page();
    const { send } = await load(settings());
    send({ type: "identify", messageId: "m0", userId: "u" });
    send(track());
    expect(here.arrive()).toEqual([
      ["identify", "u"],
      ["track", "E", { segment_library: "browser-destination" }],
    ]);
  });

  it("v5: the stub gives nothing back, and a method that the script lacks is the script's own error", async () => {
    const here = page();
    await load(settings());
    expect(here.window.heap.track("x")).toBeUndefined();
    expect(here.window.heapReadyCb).toHaveLength(1);
  });

  it("classic: the stub is the queue", async () => {
    const here = page();
    const { send } = await load(settings({ start: CLASSIC }));
    send(track());
    expect(here.window.heap).toHaveLength(1);
    expect(here.window.heap[0]).toEqual(["track", "E", { segment_library: "browser-destination" }]);
    expect(here.window.heap.track("again")).toBe(2);
    expect(here.window.heap.appid).toBe("11");
  });

  it("an existing window.heap is used as it is", async () => {
    const here = page();
    const made = here.heap({ envId: "11", loaded: true });
    const before = { ...here.window.heap };
    const { send } = await load(settings());
    send(track());
    await second();
    expect(here.scripts).toEqual([]);
    expect(here.window.heap).toEqual(before);
    expect(made).toHaveLength(1);
    expect(told(here)).toEqual([]);
  });

  it.each([{ appid: "12" }, { envId: "12" }])("another environment is told: %o", async (members) => {
    const here = page();
    here.heap({ ...members, loaded: true });
    await load(settings());
    await second();
    expect(told(here)).toEqual(["other_environment"]);
  });

  it("a second load on the page loads nothing again", async () => {
    const here = page();
    await load(settings());
    await load(settings());
    expect(here.scripts).toHaveLength(1);
  });

  it("refused or missing: sdk_load_failed, and what the stub held has failed", async () => {
    const here = page();
    const { send } = await load(settings({ subscriptions: [TRACK] }));
    send(track());
    await second();
    expect(here.receipts()).toEqual([]);
    here.scripts[0]!.onerror!();
    send(track({ messageId: "m2" }));
    await second();
    expect(told(here)).toEqual(["sdk_load_failed"]);
    expect(events(here).map(({ messageId, result, reason }) => [messageId, result, reason])).toEqual([
      ["m1", "failed", "sdk_load_failed"],
      ["m2", "failed", "sdk_load_failed"],
    ]);
  });

  it("hanging: sdk_not_ready after 10 s, once", async () => {
    const here = page();
    const { send } = await load(settings({ receipts: { url: "https://cdp.example/v1/r", rate: 0 } }));
    send(track());
    await vi.advanceTimersByTimeAsync(9900);
    expect(here.receipts()).toEqual([]);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(here.receipts().map(({ messageId, reason }) => [messageId, reason])).toEqual([
      [undefined, "sdk_not_ready"],
      ["m1", "sdk_not_ready"],
    ]);
  });

  it("late after all: later events are sent", async () => {
    const here = page();
    const { send } = await load(settings({ subscriptions: [TRACK] }));
    await vi.advanceTimersByTimeAsync(12_000);
    here.arrive();
    send(track());
    await second();
    expect(events(here).map((receipt) => receipt.result)).toEqual(["sent"]);
  });

  it("a page that trusts no script address: sdk_load_failed, and load() doesn't fail", async () => {
    const here = page();
    vi.stubGlobal("document", {
      createElement: () =>
        Object.defineProperty({}, "src", {
          set() {
            throw new TypeError("This document requires 'TrustedScriptURL' assignment.");
          },
        }),
    });
    await load(settings());
    await second();
    expect(told(here)).toEqual(["sdk_load_failed"]);
  });
});

describe("the integrations object", () => {
  const both = ["track", "identify"];
  it.each([
    [undefined, both],
    [{}, both],
    [{ All: true }, both],
    [{ All: false }, []],
    [{ all: false }, []],
    [{ All: false, "heap-web": true }, both],
    [{ All: false, "Heap (Web)": { x: 1 } }, both],
    [{ "heap-web": false }, []],
    [{ "Heap Web (Actions)": false }, []],
    [{ "actions-heap-web": false }, []],
    [{ "Heap Web (Actions) trackEvent": false }, ["identify"]],
    [{ "heap-web identifyUser": false }, ["track"]],
    [{ "heap-web": true, "Heap Web (Actions) trackEvent": false }, both],
    [{ "heap-web": null, All: false }, []],
    [{ "Heap-Web": false }, both],
    [{ "Heap Cloud (Actions)": false }, both],
    [{ "heap-web": 0, All: false }, both],
  ])("%j: %j", async (integrations, taken) => {
    const here = page();
    here.heap();
    const always = ["and"] as [string];
    const { send } = await load(
      settings({
        subscriptions: [
          { ...TRACK, test: always },
          { ...IDENTIFY, test: always },
        ],
      }),
    );
    send({ ...track({ userId: "u" }), integrations });
    await vi.advanceTimersByTimeAsync(2000);
    expect(events(here).filter((r) => r.result == "sent").map((r) => r.action)).toEqual(taken);
    expect(events(here).filter((r) => r.result == "skipped").map((r) => r.reason)).toEqual(
      both.filter((action) => !taken.includes(action)).map(() => "integrations"),
    );
  });
});

describe("consent", () => {
  const stamped = (analytics?: boolean) =>
    track({ context: { consent: { categoryPreferences: { analytics, other: true } } } });
  const asking = settings({ consentCategories: ["analytics"], subscriptions: [TRACK] });

  it("Heap isn't loaded before the first permitted event", async () => {
    const here = page();
    const { send } = await load(asking);
    for (const event of [track(), stamped(false), stamped(undefined)]) send(event);
    expect(here.scripts).toEqual([]);
    expect(here.window.heap).toBeUndefined();
    await second();
    expect(here.receipts().map(({ result, reason }) => [result, reason])).toEqual(
      Array(3).fill(["skipped", "consent"]),
    );
    send(stamped(true));
    expect(here.scripts).toHaveLength(1);
    expect(here.arrive().map(([method]) => method)).toEqual(["track"]);
  });

  it("withdrawn and given again, Heap's own tracking stops and starts", async () => {
    const here = page();
    const { send } = await load(asking);
    send(stamped(true));
    const made = here.arrive();
    for (const given of [false, false, true, true]) send(stamped(given));
    expect(made.map(([method]) => method)).toEqual(["track", "stopTracking", "startTracking", "track", "track"]);
  });

  it("a Heap of the page's own isn't stopped", async () => {
    const here = page();
    const made = here.heap();
    const { send } = await load(asking);
    send(stamped(true));
    send(stamped(false));
    expect(made.map(([method]) => method)).toEqual(["track"]);
  });
});

describe("receipts", () => {
  it("have the shape and the manner that the server expects", async () => {
    const here = page();
    here.heap();
    const { send } = await load(settings());
    await second();
    send(track({ properties: { secret: "s3cret" }, context: { traits: { email: "a@b.c" } } }));
    await second();
    expect(here.requests).toHaveLength(1);
    const [{ url, init }] = here.requests as [{ url: string; init: RequestInit }];
    expect(url).toBe("https://cdp.example/v1/r");
    expect(init).toMatchObject({ method: "POST", keepalive: true, mode: "no-cors", credentials: "omit" });
    expect(init.headers).toBeUndefined();
    expect(JSON.parse(init.body as string)).toEqual({
      v: 1,
      writeKey: "wk",
      plugin: "heap-web@0.0.0-test",
      revision: 3,
      rate: 1,
      sentAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      receipts: [
        { result: "loaded" },
        { messageId: "m1", action: "track", result: "sent", ms: expect.any(Number) },
        { messageId: "m1", action: "identify", result: "skipped", reason: "trigger", ms: expect.any(Number) },
      ],
    });
    expect(init.body).not.toMatch(/s3cret|a@b\.c/);
  });

  it("go at 20, after a second, and when the page is left", async () => {
    const here = page();
    here.heap();
    const { send } = await load(settings({ subscriptions: [TRACK] }));
    await second();
    for (let i = 0; i < 44; i++) send(track({ messageId: "m" + i }));
    expect(here.bodies().map((body) => body.receipts.length)).toEqual([20, 20]);
    here.leave();
    expect(here.bodies().map((body) => body.receipts.length)).toEqual([20, 20, 5]);
    send(track());
    await second();
    expect(here.bodies().map((body) => body.receipts.length)).toEqual([20, 20, 5, 1]);
  });

  it("left before Heap ran, what the stub held has failed", async () => {
    const here = page();
    const { send } = await load(settings({ subscriptions: [TRACK] }));
    send(track());
    here.leave();
    expect(here.receipts()).toMatchObject([{ messageId: "m1", result: "failed", reason: "sdk_not_ready" }]);
  });

  it("are sampled by message, all actions of one alike; failures always told", async () => {
    const here = page();
    here.heap();
    const { send } = await load(settings({ receipts: { url: "https://cdp.example/v1/r", rate: 0.25 } }));
    await second();
    for (let i = 0; i < 2000; i++) send(track({ messageId: "ajs-next-" + i, event: i % 100 ? "E" : "" }));
    await second();
    const receipts = here.receipts();
    expect(receipts.filter((receipt) => receipt.result == "failed")).toHaveLength(20);
    const sent = receipts.filter((receipt) => receipt.result == "sent").map((receipt) => receipt.messageId);
    const skipped = receipts.filter((receipt) => receipt.result == "skipped").map((receipt) => receipt.messageId);
    expect(skipped).toEqual(expect.arrayContaining(sent));
    expect(sent.length).toBeGreaterThan(400);
    expect(sent.length).toBeLessThan(600);
  });

  it("are not made without an address", async () => {
    const here = page();
    here.heap();
    const given: Settings = settings();
    delete given.receipts;
    const { send } = await load(given);
    for (let i = 0; i < 50; i++) send(track());
    await second();
    expect(here.requests).toEqual([]);
  });
});

describe("failures", () => {
  const broken = { ...TRACK, id: "broken", mapping: { ...TRACK.mapping, name: ["no such operator"] } };

  it("an exception in one action is told, and the others go on", async () => {
    const here = page();
    const made = here.heap();
    here.window.heap.identify = () => {
      throw new RangeError("x".repeat(500));
    };
    const identify = { ...TRACK, id: "a", mapping: { ...TRACK.mapping, identity: "u" } };
    const { send } = await load(settings({ subscriptions: [identify, TRACK] }));
    await second();
    send(track());
    await second();
    expect(made.map(([method]) => method)).toEqual(["track"]);
    expect(here.receipts()).toMatchObject([
      { action: "a", result: "failed", reason: "RangeError: " + "x".repeat(108) },
      { action: "track", result: "sent" },
    ]);
    expect(console.warn).toHaveBeenCalledWith("[heap-web]", "a", expect.any(RangeError));
  });

  it.each([
    ["an unknown node of a trigger", { ...TRACK, test: ["or", ["=", "type", "track"], ["near", "event", "E"]] }, "unsupported"],
    ["an unknown operator of a mapping", broken, "unsupported"],
    ["no name", { ...TRACK, mapping: { properties: {} } }, "invalid_payload"],
    ["a name that is no text", { ...TRACK, mapping: { name: ["list", 1, 2] } }, "invalid_payload"],
    ["properties that are no object", { ...TRACK, mapping: { name: "E", properties: "p" } }, "invalid_payload"],
    ["a payload that is no object", { ...TRACK, mapping: ["get", "event"] as never }, "invalid_payload"],
    ["a long identity", { ...TRACK, mapping: { name: "E", identity: "x".repeat(256) } }, "identity_too_long"],
    ["a refused identity", { ...TRACK, mapping: { name: "E", identity: " null " } }, "identity_refused"],
  ] as const)("%s: %3$s, no call", async (_, subscription, reason) => {
    const here = page();
    const made = here.heap();
    const { send } = await load(settings({ subscriptions: [subscription as never], refusedIdentities: ["null"] }));
    await second();
    send(track());
    await second();
    expect(made).toEqual([]);
    expect(here.receipts()).toMatchObject([{ result: "failed", reason }]);
  });

  it("an event that is no JSON fails alone", async () => {
    const here = page();
    here.heap();
    const { send } = await load(settings({ subscriptions: [TRACK] }));
    const event: { [member: string]: unknown } = track();
    event.self = event;
    send(event as never);
    await second();
    expect(here.receipts()).toMatchObject([{ messageId: "m1", result: "failed" }]);
  });
});

describe("calls", () => {
  const run = async (payload: object, more: Partial<Settings> = {}, type: "trackEvent" | "identifyUser" = "trackEvent") => {
    const here = page();
    const made = here.heap();
    const mapping = JSON.parse(JSON.stringify(payload), (_, value) => (Array.isArray(value) ? ["list", ...value] : value));
    const { send } = await load(settings({ ...more, subscriptions: [{ ...TRACK, partnerAction: type, test: ["and"], mapping }] }));
    await second();
    send(track());
    await second();
    return { made, receipts: here.receipts() };
  };
  const mark = { segment_library: "browser-destination" };

  it("unrolls lists up to the limit, over all lists", async () => {
    const properties = { a: [{ x: 1 }, null, "s"], b: { c: 1 }, d: [[1], { y: { z: true } }] };
    const { made } = await run({ name: "E", properties }, { browserArrayLimit: 3 });
    expect(made).toEqual([
      ["track", "E a item", { ...mark, x: "1" }],
      ["track", "E a item", { ...mark, value: "s" }],
      ["track", "E d item", { ...mark, value: "[1]" }],
      ["track", "E", { ...mark, a: '[{"x":1},null,"s"]', "b.c": "1", d: '[[1],{"y":{"z":true}}]' }],
    ]);
  });

  it("numbers stay numbers if the setting says so, booleans never", async () => {
    const properties = { n: 1.5, t: true, list: [1], nul: null, o: { n: 2 } };
    const { made } = await run({ name: "E", properties, traits: { age: 7 } }, { numbers: "number" });
    expect(made).toEqual([
      ["addUserProperties", { age: 7 }],
      ["track", "E", { ...mark, n: 1.5, t: "true", list: "[1]", nul: null, "o.n": 2 }],
    ]);
  });

  it("the user's own segment_library wins; an empty key is left out", async () => {
    const { made } = await run({ name: "E", properties: { segment_library: "mine", "": 1, o: { "": 2 } } });
    expect(made).toEqual([["track", "E", { segment_library: "mine", "o.": "2" }]]);
  });

  it.each([
    [{ userId: 7 }, [["identify", "7"]]],
    [{ userId: [" u "] }, [["identify", "u"]]],
    [{ userId: "0" }, []],
    [{ userId: 0 }, []],
    [{ userId: " \t" }, []],
    [{ userId: false }, [["identify", "false"]]],
    [{ userId: "u", traits: {} }, [["identify", "u"]]],
    [{ userId: "u", traits: { a: {} } }, [["identify", "u"]]],
    [{ traits: { a: { b: [1] } } }, [["addUserProperties", { "a.b": "[1]" }]]],
  ])("identifyUser %j", async (payload, calls) => {
    const { made, receipts } = await run(payload, {}, "identifyUser");
    expect(made).toEqual(calls);
    expect(receipts[0]!.result).toBe(calls.length ? "sent" : "skipped");
    if (!calls.length) expect(receipts[0]!.reason).toBe("nothing_to_send");
  });

  it("the anonymous id is a user property, unless a trait has its name; never refused", async () => {
    const refusedIdentities = ["anon"];
    const one = await run({ name: "E", anonymousId: "anon" }, { refusedIdentities });
    expect(one.made[0]).toEqual(["addUserProperties", { anonymous_id: "anon" }]);
    const two = await run({ name: "E", anonymousId: "anon", traits: { anonymous_id: "mine" } });
    expect(two.made[0]).toEqual(["addUserProperties", { anonymous_id: "mine" }]);
    expect((await run({ name: "E", anonymousId: "0" })).made.map(([method]) => method)).toEqual(["track"]);
  });

  it("dates of the page are what they are in JSON", async () => {
    const here = page();
    const made = here.heap();
    const { send } = await load(settings());
    const properties = { at: new Date(0), none: undefined, nan: NaN };
    send(track({ properties }));
    expect(made).toEqual([["track", "E", { ...mark, at: "1970-01-01T00:00:00.000Z", nan: null }]]);
    expect(properties.at).toBeInstanceOf(Date);
  });
});

describe("logging out", () => {
  it.each([
    [true, 1],
    [false, 0],
  ])("resetOnLogout %s: %i reset", async (resetOnLogout, times) => {
    const here = page();
    const made = here.heap();
    const { resets } = await load(settings({ resetOnLogout }));
    resets.forEach((then) => then());
    expect(made).toEqual(Array(times).fill(["resetIdentity"]));
  });

  it("does nothing before Heap is there", async () => {
    page();
    const { resets } = await load(settings({ resetOnLogout: true, consentCategories: ["a"] }));
    resets.forEach((then) => then());
  });
});

describe("the overlay", () => {
  const debugUrl = "https://cdp.example/p/hw/debug.js";

  it("isn't loaded unasked", async () => {
    const here = page("?x=1");
    await load(settings({ debugUrl, consentCategories: ["a"] }));
    expect(here.scripts).toEqual([]);
  });

  it.each(["?heapline_debug=1", "?a=b&heapline_debug=1"])("is loaded by %s, and shown what happens", async (search) => {
    const here = page(search);
    here.heap();
    const { send } = await load(settings({ debugUrl }));
    expect(here.scripts.map((script) => script.src)).toEqual([debugUrl]);
    send(track({ properties: { p: 1 } }));
    expect(here.window.heapline.log).toMatchObject([
      { receipt: { result: "sent" }, subscription: { id: "track" }, payload: { name: "E" }, calls: [["track", "E", {}]] },
      { receipt: { result: "skipped", reason: "trigger" } },
    ]);
  });

  it("is loaded by heapline.debug()", async () => {
    const here = page();
    here.heap();
    await load(settings({ debugUrl }));
    here.window.heapline.debug();
    expect(here.scripts.map((script) => script.src)).toEqual([debugUrl]);
  });

  it.each(["https://evil.example/x.js", "https://cdp.example.evil.com/x.js", "/x.js", "javascript:alert(1)"])(
    "is never loaded from another origin: %s",
    async (debugUrl) => {
      const here = page("?heapline_debug=1");
      here.heap();
      await load(settings({ debugUrl }));
      expect(here.scripts).toEqual([]);
    },
  );
});
