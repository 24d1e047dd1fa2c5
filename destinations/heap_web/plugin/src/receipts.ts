/** Receipts: what became of each event in the page, told to the server in small batches. */

import type { Settings } from "./settings";

declare const VERSION: string;

export interface Receipt {
  /** Absent in receipts of the page as a whole. */
  messageId?: string;
  action?: string;
  result: "loaded" | "sent" | "skipped" | "failed";
  reason?: string | undefined;
  ms?: number;
}

const MOST = 20;
const DELAY = 1000;

export const failed = (reason: string): Receipt => ({ result: "failed", reason });

/**
 * Gives the function that takes receipts, and the one that takes what became of Heap's script: ""
 * if it runs, else why not. Until then calls lie in its stub, and `sent` receipts are held back:
 * what the stub never hands on wasn't sent.
 */
export function receipts(settings: Settings): [tell: (receipt: Receipt) => void, settle: (outcome: string) => void] {
  const { url, rate } = settings.receipts || ({} as { url?: string; rate: number });
  const held: Receipt[] = [];
  const queue: Receipt[] = [];
  let outcome: string | undefined;

  const tell = (receipt: Receipt): void => {
    if (receipt.result == "sent") {
      if (outcome == null) return void held.push(receipt);
      if (outcome && !window.heap!.loaded) Object.assign(receipt, failed(outcome));
    }
    if (receipt.result != "failed" && share(receipt.messageId) >= rate) return;
    const size = queue.push(receipt);
    if (size == 1) setTimeout(flush, DELAY);
    if (size == MOST) flush();
  };
  const flush = () => {
    const batch = queue.splice(0);
    if (url && batch[0])
      fetch(url, {
        method: "POST",
        keepalive: true,
        mode: "no-cors",
        credentials: "omit",
        body: JSON.stringify({
          v: 1,
          writeKey: settings.writeKey,
          plugin: "heap-web@" + VERSION,
          revision: settings.revision,
          rate,
          sentAt: new Date(),
          receipts: batch,
        }),
      }).catch(() => {});
  };
  addEventListener("pagehide", () => {
    for (const receipt of held.splice(0)) tell(Object.assign(receipt, failed("sdk_not_ready")));
    flush();
  });
  return [
    tell,
    (reason) => {
      outcome = reason;
      tell(reason ? failed(reason) : { result: "loaded" });
      held.splice(0).forEach(tell);
    },
  ];
}

/** A number from 0 to below 1 that is the same for the same text everywhere: FNV-1a. */
function share(text = "" + Math.random()): number {
  let hash = 0x811c9dc5;
  for (const unit of text) hash = Math.imul(hash ^ unit.charCodeAt(0), 0x01000193);
  return (hash >>> 0) / 2 ** 32;
}
