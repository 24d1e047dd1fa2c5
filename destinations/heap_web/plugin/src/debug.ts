/** The overlay: shows what the plugin does with each event, as it happens. Loaded on demand only. */

import type { Sight } from "./plugin";

const STYLE = `
:host { all: initial; position: fixed; inset: auto 1rem 1rem auto; z-index: 2147483647; box-sizing: border-box;
  width: min(34rem, calc(100vw - 1rem)); max-height: min(75vh, 44rem); display: flex; flex-direction: column; overflow: hidden;
  --ink: light-dark(#1a1b18, #ecece7); --soft: light-dark(#55564f, #b0b1a9); --line: light-dark(#e5e2db, #33352f);
  --sunk: light-dark(#f4f2ed, #232521); --good: light-dark(#0b6e4f, #5fcf9e); --bad: light-dark(#b3261e, #f2958c);
  --wait: light-dark(#2f5e9e, #8ab4ee); color-scheme: light dark; color: var(--ink); background: light-dark(#fff, #1b1c1a);
  border: 1px solid var(--line); border-radius: .625rem; box-shadow: 0 .75rem 2.5rem #0005; font: 13px/1.5 system-ui, sans-serif }
:host(.small) > :not(header) { display: none }
@media (max-width: 30rem) { :host { inset: auto .5rem .5rem; width: auto; max-height: 65vh } }
header { display: grid; grid-template-columns: 1fr auto auto auto; gap: 0 .25rem; align-items: center; padding: .5rem .5rem .5rem .875rem; border-bottom: 1px solid var(--line) }
h2 { font-size: 1em; margin: 0; font-weight: 650 }
header p { grid-row: 2; grid-column: 1 / -1; margin: 0 }
h3 { font-size: 1em; margin: 0; font-weight: 600; display: flex; flex-wrap: wrap; gap: 0 .5rem; align-items: baseline }
button { font: inherit; color: var(--soft); background: none; border: 1px solid transparent; border-radius: .375rem; padding: .125rem .5rem; cursor: pointer }
button:hover { color: var(--ink); background: var(--sunk) }
.copy { border-color: var(--line); justify-self: start }
ol { list-style: none; margin: 0; padding: 0; overflow: auto; overscroll-behavior: contain }
li + li { border-top: 1px solid var(--line) }
summary { padding: .4375rem .875rem; cursor: pointer; display: flex; gap: .25rem .75rem; align-items: baseline; list-style: none }
summary::-webkit-details-marker { display: none }
summary:hover { background: var(--sunk) }
summary b { flex: 1; min-width: 0; overflow-wrap: anywhere; font-weight: 600 }
summary small, .hint, small { color: var(--soft); font-size: .92em; font-weight: 400 }
.tags { display: flex; flex-wrap: wrap; gap: 0 .75rem; justify-content: end }
.tag { white-space: nowrap; font-weight: 500; color: var(--soft) }
.tag::before { content: ""; display: inline-block; width: .5em; height: .5em; border-radius: 50%; margin-right: .4em; border: 1.5px solid currentcolor; vertical-align: .05em }
.sent { color: var(--good) } .failed { color: var(--bad) } .waiting { color: var(--wait) }
.sent::before, .failed::before { background: currentcolor }
:focus-visible { outline: 2px solid var(--good); outline-offset: -2px }
.facts { display: grid; gap: .75rem; padding: .25rem .875rem .875rem }
section { display: grid; gap: .25rem; border-left: 2px solid var(--line); padding-left: .75rem; min-width: 0 }
section p { margin: 0 }
details details summary { padding: .125rem 0; color: var(--soft) }
details details summary::before { content: "▸ " } details details[open] > summary::before { content: "▾ " }
pre { margin: 0; padding: .5rem .625rem; background: var(--sunk); border-radius: .375rem; white-space: pre-wrap; overflow-wrap: anywhere; font: 12px/1.5 ui-monospace, monospace }
code { font: 12px/1.5 ui-monospace, monospace; overflow-wrap: anywhere; color: var(--soft) }
.hint { margin: 0; padding: .875rem }`;

