/** What the server tells the plugin (README, "Settings"). */

import type { Tree } from "./trigger";
import type { Members } from "./value";

export type ActionType = "trackEvent" | "identifyUser";

export interface Subscription {
  id?: string;
  partnerAction: ActionType;
  name?: string;
  enabled?: boolean;
  subscribe?: string;
  test: Tree;
  mapping: Members;
}

export interface Settings {
  appId: string;
  start: { script: string; heap: object; stubs: string[] };
  browserArrayLimit?: number;
  numbers?: "text" | "number";
  resetOnLogout?: boolean;
  consentCategories?: string[];
  refusedIdentities?: string[];
  receipts?: { url: string; rate: number };
  writeKey?: string;
  revision?: number;
  debugUrl?: string;
  subscriptions: Subscription[];
}
