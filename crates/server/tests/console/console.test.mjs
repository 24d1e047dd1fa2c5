// The console as a person uses it: first run to first delivered event, actions through both
// editors, search and trace, keyboard only, small screens, and axe on every page.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { api, begin, send } from "./server.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core"), "utf8");
const SHOTS = process.env.SHOTS;

let run;
let key;
before(async () => { run = await begin(); });
after(() => run?.end());

test("the one-time link lets in once, and only it does", async () => {
  const { page, origin, link, context } = run;
  await page.goto(origin + "/events");
  assert.match(page.url(), /\/sign-in\?next=%2Fevents$/);
  await page.goto(link);
  assert.equal(page.url(), origin + "/");
  const [cookie] = await context.cookies();
  assert.ok(cookie.httpOnly && cookie.sameSite === "Lax");
  const other = await (await run.browser.newContext()).newPage();
  await other.goto(link);
  await other.getByText("This link lets nobody in any more.").waitFor();
  await other.context().close();
});

test("a form of another site changes nothing", async () => {
  const cookies = (await run.context.cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");
  const body = "name=Evil&kind=http";
  for (const headers of [{ "sec-fetch-site": "cross-site" }, { origin: "http://evil.example" }, {}]) {
    const response = await fetch(run.origin + "/sources/new", {
      method: "POST",
      headers: { cookie: cookies, "content-type": "application/x-www-form-urlencoded", ...headers },
      body,
      redirect: "manual",
    });
    assert.equal(response.status, 403, JSON.stringify(headers));
  }
});

test("from the first run to the first delivered event without leaving the console", async () => {
  const { page } = run;
  await run.open("/");
  await page.getByRole("link", { name: "Add a source" }).click();
  await page.getByLabel("Name").fill("Shop backend");
  await page.getByText("Node.js", { exact: true }).click();
  await page.getByRole("button", { name: "Add the source" }).click();
  await page.getByText("Waiting for the first event").waitFor();
  key = (await page.locator("[id^=key-]").first().textContent()).trim();
  assert.ok((await page.locator("#code-node").textContent()).includes(key));
  assert.ok((await page.locator("#code-curl").textContent()).includes(run.origin));

  await run.open("/directory");
  await page.getByText("Recommended").waitFor();
  await page.getByRole("link", { name: "Add Heap", exact: true }).click();
  await page.getByLabel("App Id").fill("eleven");
  await page.getByText(/Expected digits as text/).waitFor();
  await page.getByLabel("App Id").fill("11");
  await page.getByText(/Expected digits as text/).waitFor({ state: "detached" }).catch(() => {});
  await page.getByText("more settings, all with defaults").click();
  await page.getByLabel("Base address").fill(run.heap);
  await page.getByRole("button", { name: "Enable" }).click();
  await page.getByText("The integration is enabled").waitFor();

  const event = { type: "track", event: "Order Completed", userId: "ada", messageId: "m-1", properties: { total: 42.5, plan: "team" } };
  await run.open("/sources/shop-backend");
  assert.equal(await send(run.origin, key, event), 200);
  await page.getByText("It works: the first event has arrived.").waitFor();
  await page.getByRole("link", { name: "Order Completed" }).click();
  await page.waitForURL(/\/events\/\d+$/);
  await page.getByText("Delivered.", { exact: true }).waitFor();
});

test("a refusal shows in Data In with its reason, at once", async () => {
  await run.open("/sources/shop-backend");
  assert.equal(await send(run.origin, key, { type: "track", userId: "ada" }), 400);
  await run.page.locator(".tag.refused").first().waitFor();
});

test("an event is found by its user and its trace has the exact request", async () => {
  const { page } = run;
  await run.open("/events");
  await page.getByLabel("User id").fill("ada");
  await page.getByRole("button", { name: "Find" }).click();
  await page.getByRole("link", { name: "Order Completed" }).first().click();
  const body = await page.getByLabel("Body of the request").first().textContent();
  assert.equal(JSON.parse(body).events[0].properties.total, 42.5);
  await run.open("/events?user=nobody-of-that-name");
  await page.getByText("No event matches").waitFor();
});

test("trigger: conditions and text stay in step, and the preview follows", async () => {
  const { page } = run;
  await run.open("/integrations/heap/actions");
  await page.getByRole("link", { name: "Track Event" }).click();
  await page.locator("#preview .tag.delivered").waitFor();
  const text = page.locator("#trigger");
  await text.fill('type = "track" and event = "Nothing of it"');
  await page.locator("#preview .tag.filtered").waitFor();
  assert.equal(await page.locator("#conditions [name=value]").nth(1).inputValue(), "Nothing of it");
  await page.locator("#conditions [name=value]").nth(1).fill("Order Completed");
  await page.locator("#preview .tag.delivered").waitFor();
  assert.equal(await text.inputValue(), 'type = "track" and event = "Order Completed"');
  await page.getByRole("button", { name: "Condition", exact: true }).click();
  await page.locator("#conditions .condition").nth(2).waitFor();
  await page.locator("#conditions [name=path]").nth(2).fill("properties.total");
  await page.locator("#conditions [name=test]").nth(2).selectOption("more");
  await page.locator("#conditions [name=value]").nth(2).fill("ten");
  await page.getByText("Expected a number.").waitFor();
  await page.locator("#conditions [name=value]").nth(2).fill("10");
  await page.locator("#preview .tag.delivered").waitFor();
  await page.waitForFunction(() => document.querySelector("#trigger").value.includes("properties.total > 10"));
  await text.fill("type = ");
  await page.getByText(/Line 1, column 8/).waitFor();
  await text.fill('type = "track" and properties.total > 10');
  await page.locator("#preview .tag.delivered").waitFor();
});

test("mapping: form and JSON stay in step; saving makes a revision", async () => {
  const { page } = run;
  await page.locator('[name="m.event.how"]').selectOption("template");
  await page.locator('[name="m.event.value"]').fill("Shop: {{event}}");
  await page.waitForFunction(() => document.querySelector("#mapping").value.includes("Shop: {{event}}"));
  await page.getByText('"Shop: Order Completed"').first().waitFor();
  await page.locator("summary", { hasText: "As JSON" }).click();
  const json = JSON.parse(await page.locator("#mapping").inputValue());
  json.event = "Sold";
  await page.locator("#mapping").fill(JSON.stringify(json, null, 2));
  await page.waitForFunction(() => document.querySelector('[name="m.event.how"]').value === "literal");
  assert.equal(await page.locator('[name="m.event.value"]').inputValue(), "Sold");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved. It holds for events from now on.").waitFor();
  await run.open("/settings/history");
  await page.getByRole("link", { name: "Revision 3" }).click();
  await page.getByText("properties.total > 10").first().waitFor();
});

test("an action is added from its type, and edited as JSON at once", async () => {
  const { page } = run;
  await run.open("/integrations/heap/actions");
  await page.getByRole("link", { name: "Add an action" }).click();
  await page.getByRole("link", { name: "Track Event" }).click();
  await page.getByRole("heading", { name: "New action" }).waitFor();
  await page.getByLabel("Name", { exact: true }).fill("Refunds");
  await page.locator("#trigger").fill('type = "track" and event = "Refunded"');
  await page.locator("summary", { hasText: "As JSON" }).click();
  const json = JSON.parse(await page.locator("#mapping").inputValue());
  await page.locator("#mapping").fill(JSON.stringify({ ...json, event: "Money back" }));
  await page.waitForFunction(() => document.querySelector('[name="m.event.value"]').value === "Money back");
  await page.getByRole("button", { name: "Add the action" }).click();
  await page.getByText("Saved. It holds for events from now on.").waitFor();
  const added = await api(run, "GET", "/integrations/heap");
  assert.equal(added.actions.at(-1).mapping.event, "Money back");
  await api(run, "DELETE", `/integrations/heap/actions/${added.actions.at(-1).id}`);
});

test("who was overtaken is told, and may save all the same", async () => {
  const { page } = run;
  await run.open("/integrations/heap/actions/identifyUser-1");
  await page.getByLabel("Name", { exact: true }).fill("Identify a person");
  for (const name of ["Something else", "Shop backend"]) await api(run, "PATCH", "/sources/shop-backend", { name });
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Somebody has changed the workspace meanwhile").waitFor();
  await page.getByLabel("Name", { exact: true }).fill("Identify User");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved. It holds for events from now on.").waitFor();
});

test("a member of the event is picked from those that the event has", async () => {
  const { page } = run;
  await run.open("/integrations/heap/actions/trackEvent-1");
  await page.locator('[name="m.email.how"]').selectOption("variable");
  const value = page.locator('input[name="m.email.value"]');
  const offered = await value.evaluate((input) => [...input.list.options].map((option) => option.value));
  assert.ok(offered.includes("properties.total"), offered.join());
  await page.locator('[name="m.email.how"]').selectOption("template");
  await page.locator('textarea[name="m.email.value"]').waitFor();
});

test("leaving with changes asks", async () => {
  const { page } = run;
  await run.open("/integrations/heap/actions/trackEvent-1");
  await page.getByLabel("Name", { exact: true }).fill("Something else");
  const asked = new Promise((resolve) => page.once("dialog", async (dialog) => {
    await dialog.accept();
    resolve(dialog.type());
  }));
  await page.getByRole("link", { name: "Cancel" }).click();
  assert.equal(await asked, "beforeunload");
});

test("the switch of an action works by keyboard alone", async () => {
  const { page } = run;
  await run.open("/integrations/heap/actions");
  const button = page.getByRole("switch", { name: "Identify User" });
  for (let tabs = 0; tabs < 40 && !(await button.evaluate((b) => b === document.activeElement)); tabs++) {
    await page.keyboard.press("Tab");
  }
  assert.equal(await button.getAttribute("aria-checked"), "true");
  await page.keyboard.press("Enter");
  await page.waitForURL(/done=saved/);
  assert.equal(await button.getAttribute("aria-checked"), "false");
});

test("an action is mended and its dead letters are replayed", async () => {
  const { page } = run;
  const refuse = { method: "POST", body: JSON.stringify({ kind: "status", next: 1, status: 400 }) };
  assert.equal((await fetch(run.heap + "/_sandbox/faults", refuse)).status, 200);
  const event = { type: "track", event: "Invoice Paid", userId: "bob", messageId: "m-2", properties: { total: 99 } };
  assert.equal(await send(run.origin, key, event), 200);
  await run.open("/events?message=m-2");
  await page.locator("tbody .tag.failed").waitFor();
  await run.open("/");
  await page.getByText("Heap has 1 dead letter").waitFor();
  await page.getByRole("link", { name: "Mend and replay" }).click();
  await page.getByText("http_400").waitFor();
  await page.getByRole("link", { name: "Edit the action" }).click();
  await page.locator('[name="m.event.how"]').selectOption("variable");
  await page.locator('[name="m.event.value"]').fill("event");
  await page.locator("#preview").getByText('"Invoice Paid"').first().waitFor();
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved. It holds for events from now on.").waitFor();
  await run.open("/integrations/heap/dead-letters");
  await page.getByRole("link", { name: "Replay…" }).click();
  await page.getByRole("heading", { name: "Replay 1 event?" }).waitFor();
  await page.locator(".tried .tag.pending", { hasText: "is sent" }).waitFor();
  await page.getByRole("button", { name: "Replay 1 event" }).click();
  await page.getByText("The replay has begun").waitFor();
  await page.locator("[id^=replay-] .tag.delivered").first().waitFor();
  await run.open("/events?message=m-2");
  await page.locator("tbody .tag.delivered").waitFor();
  await run.open("/integrations/heap");
  await page.locator(".bars rect").first().waitFor();
});

test("an event is sent once more from its trace, which tells beforehand what happens", async () => {
  const { page } = run;
  await run.open("/events?message=m-1");
  await page.getByRole("link", { name: "Order Completed" }).click();
  await page.locator("summary", { hasText: "As curl" }).first().click();
  const curl = await page.locator("#curl").textContent();
  assert.ok(curl.includes(`curl -u ${key}: ${run.origin}/v1/track`), curl);
  await page.getByRole("link", { name: "Replay to Heap…" }).click();
  await page.getByText("all deliveries of the message").waitFor();
  await page.getByText("the idempotency key that it had").waitFor();
  await page.getByRole("button", { name: "Replay 1 event" }).click();
  await page.waitForURL(/\/events\/\d+\?done=replayed$/);
  await page.locator("#trace tbody tr").nth(1).waitFor();
});

test("an integration shows its rate, its limits, and the chart as a table", async () => {
  const { page } = run;
  await run.open("/integrations/heap");
  await page.locator(".gauges li", { hasText: "15,000 items a minute" }).waitFor();
  await page.locator(".figures", { hasText: "Delivered a minute" }).waitFor();
  await page.locator("summary", { hasText: "The same as a table" }).click();
  const cells = await page.locator("#past-table tbody tr").first().locator("td").allTextContents();
  assert.ok(cells.length === 5 && cells.slice(1).every((text) => /^[\d,]+$/.test(text)), cells.join());
  await page.getByRole("link", { name: "Day" }).click();
  await page.getByText("a day ago").waitFor();
  await page.locator(".bars rect").first().waitFor();
});

test("home tells what flows now", async () => {
  const { page } = run;
  await run.open("/");
  const rate = page.locator(".node", { hasText: "Shop backend" }).locator(".rate strong");
  const before = Number(await rate.textContent());
  const call = (n) => ({ type: "track", event: "Seat Added", userId: `user-${n % 9}`, messageId: `t-${n}`, properties: { total: 11 + n } });
  const calls = Array.from({ length: 120 }, (_, n) => call(n));
  assert.deepEqual([...new Set(await Promise.all(calls.map((call) => send(run.origin, key, call))))], [200]);
  await page.waitForFunction((least) => {
    const node = [...document.querySelectorAll(".node")].find((node) => node.textContent.includes("Shop backend"));
    return Number(node.querySelector(".rate strong").textContent) >= least;
  }, Math.min(before, 5) + 20);
});

test("actions are dragged into another order", async () => {
  const { page } = run;
  await run.open("/integrations/heap/actions");
  const names = () => page.locator("tbody .name a").allTextContents();
  const [first, second] = await names();
  const from = await page.locator("[data-grip]").first().boundingBox();
  const onto = await page.locator("tbody tr").nth(1).boundingBox();
  await page.mouse.move(from.x + from.width / 2, from.y + from.height / 2);
  await page.mouse.down();
  await page.mouse.move(from.x, onto.y + onto.height - 4, { steps: 6 });
  await page.mouse.up();
  await page.getByText("The actions are in the new order.").waitFor();
  assert.deepEqual(await names(), [second, first]);
});

test("write keys overlap while clients move", async () => {
  const { page } = run;
  await run.open("/sources/shop-backend");
  await page.getByRole("button", { name: "New key" }).click();
  await page.getByText("The new write key works now, and the old one too").waitFor();
  const fresh = (await page.locator("[id^=key-]").first().textContent()).trim();
  assert.ok((await page.locator("#code-node").textContent()).includes(fresh), "set-ups name the new one");
  const call = (messageId) => ({ type: "track", event: "Moved", userId: "ada", messageId });
  assert.deepEqual([await send(run.origin, key, call("k-1")), await send(run.origin, fresh, call("k-2"))], [200, 200]);
  await page.getByRole("button", { name: "Delete…" }).nth(1).click();
  await page.getByRole("button", { name: "Delete the key" }).click();
  await page.getByText("The source was changed.").waitFor();
  assert.deepEqual([await send(run.origin, key, call("k-3")), await send(run.origin, fresh, call("k-4"))], [401, 200]);
  key = fresh;
});

const PAGES = [
  "/", "/sources", "/sources/new", "/sources/shop-backend", "/directory", "/directory/heap", "/directory/heap-web",
  "/integrations", "/integrations/heap", "/integrations/heap/actions", "/integrations/heap/actions/trackEvent-1",
  "/integrations/heap/actions/new", "/integrations/heap/data-out", "/integrations/heap/dead-letters",
  "/integrations/heap/settings", "/integrations/heap/replay?outcome=delivered", "/integrations/heap?span=day",
  "/events", "/events/1", "/settings", "/settings/history", "/settings/history/2",
  "/settings/tokens", "/settings/audit",
];

for (const width of [1280, 390]) {
  for (const scheme of ["light", "dark"]) {
    test(`every page at ${width} px, ${scheme}: nothing overflows, axe finds nothing serious`, async () => {
      const { page } = run;
      await page.setViewportSize({ width, height: width === 390 ? 844 : 860 });
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
      for (const path of PAGES) {
        await run.open(path);
        if (SHOTS) {
          mkdirSync(SHOTS, { recursive: true });
          const name = path.slice(1).replace(/[/?=]/g, "-") || "home";
          await page.screenshot({ path: `${SHOTS}/${name}-${width}-${scheme}.png`, fullPage: true });
          // As much as a screen shows, for the README.
          if (path === "/events/1" || path === "/integrations/heap") {
            await page.screenshot({ path: `${SHOTS}/${name}-${width}-${scheme}-screen.png` });
          }
        }
        const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(over <= 0, `${path} is ${over} px too wide`);
        const found = await page.evaluate(`${AXE}; axe.run({ resultTypes: ["violations"] })`);
        const serious = found.violations.filter(({ impact }) => impact === "serious" || impact === "critical");
        const told = serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`);
        assert.deepEqual(told, [], path);
      }
    });
  }
}

test("nothing broke in the browser, no policy was violated", () => {
  const expected = /status of 4(03|22)/;
  assert.deepEqual(run.broken.filter((text) => !expected.test(text)), []);
});
