// Says whether what is live really is: "Live", or "Reconnecting…" while the server can't be reached.

export function living(): void {
  document.addEventListener("htmx:sse:error", () => tell(true));
  document.addEventListener("htmx:sse:after:connection", () => tell(false));
}

function tell(lost: boolean): void {
  for (const mark of document.querySelectorAll<HTMLElement>(".live")) {
    if (mark.classList.contains("lost") === lost) continue;
    mark.classList.toggle("lost", lost);
    mark.textContent = lost ? "Reconnecting…" : "Live";
  }
}
