// Who is let in and how, what strangers and lost visitors see, and what viewers don't.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { api, begin, furnish, send } from "./server.mjs";

const PUBLIC = "https://cdp.shop.example";

let run;
let key;
before(async () => {
  run = await begin({ settings: `[server]\npublicAddress = "${PUBLIC}"\n` });
  key = await furnish(run);
});
after(() => run?.end());

test("with a public https address, the cookie is for encrypted connections and set-ups name it", async () => {
  const answer = await fetch(run.link, { redirect: "manual" });
  assert.equal(answer.status, 303);
  const cookie = answer.headers.get("set-cookie");
  for (const part of ["HttpOnly", "SameSite=Lax", "Secure"]) assert.ok(cookie.includes(part), cookie);
  const session = cookie.split(";")[0];
  const page = await (await fetch(run.origin + "/sources/shop", { headers: { cookie: session } })).text();
  assert.ok(page.includes(`${PUBLIC}/v1/track`) && !page.includes(`${run.origin}/v1`));
});

test("a link that was used says what to do, and a token lets in", async () => {
  const { page } = run;
  await page.goto(run.link);
  const told = page.getByRole("alert");
  await told.getByText("heapline token create me --role admin").waitFor();
  await page.getByLabel("Token").fill("hlt_wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await told.getByText("There is no such token").waitFor();
  await page.getByLabel("Token").fill(run.token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Home" }).waitFor();
});

test("a session outlives the server; the link of an earlier start doesn't", async () => {
  const old = run.link;
  await run.page.locator(".live:not(.lost)").waitFor();
  await run.stop();
  await run.page.locator(".live.lost", { hasText: "Reconnecting…" }).waitFor();
  const fresh = await run.start();
  await run.page.locator(".live:not(.lost)", { hasText: "Live" }).waitFor();
  await run.open("/sources");
  await run.page.getByRole("heading", { name: "Sources" }).waitFor();
  const stranger = await run.browser.newContext();
  const page = await stranger.newPage();
  await page.goto(old);
  await page.getByText("This link lets nobody in any more.").waitFor();
  await page.goto(fresh);
  await page.getByRole("heading", { name: "Home" }).waitFor();
  await stranger.close();
});

test("lost visitors get a page with a way back, programs a problem", async () => {
  const { page } = run;
  for (const path of ["/nowhere", "/sources/none-such", "/events/999999", "/settings/history/77"]) {
    const answer = await run.open(path);
    assert.equal(answer.status(), 404, path);
    await page.getByRole("heading", { name: "There is no such page" }).waitFor();
    await page.getByRole("link", { name: "Home", exact: true }).waitFor();
  }
  await run.open("/sources");
  await run.open("/nowhere");
  await page.getByRole("button", { name: "Go back" }).click();
  await page.waitForURL(/\/sources$/);

  const stranger = await run.browser.newContext();
  const other = await stranger.newPage();
  assert.equal((await other.goto(run.origin + "/nowhere")).status(), 404);
  await other.getByRole("link", { name: "Go to the console" }).waitFor();
  assert.equal(await other.getByRole("link", { name: "Sources" }).count(), 0);
  await stranger.close();

  for (const [path, accept] of [["/nowhere", "*/*"], ["/api/v1/nowhere", "text/html"]]) {
    const answer = await fetch(run.origin + path, { headers: { accept, authorization: "Bearer " + run.token } });
    assert.equal(answer.status, 404, path);
    assert.equal(answer.headers.get("content-type"), "application/problem+json", path);
  }
});

test("a viewer sees everything but write keys, and changes nothing", async () => {
  const { token } = await api(run, "POST", "/tokens", { name: "onlooker", role: "viewer" });
  assert.equal(await send(run.origin, key, { type: "track", event: "Seen", userId: "ada", messageId: "v-1" }), 200);
  const context = await run.browser.newContext();
  const page = await context.newPage();
  await page.goto(run.origin + "/sign-in");
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Home" }).waitFor();
  const paths = [
    "/", "/sources", "/sources/shop", "/directory/heap", "/integrations/heap", "/integrations/heap/actions",
    "/integrations/heap/actions/trackEvent-1", "/integrations/heap/settings", "/integrations/heap/dead-letters",
    "/integrations/heap/replay", "/events", "/events/1", "/settings", "/settings/history", "/settings/history/2",
    "/settings/tokens", "/settings/audit",
  ];
  for (const path of paths) {
    await page.goto(run.origin + path);
    assert.ok(!(await page.content()).includes(key), `${path} tells the write key`);
    const forms = page.locator("main form[method=post] button:not([disabled]):not(.without-script)");
    const able = await forms.evaluateAll((all) => all.filter((b) => b.checkVisibility()).map((b) => b.textContent.trim()));
    assert.deepEqual(able.filter((text) => !["Condition", "Group", "Remove this condition", "Remove this group", "Check"].includes(text)), [], path);
  }
  await api(run, "DELETE", "/tokens/" + (await api(run, "GET", "/tokens"))[0].id);
  await page.goto(run.origin + "/sources");
  assert.match(page.url(), /\/sign-in/, "a revoked token ends its sessions");
  await context.close();
});
