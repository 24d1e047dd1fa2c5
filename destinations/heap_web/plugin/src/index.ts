/** The factory for bundlers: `AnalyticsBrowser.load({ writeKey, plugins: [heapWeb] })`. */

import { factory, type Plugin } from "./plugin";
import type { Settings } from "./settings";

export type { Plugin, Settings };

/** Bundled, the plugin has no script of its own: the overlay may come from the page's origin. */
const heapWeb = (settings: Settings): Plugin[] => factory(settings, location.origin);
heapWeb.pluginName = "heap-web";

export default heapWeb;
