// Buttons that copy: <button data-copy="#id"> copies that element's text.

const SHOWN_MS = 1600;

export function copying(): void {
  document.addEventListener("click", async (click) => {
    const button = (click.target as Element).closest<HTMLElement>("[data-copy]");
    const from = button && document.querySelector<HTMLElement>(button.dataset["copy"] ?? "");
    if (!button || !from) return;
    const label = button.querySelector("[data-label]") ?? button;
    const before = label.textContent;
    try {
      await navigator.clipboard.writeText((from.textContent ?? "").trim());
      label.textContent = "Copied";
    } catch {
      getSelection()?.selectAllChildren(from);
      label.textContent = "Selected";
    }
    setTimeout(() => (label.textContent = before), SHOWN_MS);
  });
}
