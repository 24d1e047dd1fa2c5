/** A page without a browser: just what the plugin touches, and a Heap that records. */

import { vi } from "vitest";
import { factory, type Plugin } from "../src/plugin";
import type { Receipt } from "../src/receipts";
import type { Settings, Subscription } from "../src/settings";
import type { Call } from "../src/calls";

export const START = {
  script: "https://cdn.us.heap-api.com/config/11/heap_config.js",
  heap: { envId: "11", clientConfig: { disableTextCapture: false, secureCookie: false, shouldFetchServerConfig: false } },
  stubs: ["track", "identify", "resetIdentity", "addUserProperties", "startTracking", "stopTracking"],
};

export const CLASSIC = {
  script: "https://cdn.heapanalytics.com/js/heap-11.js",
  heap: { appid: "11", config: { disableTextCapture: false, secureCookie: false } },
  stubs: ["track", "identify", "resetIdentity", "addUserProperties"],
};

export const TRACK: Subscription = {
  id: "track",
  partnerAction: "trackEvent",
  test: ["=", "type", "track"],
  mapping: {
    name: ["get", "event"],
    properties: ["get", "properties"],
    anonymousId: ["get", "anonymousId"],
    traits: ["get", "context", "traits"],
  },
};

export const IDENTIFY: Subscription = {
  id: "identify",
  partnerAction: "identifyUser",
  test: ["=", "type", "identify"],
  mapping: { userId: ["get", "userId"], traits: ["get", "traits"] },
};

export const settings = (more: Partial<Settings> = {}): Settings => ({
  appId: "11",
  start: START,
  receipts: { url: "https://cdp.example/v1/r", rate: 1 },
  writeKey: "wk",
  revision: 3,
  subscriptions: [TRACK, IDENTIFY],
  ...more,
});

interface Script {
  src: string;
  onerror: (() => void) | null;
}

/** Sets up the globals of a page at `search`. */
export function page(search = "") {
  const scripts: Script[] = [];
  const requests: { url: string; init: RequestInit }[] = [];
  const listeners: { [event: string]: (() => void)[] } = {};
  const window: { [name: string]: any } = {};
  vi.stubGlobal("window", window);
  vi.stubGlobal("location", { search });
  vi.stubGlobal("document", {
    createElement: () => ({}),
    head: { append: (script: Script) => scripts.push(script) },
  });
  vi.stubGlobal("addEventListener", (event: string, then: () => void) => (listeners[event] ??= []).push(then));
  vi.stubGlobal("fetch", async (url: string, init: RequestInit) => void requests.push({ url, init }));

  return {
    window,
    scripts,
    requests,
    bodies: () => requests.map(({ init }) => JSON.parse(init.body as string)),
    /** But that Heap's script runs. */
    receipts: (): Receipt[] =>
      requests
        .flatMap(({ init }): Receipt[] => JSON.parse(init.body as string).receipts)
        .filter((receipt) => receipt.result != "loaded"),
    leave: () => listeners.pagehide?.forEach((then) => then()),
    /** Gives the page a Heap that runs, and returns the calls it gets. */
    heap(members: object = { loaded: true, envId: "11" }): Call[] {
      const calls: Call[] = [];
      const record = (method: string) => [method, (...args: any[]) => void calls.push([method, ...args])];
      window.heap = { ...Object.fromEntries(START.stubs.map(record)), ...members };
      return calls;
    },
    /** Heap's newer script arrives: takes the stub's place and runs what was queued. */
    arrive(): Call[] {
      const calls = this.heap();
      for (const { fn } of window.heapReadyCb.splice(0)) fn();
      return calls;
    },
  };
}

/** One page load of the plugin. */
export async function load(given: Settings) {
  const resets: (() => void)[] = [];
  const plugins = factory(given, "https://cdp.example");
  for (const plugin of plugins) await plugin.load({}, { on: (_, then) => resets.push(then) });
  return {
    plugins,
    resets,
    send(event: { type: string; [member: string]: unknown }) {
      for (const plugin of plugins) (plugin[event.type] as undefined | ((context: object) => void))?.({ event });
    },
  };
}

export const track = (more: object = {}) => ({ type: "track", messageId: "m1", event: "E", ...more });

export type { Plugin };
