/** The overlay: shows what the plugin does with each event, as it happens. Loaded on demand only. */

import type { Sight } from "./plugin";

const STYLE = `
:host { all: initial; position: fixed; inset: auto 1rem 1rem auto; z-index: 2147483647; width: min(34rem, calc(100vw - 2rem));
  max-height: min(70vh, 40rem); display: flex; flex-direction: column; color-scheme: light dark; color: CanvasText; background: Canvas;
  border: 1px solid GrayText; border-radius: .5rem; box-shadow: 0 .5rem 2rem #0006; font: 13px/1.4 system-ui, sans-serif }
header { display: flex; gap: .5rem; align-items: center; padding: .5rem .75rem; border-bottom: 1px solid GrayText }
h2 { font-size: 1em; margin: 0 auto 0 0 }
button { font: inherit }
ol { list-style: none; margin: 0; padding: 0; overflow: auto }
li { border-bottom: 1px solid #8884 }
summary { padding: .4rem .75rem; cursor: pointer; display: flex; gap: .5rem }
summary b { flex: 1; overflow-wrap: anywhere }
:focus-visible { outline: 2px solid Highlight; outline-offset: -2px }
.sent { color: light-dark(#0a6b2d, #6fdc96) } .failed { color: light-dark(#b3141d, #ff9b9b) } .skipped { color: GrayText }
dl { margin: 0; padding: 0 .75rem .75rem } dt { font-weight: 600; margin-top: .4rem } dd { margin: 0 }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; font: 12px/1.4 ui-monospace, monospace }
p { margin: .75rem }`;

const MOST = 200;

function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  content: (Node | string)[] = [],
  className = "",
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  made.append(...content);
  if (className) made.className = className;
  return made;
}

function open(): void {
  const tools = (window.heapline = window.heapline || {});
  const earlier = ([] as Sight[]).concat((tools.log as unknown as Sight[]) || []);

  const host = element("heapline-debug" as "section");
  host.setAttribute("role", "region");
  host.setAttribute("aria-label", "Heapline: events for Heap");
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  root.adoptedStyleSheets = [sheet];

  const list = element("ol");
  const count = element("span", ["0"]);
  const hint = element("p", ["Waiting for events. Each track and identify call of this page shows up here."]);
  const clear = button("Clear", () => {
    list.replaceChildren();
    count.textContent = "0";
  });
  const close = button("Close", () => {
    delete tools.log;
    host.remove();
  });
  count.setAttribute("role", "status");
  list.tabIndex = 0;
  root.append(element("header", [element("h2", ["Heapline → Heap"]), count, clear, close]), hint, list);
  root.addEventListener("keydown", (event) => {
    if ((event as KeyboardEvent).key == "Escape") close.click();
  });

  let seen = 0;
  const show = (sight: Sight) => {
    hint.hidden = true;
    list.prepend(entry(sight));
    if (list.childElementCount > MOST) list.lastElementChild!.remove();
    count.textContent = String(++seen);
  };
  tools.log = { push: show };
  document.body.append(host);
  earlier.forEach(show);
  addEventListener("error", (event) => {
    const script = event.target;
    if (script instanceof HTMLScriptElement && host.isConnected) list.prepend(failure(`Script blocked or missing: ${script.src}`));
  }, true);
}

function button(label: string, act: () => void): HTMLButtonElement {
  const made = element("button", [label]);
  made.type = "button";
  made.addEventListener("click", act);
  return made;
}

function failure(sentence: string): HTMLLIElement {
  return element("li", [element("p", [sentence], "failed")]);
}

function entry({ receipt, subscription, event, payload, calls }: Sight): HTMLLIElement {
  const { type, event: name } = event as { type?: string; event?: string };
  const verdict = receipt.result == "skipped" ? `skipped: ${receipt.reason}` : receipt.result;
  const facts = element("dl");
  const fact = (term: string, value: unknown) => {
    if (value === undefined) return;
    const text = typeof value == "string" ? value : JSON.stringify(value, null, 2);
    facts.append(element("dt", [term]), element("dd", [element("pre", [text])]));
  };
  fact("Action", subscription.name || receipt.action);
  fact("Trigger", subscription.subscribe);
  fact("Why", receipt.reason);
  for (const [method, ...args] of calls || []) fact(`heap.${method}`, args.map((arg) => JSON.stringify(arg, null, 2)).join(", "));
  fact("Payload", payload);
  fact("Event", event);
  return element("li", [
    element("details", [
      element("summary", [
        element("b", [name || type || "event"]),
        element("span", [receipt.action || ""]),
        element("span", [verdict], receipt.result),
      ]),
      facts,
    ]),
  ]);
}

if (!document.querySelector("heapline-debug")) {
  if (document.body) open();
  else addEventListener("DOMContentLoaded", open);
}