const REASONS: { [code: string]: string } = {
  integrations: "The event's integrations object says no.",
  consent: "The visitor has not consented.",
  trigger: "The trigger doesn't fire on it.",
  nothing_to_send: "There is nothing to send.",
  unsupported: "The plugin is older than this action: load the page anew.",
  invalid_payload: "The mapping gave a payload that the action doesn't take.",
  identity_too_long: "The user id is longer than Heap takes.",
  identity_refused: "The user id names nobody (setting Refused identities).",
  sdk_load_failed: "Heap's script was blocked, or couldn't be loaded: the call is lost.",
  sdk_not_ready: "Heap's script didn't run within 10 seconds: the call is lost.",
};

/** Events that are kept. */
const MOST = 200;
const LOOK = 250;

type Made = HTMLElement & { open?: boolean };

function element(tag: string, content: (Node | string)[] = [], className = ""): Made {
  const made = document.createElement(tag);
  made.append(...content);
  if (className) made.className = className;
  return made;
}

function button(label: string, title: string, act: (made: HTMLElement) => void): HTMLElement {
  const made = element("button", [label]);
  made.title = title;
  made.setAttribute("aria-label", title);
  made.addEventListener("click", () => act(made));
  return made;
}

const json = (value: unknown) => JSON.stringify(value, null, 2);

const folded = (label: string, value: unknown) =>
  element("details", [element("summary", [label]), element("pre", [json(value)])]);

/** What became of a sight by now: a call lies in the stub until Heap runs. */
function fate({ receipt: { result, reason } }: Sight): [className: string, word: string] {
  if (result == "sent" && !window.heap!.loaded) return ["waiting", "waits for Heap"];
  if (result == "skipped") return ["skipped", `skipped: ${reason}`];
  return [result, result];
}

/** One action's part in an event. */
function part(sight: Sight): HTMLElement {
  const { receipt, subscription, payload, calls } = sight;
  const [className, word] = fate(sight);
  const made = element("section", [
    element("h3", [subscription.name || receipt.action || "", element("span", [word], "tag " + className)]),
  ]);
  const { reason } = receipt;
  if (reason) made.append(element("p", [REASONS[reason] || "An exception: " + reason]));
  if (subscription.subscribe) made.append(element("p", ["Trigger ", element("code", [subscription.subscribe])]));
  for (const [method, ...args] of calls || [])
    made.append(element("pre", [`heap.${method}(${args.map(json).join(", ")})`]));
  if (payload !== undefined) made.append(folded("Payload", payload));
  return made;
}

/** One event: its actions come one after the other. */
class Entry {
  readonly item = element("li");
  private readonly sights: Sight[] = [];
  private readonly time = new Date().toLocaleTimeString();
  private readonly tags = element("span", [], "tags");
  private readonly facts = element("div", [], "facts");
  private drawn = "";

  constructor(private readonly event: { type?: string; event?: string; name?: string }) {
    const { type, event: name, name: page } = event;
    this.item.append(
      element("details", [
        element("summary", [element("b", [name || page || type || "event", " ", element("small", [name || page ? type || "" : ""])]), this.tags]),
        this.facts,
      ]),
    );
  }

  add(sight: Sight): void {
    this.sights.push(sight);
    this.draw();
  }

