// The console with scripts switched off: forms post, pages answer, and no button is dead.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { begin, send } from "./server.mjs";

let run;
let key;
before(async () => {
  run = await begin({ scripts: false });
  await run.page.goto(run.link);
});
after(() => run?.end());

/** Fails if a button that is seen does nothing without a script. */
async function everyButtonWorks() {
  const dead = await run.page.locator("button").evaluateAll((buttons) => buttons
    .filter((button) => button.checkVisibility())
    .filter((button) => !(button.form && button.type === "submit") && !button.popoverTargetElement)
    .map((button) => button.outerHTML));
  assert.deepEqual(dead, [], run.page.url());
  assert.equal(await run.page.locator(".live:visible, .loading:visible").count(), 0, "nothing pretends to be live");
}

test("a source is added, and an integration enabled; faults stand at their place", async () => {
  const { page } = run;
  await run.open("/sources/new");
  await page.getByText("Node.js", { exact: true }).click();
  await page.getByLabel("Name").fill("Shop");
  await page.getByRole("button", { name: "Add the source" }).click();
  await page.getByText("Waiting for the first event").waitFor();
  await everyButtonWorks();
  key = (await page.locator("[id^=key-]").first().textContent()).trim();

  await run.open("/directory/heap");
  await page.getByLabel("App Id").fill("eleven");
  await page.getByRole("button", { name: "Enable" }).click();
  await page.locator("#fault-appId", { hasText: "Expected digits" }).waitFor();
  await page.getByLabel("App Id").fill("11");
  await page.locator("summary", { hasText: "more settings" }).click();
  await page.getByLabel("Base address").fill(run.heap);
  await page.getByRole("button", { name: "Enable" }).click();
  await page.getByText("The integration is enabled").waitFor();
  await everyButtonWorks();
});

test("an action is edited by its form: conditions come and go, a check shows what happens", async () => {
  const { page } = run;
  assert.equal(await send(run.origin, key, { type: "track", event: "Paid", userId: "ada", messageId: "p-1" }), 200);
  await run.open("/integrations/heap/actions/trackEvent-1");
  await everyButtonWorks();
  await page.getByRole("button", { name: "Condition", exact: true }).click();
  await page.locator("#conditions [name=path]").nth(3).fill("event");
  await page.locator("#conditions [name=value]").nth(3).fill("Paid");
  await page.getByRole("button", { name: "Check" }).last().click();
  assert.equal(await page.locator("#trigger").inputValue(), 'type = "track" or type = "page" or type = "screen" or event = "Paid"');
  await page.locator("#trigger").fill('type = "track" and event = "Paid"');
  await page.getByRole("button", { name: "Check" }).last().click();
  assert.equal(await page.locator("#conditions .condition").count(), 2);
  await page.locator("#preview .tag.delivered").waitFor();
  await page.locator("#trigger").fill("type =");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Mend what is marked, then save.").waitFor();
  await page.locator("#trigger").fill('type = "track"');
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved. It holds for events from now on.").waitFor();
});

test("actions are moved, copied, switched and deleted after a question", async () => {
  const { page } = run;
  await run.open("/integrations/heap/actions");
  await everyButtonWorks();
  await page.getByRole("button", { name: "Move Track Event down" }).click();
  await page.getByRole("button", { name: "Duplicate Identify User" }).click();
  await page.getByRole("switch", { name: "Identify User (copy)" }).click();
  assert.equal(await page.getByRole("switch", { name: "Identify User (copy)" }).getAttribute("aria-checked"), "true");
  await page.getByRole("button", { name: "Delete “Identify User (copy)”?" }).click();
  await page.getByRole("button", { name: "Delete the action" }).click();
  await page.getByText("The action is deleted.").waitFor();
  assert.deepEqual(await page.locator("tbody .name a").allTextContents(), ["Identify User", "Track Event"]);
});

test("every page has only buttons that work", async () => {
  for (const path of [
    "/", "/sources", "/sources/shop", "/integrations", "/integrations/heap", "/integrations/heap/data-out",
    "/integrations/heap/dead-letters", "/integrations/heap/replay", "/integrations/heap/settings", "/events",
    "/events/1", "/settings", "/settings/history", "/settings/history/2", "/settings/tokens", "/settings/audit", "/nowhere",
  ]) {
    await run.open(path);
    await everyButtonWorks();
  }
});
