/** The script that the clients load: defines the global that they look for. */

import { factory } from "./plugin";
import type { Settings } from "./settings";

const { origin } = new URL((document.currentScript as HTMLScriptElement).src);

(window as unknown as { [library: string]: unknown })["heap-webDestination"] = (settings: Settings) =>
  factory(settings, origin);
