// What pages say, as the console shows it: of an integration, of an event, and while one watches.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { begin } from "./server.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core"), "utf8");
const SHOTS = process.env.SHOTS;
const KEY = "wk_site";
const FIREFOX = "Mozilla/5.0 (X11; rv:140.0) Gecko/20100101 Firefox/140.0";
const CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36";

const WORKSPACE = `
[[sources]]
id = "site"
name = "Shop"
kind = "javascript"
writeKeys = ["${KEY}"]

[[sources]]
id = "quiet"
kind = "javascript"
writeKeys = ["wk_quiet"]

[[integrations]]
id = "web"
name = "Heap in the shop"
destination = "heap-web"
sources = ["site"]
settings = { appId = "11", receipts = 0.25, fallback = true }
[[integrations.actions]]
id = "track"
name = "Track Event"
action = "trackEvent"
trigger = 'type = "track"'
[[integrations.actions]]
id = "identify"
name = "Identify User"
action = "identifyUser"
trigger = 'type = "identify"'

[[integrations]]
id = "silent"
destination = "heap-web"
sources = ["quiet"]
settings = { appId = "12", receipts = 0 }

[[integrations]]
id = "cloud"
name = "Heap"
destination = "heap"
sources = ["site"]
enabled = true
settings = { appId = "11", baseUrl = "http://127.0.0.1:9" }
`;

let run;
let folder;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "heapline-pages-"));
  const workspace = join(folder, "workspace.toml");
  writeFileSync(workspace, WORKSPACE);
  run = await begin({ workspace });
  await run.page.goto(run.link);
});
after(async () => {
  await run?.end();
  rmSync(folder, { recursive: true, force: true });
});

async function post(path, body, agent = FIREFOX) {
  const headers = { "content-type": "text/plain", "user-agent": agent };
  const response = await fetch(run.origin + path, { method: "POST", headers, body: JSON.stringify(body) });
  assert.equal(response.status, 200);
}

const report = (agent, ...receipts) =>
  post("/v1/r", { v: 1, writeKey: KEY, plugin: "heap-web@1.0.0", revision: 1, rate: 0.25, sentAt: new Date(), receipts }, agent);

const track = (messageId, more = {}) =>
  post("/v1/t", { type: "track", event: "Order Completed", messageId, userId: "ada", writeKey: KEY,
    context: { library: { name: "analytics.js" } }, properties: { total: 42 }, _metadata: { bundled: ["heap-web"] }, ...more });

const of = (messageId, action, result, reason) => ({ messageId, action, result, reason, ms: 1 });
const times = (count, receipt) => Array.from({ length: count }, () => receipt);
const BLOCKED = { result: "failed", reason: "sdk_load_failed" };

/** The rate that pages are told. */
async function rate() {
  const response = await fetch(`${run.origin}/v1/projects/${KEY}/settings`);
  return (await response.json()).remotePlugins[0].settings.receipts.rate;
}

async function until(what, look) {
  for (const end = Date.now() + 20_000; Date.now() < end; ) {
    if (await look()) return;
    await new Promise((then) => setTimeout(then, 50));
  }
  throw new Error("waited in vain for " + what);
}

test("before any report the page says how to get one", async () => {
  await run.open("/integrations/web");
  await run.page.getByText("No page has reported yet").waitFor();
  await run.open("/integrations/silent");
  await run.page.getByText("the setting Receipts is 0").waitFor();
});

test("shares are reckoned from the sample, by browser, and the last errors tell what, when and where", async () => {
  const { page } = run;
  for (const id of ["m-sent", "m-skipped", "m-failed", "m-silent", "m-filtered"]) {
    await track(id, id == "m-filtered" ? { integrations: { All: false } } : {});
  }
  await report(CHROME, ...times(20, { result: "loaded" }), ...times(15, BLOCKED), of("m-sent", "track", "sent"));
  await report(FIREFOX, { result: "loaded" }, BLOCKED, { result: "failed", reason: "sdk_not_ready" },
    { result: "failed", reason: "other_environment" }, of("m-skipped", "track", "skipped", "consent"),
    of("m-failed", "track", "failed", "RangeError: <b>broken</b>"));
  await run.open("/integrations/web");
  const card = page.locator("section", { has: page.getByRole("heading", { name: "Heap's script in the pages" }) });
  // 21 of a quarter are 84; with 16 and 1 of all they are 101 pages.
  assert.match((await card.locator(".figures").innerText()).replace(/\s+/g, " "), /Pages 101 ran 83.2 % blocked 15.8 % failed 1 %/);
  const rows = (await card.locator("tbody tr").allInnerTexts()).map((text) => text.trim().replace(/\s+/g, " "));
  assert.deepEqual(rows, ["Chrome 95 84.2 % 15.8 % 0 %", "Firefox 6 66.7 % 16.7 % 16.7 %"]);
  assert.ok((await card.locator(".bars rect").count()) >= 3);
  await page.getByText("had Heap's script running for another environment").waitFor();
  const errors = page.locator("section", { has: page.getByRole("heading", { name: "Last errors" }) });
  const first = errors.locator("tbody tr").first();
  assert.match(await first.innerText(), /An exception: RangeError: <b>broken<\/b>[^]*track, Firefox[^]*heap-web@1\.0\.0/);
  await first.getByRole("link", { name: "the event" }).click();
  await page.waitForURL(/message=m-failed/);
});

