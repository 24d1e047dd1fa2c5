/** Heap's own script: its stub until it runs, and whether it ever does. */

import { failed, type Receipt } from "./receipts";
import type { Settings } from "./settings";

type Callable = { [method: string]: (...args: unknown[]) => unknown };
export type Heap = Callable & { loaded?: boolean; appid?: string; envId?: string; config?: object; clientConfig?: object };

declare global {
  interface Window {
    heap?: Heap;
    heapReadyCb?: { name: string; fn: () => void }[];
  }
}

/**
 * Starts Heap unless the page has it already; true if we did. `settle` is called once: with "" when
 * Heap runs, else with why it doesn't.
 */
export function start(
  { appId, start }: Settings,
  tell: (receipt: Receipt) => void,
  settle: (outcome: string) => void,
): boolean {
  const heap = (window.heap = window.heap || ([] as unknown as Heap));
  const id = heap.appid || heap.envId;
  const absent = !id && !heap.loaded;
  const since = Date.now();
  const end = (outcome: string) => {
    clearInterval(poll);
    settle(outcome);
  };
  const poll = setInterval(() => {
    if (window.heap!.loaded) end("");
    else if (Date.now() - since >= 10_000) end("sdk_not_ready");
  }, 100);

  if (id && id != appId) tell(failed("other_environment"));
  if (absent) {
    Object.assign(heap, start.heap);
    const ready = (window.heapReadyCb = window.heapReadyCb || []);
    for (const name of start.stubs)
      heap[name] = (...args) =>
        heap.appid
          ? heap.push!([name, ...args])
          : void ready.push({ name, fn: () => window.heap![name]!(...args) });
    try {
      inject(start.script, () => end("sdk_load_failed"));
    } catch (_) {
      end("sdk_load_failed"); // a page that allows only trusted script addresses
    }
  }
  return absent;
}

/** Adds a script to the page. */
export function inject(src: string, failed: (() => void) | null): void {
  const script = document.createElement("script");
  script.onerror = failed;
  script.src = src;
  document.head.append(script);
}
