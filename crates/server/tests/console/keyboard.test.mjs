// The console by keyboard alone: nothing here touches a pointer.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { begin, send } from "./server.mjs";

let run;
let key;
before(async () => {
  run = await begin();
  await run.page.goto(run.link);
});
after(() => run?.end());

/** Goes to `what` by the Tab key. */
async function reach(what) {
  for (let tabs = 0; tabs < 120; tabs++) {
    const there = await what.evaluateAll((found) => found.includes(document.activeElement));
    if (there) return;
    await run.page.keyboard.press("Tab");
  }
  assert.fail(`${what} can't be reached by keyboard`);
}

async function press(what) {
  await reach(what);
  await run.page.keyboard.press("Enter");
}

async function type(label, text) {
  await reach(run.page.getByLabel(label, { exact: true }));
  await run.page.keyboard.press("Control+A");
  await run.page.keyboard.type(text);
}

test("what is focused is seen, and the first stop skips to the content", async () => {
  const { page } = run;
  await run.open("/");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to content");
  for (let tabs = 0; tabs < 12; tabs++) {
    const bare = await page.evaluate(() => {
      const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
      return document.activeElement !== document.body && (outlineStyle === "none" || outlineWidth === "0px");
    });
    assert.ok(!bare, await page.evaluate(() => document.activeElement.outerHTML));
    await page.keyboard.press("Tab");
  }
});

test("a source is added", async () => {
  const { page } = run;
  await run.open("/");
  await press(page.getByRole("link", { name: "Add a source" }));
  await page.waitForURL(/\/sources\/new$/);
  await reach(page.locator("input[name=kind]"));
  await page.keyboard.press("ArrowDown");
  assert.ok(await page.getByRole("radio", { name: /^Node\.js/ }).isChecked());
  await type("Name", "Shop");
  await page.keyboard.press("Enter");
  await page.getByText("Waiting for the first event").waitFor();
  key = (await page.locator("[id^=key-]").first().textContent()).trim();
});

test("an integration is enabled, with a setting that has to be unfolded", async () => {
  const { page } = run;
  await run.open("/directory");
  await press(page.getByRole("link", { name: "Add Heap", exact: true }));
  await page.getByRole("heading", { name: "Add Heap" }).waitFor();
  await type("App Id required", "11");
  await press(page.locator("summary", { hasText: "more settings" }));
  await type("Base address", run.heap);
  await press(page.getByRole("button", { name: "Enable" }));
  await page.getByText("The integration is enabled").waitFor();
});

test("actions are put in order, copied, and deleted after a question", async () => {
  const { page } = run;
  await run.open("/integrations/heap/actions");
  const names = () => page.locator("tbody .name a").allTextContents();
  await press(page.getByRole("button", { name: "Move Identify User up" }));
  await page.getByText("The actions are in the new order.").waitFor();
  assert.deepEqual(await names(), ["Identify User", "Track Event"]);
  await press(page.getByRole("button", { name: "Duplicate Track Event" }));
  await page.getByText("The copy is there").waitFor();
  assert.deepEqual(await names(), ["Identify User", "Track Event", "Track Event (copy)"]);
  const del = page.getByRole("button", { name: "Delete… Delete “Track Event (copy)”?" });
  await press(del);
  const question = page.getByRole("dialog", { name: "Delete “Track Event (copy)”?" });
  await question.waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Cancel");
  await page.keyboard.press("Escape");
  await question.waitFor({ state: "hidden" });
  assert.ok(await del.evaluate((button) => button === document.activeElement), "the focus goes back");
  await page.keyboard.press("Enter");
  await question.waitFor();
  await press(question.getByRole("button", { name: "Delete the action" }));
  await page.getByText("The action is deleted.").waitFor();
  assert.deepEqual(await names(), ["Identify User", "Track Event"]);
});

test("an action is edited; its Save is reached without passing a trap", async () => {
  const { page } = run;
  await run.open("/integrations/heap/actions/trackEvent-1");
  await press(page.getByRole("button", { name: "Condition", exact: true }));
  await page.locator("#conditions .condition").nth(3).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.name), "path", "the focus is in the new condition");
  await page.keyboard.type("event");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.type("Order Completed");
  await page.waitForFunction(() => document.querySelector("#trigger").value.includes('event = "Order Completed"'));
  await press(page.getByRole("button", { name: "Save" }));
  await page.getByText("Saved. It holds for events from now on.").waitFor();
});

test("an event is found, looked at, and replayed", async () => {
  const { page } = run;
  assert.equal(await send(run.origin, key, { type: "track", event: "Order Completed", userId: "ada", messageId: "k-1" }), 200);
  await run.open("/events");
  await type("User id", "ada");
  await page.keyboard.press("Enter");
  await page.waitForURL(/user=ada/);
  await press(page.getByRole("link", { name: "Order Completed" }));
  await page.getByText("Delivered.", { exact: true }).waitFor();
  await press(page.getByRole("link", { name: "Replay to Heap…" }));
  await page.getByRole("heading", { name: "Replay 1 event?" }).waitFor();
  await press(page.getByRole("button", { name: "Replay 1 event" }));
  await page.getByText("The replay has begun").waitFor();
  assert.match(page.url(), /\/events\/\d+\?done=replayed$/);
});

test("nothing broke in the browser, no policy was violated", () => assert.deepEqual(run.broken, []));