test("an event's trace marks what the page says as the page's word", async () => {
  const { page } = run;
  for (const [id, word, verdict, said] of [
    ["m-sent", "sent", "On its way.", /handed it to the destination's script[^]*The page's word, which the server can't check: Chrome, heap-web@1\.0\.0, revision 1/],
    ["m-skipped", "skipped", "On its way.", /has not consented/],
    ["m-failed", "failed", "On its way.", /an exception: RangeError: <b>broken<\/b>/],
    ["m-silent", "no report", "On its way.", /The page reported nothing/],
    ["m-filtered", "filtered", "No action took it.", /Filtered in the page: All/],
  ]) {
    await run.open(`/events?message=${id}`);
    await page.getByRole("link", { name: "Order Completed" }).click();
    const told = page.locator("li.in-page").first();
    await told.waitFor();
    assert.equal(await told.locator(".tag").innerText(), word, id);
    assert.match(await told.innerText(), said, id);
    assert.ok(await told.getByText("in the page", { exact: true }).isVisible());
    // The cloud integration has no answer yet: a page's "sent" is no delivery.
    if (id != "m-filtered") await page.getByText(verdict, { exact: true }).waitFor();
  }
});

test("in lists an event that only its page delivers doesn't look forgotten", async () => {
  await post("/v1/t", { type: "track", event: "Quiet", messageId: "m-quiet", userId: "bob", writeKey: "wk_quiet" });
  await run.open("/events?message=m-quiet");
  await run.page.getByText("its page delivers it").waitFor();
});

test("both integrations of one environment warn of events that count twice", async () => {
  for (const [here, other] of [["web", "cloud"], ["cloud", "web"]]) {
    await run.open("/integrations/" + here);
    await run.page.getByText(`from "${other}", too: from the page and from the server, so that they count twice`).waitFor();
  }
});

test("the content security policy stands there to be copied", async () => {
  const { page, context, origin } = run;
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin });
  await run.open("/integrations/web");
  await page.locator("[data-copy='#policy-text']").click();
  await page.getByText("Copied").waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal(copied, `script-src 'nonce-RANDOM' ${origin} https://cdn.us.heap-api.com;\nconnect-src ${origin} https://c.us.heap-api.com;`);
});

test("while the integration's page is open, pages report everything; and it follows what they say", async () => {
  const { page } = run;
  await run.open("/events");
  await until("the sample", async () => (await rate()) === 0.25);
  await run.open("/integrations/web");
  await until("all of it", async () => (await rate()) === 1);
  await report(FIREFOX, of("m-silent", "track", "failed", "identity_refused"));
  await page.getByText("The user id names nobody.").first().waitFor();
  await run.open("/events");
  await until("the sample again", async () => (await rate()) === 0.25);
});

for (const width of [1280, 390]) {
  for (const scheme of ["light", "dark"]) {
    test(`at ${width} px, ${scheme}: nothing overflows, axe finds nothing serious`, async () => {
      const { page } = run;
      await page.setViewportSize({ width, height: width === 390 ? 844 : 860 });
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
      for (const path of ["/integrations/web", "/integrations/silent", "/events/1", "/events/4"]) {
        await run.open(path);
        if (SHOTS) {
          mkdirSync(SHOTS, { recursive: true });
          await page.screenshot({ path: `${SHOTS}/pages${path.replaceAll("/", "-")}-${width}-${scheme}.png`, fullPage: true });
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
  assert.deepEqual(run.broken, []);
});
