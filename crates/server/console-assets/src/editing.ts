// Text areas for code: Tab and Enter keep the indent, and the text behind them is coloured.
//
// <div class="code"><pre aria-hidden="true"></pre><textarea data-code="json"></textarea></div>

const TOKEN: Record<string, RegExp> = {
  json: /("(?:[^"\\]|\\.)*"(?=\s*:))|("(?:[^"\\]|\\.)*"?)|\b(true|false|null)\b|(-?\b\d[\d.eE+-]*)/g,
  trigger: /()("(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?)|\b(and|or|true|false|null|contains|match)\b|(-?\b\d[\d.]*)/g,
};
const KINDS = ["key", "text", "word", "number"];

function colour(area: HTMLTextAreaElement): void {
  const behind = area.previousElementSibling;
  const token = TOKEN[area.dataset["code"] ?? ""];
  if (!behind || !token) return;
  const parts: Node[] = [];
  let at = 0;
  for (const match of area.value.matchAll(token)) {
    parts.push(new Text(area.value.slice(at, match.index)));
    const span = document.createElement("span");
    span.className = "t-" + KINDS[match.slice(1).findIndex((group) => group)];
    span.textContent = match[0];
    parts.push(span);
    at = match.index + match[0].length;
  }
  parts.push(new Text(area.value.slice(at) + "\n"));
  behind.replaceChildren(...parts);
  behind.scrollTop = area.scrollTop;
  behind.scrollLeft = area.scrollLeft;
}

function areas(): void {
  document.querySelectorAll<HTMLTextAreaElement>("textarea[data-code]").forEach(colour);
}

/** Enter keeps the indent of the line, and deepens it after an opening bracket. */
function indent(area: HTMLTextAreaElement): void {
  const before = area.value.slice(0, area.selectionStart);
  const line = before.slice(before.lastIndexOf("\n") + 1);
  const deeper = /[{[]\s*$/.test(line) ? "  " : "";
  area.setRangeText("\n" + (/^\s*/.exec(line)?.[0] ?? "") + deeper, area.selectionStart, area.selectionEnd, "end");
  area.dispatchEvent(new Event("input", { bubbles: true }));
}

/** After a button has added or removed a condition, the keyboard goes on where it was. */
function keepPlace(): void {
  let pressed: HTMLButtonElement | null = null;
  document.addEventListener("click", (click) => {
    pressed = (click.target as Element).closest<HTMLButtonElement>("button[name=edit]");
  }, true);
  document.addEventListener("htmx:after:swap", () => {
    if (!pressed || pressed.isConnected) return;
    const same = document.querySelector(`#conditions button[value="${pressed.value}"]`);
    const group = same?.closest("fieldset");
    const rows = group?.querySelectorAll<HTMLElement>(":scope > .parts > :last-child input");
    (rows?.[0] ?? document.querySelector<HTMLElement>("#conditions input[name=path]"))?.focus();
    pressed = null;
  });
}

/** A member of the event is picked from those that the event has; all else may take several lines. */
function fitValue(choice: HTMLSelectElement): void {
  const now = choice.closest("fieldset")?.querySelector<HTMLInputElement | HTMLTextAreaElement>(".say > input, .say > textarea");
  const wanted = choice.value === "variable" ? "input" : "textarea";
  if (!now || now.localName === wanted) return;
  const next = document.createElement(wanted);
  next.name = now.name;
  next.value = now.value;
  next.spellcheck = false;
  next.className = wanted === "input" ? "code-input" : "grows";
  next.autocomplete = "off";
  if (next instanceof HTMLInputElement) next.setAttribute("list", "paths");
  else next.rows = 1;
  now.replaceWith(next);
}

export function editing(): void {
  keepPlace();
  const code = (event: Event) => (event.target as Element).closest<HTMLTextAreaElement>("textarea[data-code]");
  document.addEventListener("input", (input) => {
    const area = code(input);
    if (area) colour(area);
  });
  document.addEventListener("change", (change) => {
    const choice = change.target as HTMLSelectElement;
    if (choice.matches("#lines select")) fitValue(choice);
  });
  document.addEventListener("scroll", (scroll) => {
    if (!(scroll.target instanceof HTMLTextAreaElement)) return;
    const behind = scroll.target.previousElementSibling;
    if (behind) [behind.scrollTop, behind.scrollLeft] = [scroll.target.scrollTop, scroll.target.scrollLeft];
  }, true);
  document.addEventListener("keydown", (key) => {
    const area = code(key);
    if (area && key.key === "Enter" && !key.shiftKey && !key.ctrlKey && !key.metaKey) {
      key.preventDefault();
      indent(area);
    }
  });
  document.addEventListener("htmx:after:swap", areas);
  areas();
}
