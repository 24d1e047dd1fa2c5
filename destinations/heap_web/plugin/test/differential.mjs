// Runs the built plugin on cases from standard input, one JSON document a line:
// {"settings","event"}, as the server writes them. Answers with one line each:
// {"actions":{id:[result,reason]},"calls":[[method,…arguments]]}.

import { createInterface } from "node:readline";

const calls = [];
const record = (method) => (...args) => void calls.push([method, ...args]);
const heap = { loaded: true, envId: "11" };
for (const method of ["track", "identify", "addUserProperties"]) heap[method] = record(method);

// What the plugin touches of a page. Nothing is ever sent, nothing polls.
Object.assign(globalThis, {
  window: { heap },
  location: { search: "", origin: "https://cdp.example" },
  addEventListener() {},
  setInterval: () => 0,
  setTimeout: () => 0,
});
console.warn = () => {};

const { default: heapWeb } = await import("../dist/heap-web.mjs");

for await (const line of createInterface({ input: process.stdin })) {
  const { settings, event } = JSON.parse(line);
  const sights = (window.heapline = { log: [] }).log;
  calls.length = 0;
  for (const plugin of heapWeb(settings)) {
    await plugin.load({}, { on() {} });
    plugin.track({ event });
  }
  const actions = {};
  for (const { receipt } of sights) actions[receipt.action] = [receipt.result, receipt.reason ?? ""];
  process.stdout.write(JSON.stringify({ actions, calls }) + "\n");
}
