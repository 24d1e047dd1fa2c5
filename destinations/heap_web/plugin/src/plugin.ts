/** The plugin `heap-web`: the factory that the clients call, and one event's way through it. */

import { calls, type Call } from "./calls";
import { resolve } from "./mapping";
import { failed, receipts, type Receipt } from "./receipts";
import { inject, start } from "./sdk";
import type { Settings, Subscription } from "./settings";
import { fires } from "./trigger";
import { copy, get, type Members, type Value } from "./value";

declare const VERSION: string;

interface Context {
  event: unknown;
}

export interface Plugin {
  name: string;
  version: string;
  type: "destination";
  isLoaded(): boolean;
  load(context: unknown, analytics: { on(event: "reset", then: () => void): unknown }): Promise<void>;
  [method: string]: unknown;
}

/** What the overlay is shown of one event and action. */
export interface Sight {
  receipt: Receipt;
  subscription: Subscription;
  event: Value;
  payload?: Value;
  calls?: Call[];
}

declare global {
  interface Window {
    heapline?: { debug?: () => void; log?: { push(sight: Sight): unknown } };
  }
}

const NAMES = ["heap-web", "Heap (Web)", "Heap Web (Actions)", "actions-heap-web"];

/**
 * The clients' factory. `origin`, that of the plugin's own script, is the only one from which the
 * overlay is loaded.
 */
export function factory(settings: Settings, origin: string): Plugin[] {
  const { consentCategories = [], subscriptions, debugUrl = "" } = settings;
  const tools = (window.heapline = window.heapline || {});
  const [tell, settle] = receipts(settings);
  let ours: boolean | undefined;
  let tracking = true;

  const begin = () => {
    if (ours == null) ours = start(settings, tell, settle);
  };

  /** Why the action doesn't take the event. */
  const obstacle = ({ partnerAction, test }: Subscription, event: Members): string | undefined => {
    const integrations = NAMES.concat(
      NAMES.map((name) => name + " " + partnerAction),
      "All",
      "all",
    ).map((name) => get(event.integrations || {}, [name]));
    if (integrations.find((value) => value != null) === false) return "integrations";

    const granted = consentCategories.every((category) =>
      get(event, ["context", "consent", "categoryPreferences", category]),
    );
    if (granted) begin();
    if (ours && tracking != granted) {
      tracking = granted;
      const method = granted ? "startTracking" : "stopTracking";
      if (window.heap![method]) window.heap![method]!();
    }
    return granted ? (fires(test, event) ? undefined : "trigger") : "consent";
  };

  const run = (subscription: Subscription, given: Members) => {
    const since = Date.now();
    const receipt: Receipt = {
      messageId: given.messageId as string,
      action: subscription.id || subscription.partnerAction,
      result: "skipped",
    };
    const sight: Sight = { receipt, subscription, event: given };
    try {
      const event = (sight.event = copy(given) as Members);
      receipt.reason = obstacle(subscription, event);
      if (!receipt.reason) {
        sight.payload = copy(resolve(subscription.mapping, event));
        sight.calls = calls(subscription.partnerAction, sight.payload, settings);
        for (const [method, ...args] of sight.calls) window.heap![method]!(...args);
        if (sight.calls[0]) receipt.result = "sent";
        else receipt.reason = "nothing_to_send";
      }
    } catch (error) {
      Object.assign(receipt, failed(("" + error).slice(0, 120)));
      console.warn("[heap-web]", receipt.action, error);
    }
    receipt.ms = Date.now() - since;
    tell(receipt);
    if (tools.log) tools.log.push(sight);
  };

  tools.debug = () => {
    tools.log = [] as Sight[];
    if (debugUrl.startsWith(origin + "/")) inject(debugUrl, null);
  };
  if (/[?&]heapline_debug=1/.test(location.search)) tools.debug();

  return (["trackEvent", "identifyUser"] as const).map((type) => {
    const take = (context: Context) => {
      for (const subscription of subscriptions)
        if (subscription.partnerAction == type && subscription.enabled !== false) run(subscription, context.event as Members);
      return context;
    };
    return {
      name: "Heap Web (Actions) " + type,
      version: VERSION,
      type: "destination",
      isLoaded: () => true,
      load: async (_, analytics) => {
        if (!consentCategories[0]) begin();
        if (settings.resetOnLogout && type == "trackEvent")
          analytics.on("reset", () => ours != null && window.heap!.resetIdentity!());
      },
      track: take,
      identify: take,
      page: take,
      group: take,
      alias: take,
    };
  });
}
