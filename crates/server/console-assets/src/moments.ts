// <time datetime data-ago> tells how long ago it was, and keeps telling; on hover, exactly when.

const UNITS: [string, number][] = [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]];

const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

function ago(seconds: number): string {
  for (const [unit, length] of UNITS) {
    if (seconds >= length) return `${Math.floor(seconds / length)} ${unit} ago`;
  }
  return "just now";
}

function tell(): void {
  for (const time of document.querySelectorAll<HTMLTimeElement>("time[data-ago]")) {
    const text = ago((Date.now() - Date.parse(time.dateTime)) / 1000);
    if (time.textContent !== text) time.textContent = text;
    time.title ||= EXACT.format(Date.parse(time.dateTime));
  }
}

export function moments(): void {
  tell();
  setInterval(tell, 1000);
  document.addEventListener("htmx:after:swap", tell);
}
