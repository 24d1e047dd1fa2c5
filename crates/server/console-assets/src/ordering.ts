// Rows that can be dragged into another order by their [data-grip]. The order is sent by the form
// that <tbody data-sortable="form-id"> names; its fields lie in the rows.

export function ordering(): void {
  document.addEventListener("pointerdown", (down) => {
    const grip = (down.target as Element).closest<HTMLElement>("[data-grip]");
    const row = grip?.closest("tr");
    const list = row?.closest<HTMLElement>("[data-sortable]");
    if (!row || !list || down.button !== 0) return;
    down.preventDefault();
    drag(row, list, down.pointerId);
  });
}

// The row is moved while it is dragged, which would end a pointer capture: so the document listens.
function drag(row: HTMLTableRowElement, list: HTMLElement, pointer: number): void {
  const before = [...list.children];
  const listening = new AbortController();
  const listen = { signal: listening.signal };
  row.classList.add("dragged");
  document.addEventListener("pointermove", (move) => {
    if (move.pointerId === pointer) follow(row, list, move.clientY);
  }, listen);
  const end = (kept: boolean) => {
    listening.abort();
    row.classList.remove("dragged");
    if (!kept) list.replaceChildren(...before);
    else if (before.some((child, at) => list.children[at] !== child)) {
      document.querySelector<HTMLFormElement>(`form#${list.dataset["sortable"]}`)?.requestSubmit();
    }
  };
  document.addEventListener("pointerup", () => end(true), listen);
  document.addEventListener("pointercancel", () => end(false), listen);
  document.addEventListener("keydown", (key) => key.key === "Escape" && end(false), listen);
}

function follow(row: HTMLElement, list: HTMLElement, y: number): void {
  for (const other of list.children) {
    const { top, bottom } = other.getBoundingClientRect();
    if (other === row || y < top || y > bottom) continue;
    const below = y > (top + bottom) / 2;
    const first = row.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING;
    if (first && below) other.after(row);
    if (!first && !below) other.before(row);
  }
}
