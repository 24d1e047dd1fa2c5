// Runs heap-api against the sandbox on the port given and prints what each call came to, as JSON.
"use strict";
const redirect = require("./redirect.js");

redirect(Number(process.argv[2]));
const heap = require("heap-api");

const calls = {
  track: (client) => client.track("Invoice Paid", "ada@example.com", { plan: "pro", seats: 3 }),
  "track without properties": (client) => client.track("Signed In", "ada@example.com"),
  "track with the longest texts": (client) =>
    client.track("é".repeat(1024), "i".repeat(255), { ["k".repeat(1024)]: "v".repeat(1024) }),
  "track with a number as identity": (client) => client.track("Signed In", 42),
  addUserProperties: (client) =>
    client.addUserProperties("ada@example.com", { email: "ada@example.com", age: 36 }),
  "addUserProperties with a reserved key": (client) =>
    client.addUserProperties("ada@example.com", { ID: 1 }),
  "addUserProperties with a list": (client) => client.addUserProperties("ada@example.com", []),
  "refused by the client": (client) => client.track("E", "ada@example.com", { yes: true }),
};

async function outcome(promise) {
  try {
    return { resolved: await promise };
  } catch (error) {
    return { name: error.name, message: error.message };
  }
}

(async () => {
  const results = {};
  for (const [name, call] of Object.entries(calls)) results[name] = await outcome(call(heap("11")));
  const stranger = heap("test-app-id");
  results["a wrong app id"] = await outcome(stranger.track("E", "ada@example.com"));
  console.log(JSON.stringify(results));
})();