  /** Draws it if it has changed. */
  draw(): void {
    const seen = json(this.sights.map((sight) => [sight.receipt, fate(sight)]));
    if (seen == this.drawn) return;
    this.drawn = seen;
    const taken = this.sights.filter(({ receipt }) => receipt.reason != "trigger");
    const tags = taken.map((sight) => {
      const [className, word] = fate(sight);
      return element("span", [word], "tag " + className);
    });
    this.tags.replaceChildren(...(tags.length ? tags : [element("span", ["no action takes it"], "tag")]));
    const copy = button("Copy as JSON", "Copy all of it as JSON", (made) => {
      const all = this.sights.map(({ receipt, payload, calls }) => ({ receipt, payload, calls }));
      navigator.clipboard.writeText(json({ event: this.event, actions: all })).then(() => (made.textContent = "Copied"));
    });
    copy.className = "copy";
    this.facts.replaceChildren(
      element("small", [`At ${this.time}, message ${this.sights[0]!.receipt.messageId}`]),
      // Those that do something first.
      ...taken.map(part),
      ...this.sights.filter((sight) => !taken.includes(sight)).map(part),
      folded("Event", this.event),
      ...(navigator.clipboard ? [copy] : []),
    );
  }
}

function open(): void {
  const tools = (window.heapline = window.heapline || {});
  const earlier = ([] as Sight[]).concat((tools.log as unknown as Sight[]) || []);

  const host = element("heapline-debug");
  host.setAttribute("role", "region");
  host.setAttribute("aria-label", "Heapline: events for Heap");
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  root.adoptedStyleSheets = [sheet];

  const entries = new Map<unknown, Entry>();
  const list = element("ol");
  const state = element("p");
  const hint = element("p", ["Waiting for events. Each call of this page's analytics client shows up here, newest first, with what Heap is told of it."], "hint");
  state.setAttribute("role", "status");
  list.tabIndex = 0;
  list.setAttribute("aria-label", "Events, newest first");

  let count = 0;
  let blocked = "";
  const look = () => {
    const heap = window.heap;
    const [className, word] = heap && heap.loaded
      ? ["sent", `Heap runs, environment ${heap.appid || heap.envId || "unknown"}`]
      : blocked
        ? ["failed", blocked]
        : heap
          ? ["waiting", "Heap's script hasn't run yet"]
          : ["", "Heap isn't loaded: no event was permitted yet"];
    const text = `${count} ${count == 1 ? "event" : "events"}`;
    if (state.textContent != word + text) state.replaceChildren(element("span", [word], "tag " + className), " ", element("small", [text]));
    for (const entry of entries.values()) entry.draw();
  };
  const timer = setInterval(look, LOOK);
  const close = () => {
    clearInterval(timer);
    delete tools.log;
    host.remove();
  };
  root.append(
    element("header", [
      element("h2", ["Heapline → Heap"]),
      button("Clear", "Clear the list", () => {
        entries.clear();
        list.replaceChildren();
        hint.hidden = false;
        count = 0;
        look();
      }),
      button("–", "Make it small, or large again", () => host.classList.toggle("small")),
      button("✕", "Close", close),
      state,
    ]),
    hint,
    list,
  );
  root.addEventListener("keydown", (event) => {
    if ((event as KeyboardEvent).key == "Escape") close();
  });

  const show = (sight: Sight) => {
    const { messageId, reason } = sight.receipt;
    let entry = entries.get(messageId);
    if (!entry) {
      count++;
      hint.hidden = true;
      entries.set(messageId, (entry = new Entry(sight.event as object)));
      list.prepend(entry.item);
      const [oldest] = entries.keys();
      if (entries.size > MOST) entries.delete(oldest);
      if (list.childElementCount > MOST) list.lastElementChild!.remove();
    }
    if (reason == "sdk_load_failed") blocked = "Heap's script was blocked";
    if (reason == "sdk_not_ready") blocked = "Heap's script didn't run within 10 seconds";
    entry.add(sight);
    look();
  };
  tools.log = { push: show };
  document.body.append(host);
  earlier.forEach(show);
  look();
  addEventListener(
    "error",
    ({ target }) => {
      // Any script's failure comes here; which one is Heap's only its address tells.
      if (target instanceof HTMLScriptElement && /heap(_config|-\d+)\.js/.test(target.src)) blocked = "Heap's script was blocked: " + target.src;
    },
    true,
  );
}

if (!document.querySelector("heapline-debug")) {
  if (document.body) open();
  else addEventListener("DOMContentLoaded", open);
}
