// A server and a sandbox of its own, and a browser that is signed in.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const PROGRAM = process.env.HEAPLINE ?? new URL("../../../../target/debug/heapline", import.meta.url).pathname;

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function start(args, until) {
  const child = spawn(PROGRAM, args, { stdio: ["ignore", "pipe", "pipe"] });
  return new Promise((resolve, reject) => {
    let said = "";
    const hear = (bytes) => {
      said += bytes;
      const found = until.exec(said);
      if (found) resolve({ child, found });
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    child.once("exit", (code) => reject(new Error(`heapline ${args[0]} ended with ${code}: ${said}`)));
  });
}

/**
 * Everything that a test needs. `workspace` is a file, or the console holds the configuration;
 * `settings` are those that differ from the defaults; without `scripts` the browser runs none.
 */
export async function begin({ workspace, settings = "", scripts = true } = {}) {
  const data = mkdtempSync(join(tmpdir(), "heapline-console-"));
  const heap = `127.0.0.1:${await freePort()}`;
  const address = `127.0.0.1:${await freePort()}`;
  const sandbox = await start(["sandbox", "--listen", heap], /http:\/\//);
  const config = join(data, "settings.toml");
  writeFileSync(config, settings);
  const file = workspace ? ["--workspace", workspace] : [];
  const args = ["serve", "--data", data, "--listen", address, "--config", config, ...file];
  const serve = () => start(args, /console: (\S+)/);
  let server = await serve();
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, javaScriptEnabled: scripts });
  const page = await context.newPage();
  const broken = [];
  page.on("pageerror", (error) => broken.push(error.message));
  page.on("console", (message) => message.type() === "error" && broken.push(message.text()));
  const origin = `http://${address}`;
  return {
    origin,
    heap: `http://${heap}`,
    link: server.found[1],
    /** The token that always works. */
    token: JSON.parse(readFileSync(join(data, "admin.json"), "utf8")).token,
    data,
    browser,
    context,
    page,
    broken,
    open: (path) => page.goto(origin + path),
    /** Stops the server; `start` starts it again and gives its new link. */
    stop: () => stop(server),
    async start() {
      server = await serve();
      return server.found[1];
    },
    async end() {
      await browser.close();
      await Promise.all([server, sandbox].map(stop));
      rmSync(data, { recursive: true, force: true });
    },
  };
}

function stop({ child }) {
  child.removeAllListeners("exit");
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  return gone;
}

/** Makes a source and an integration with it, past the pages. Gives the write key. */
export async function furnish(run, kind = "node") {
  const { writeKey } = await api(run, "POST", "/sources", { id: "shop", name: "Shop", kind });
  await api(run, "POST", "/integrations", {
    id: "heap", name: "Heap", destination: "heap", sources: ["shop"], enabled: true,
    settings: { appId: "11", baseUrl: run.heap },
  });
  return writeKey;
}

/** Asks the admin API, with the token that always works. */
export async function api(run, method, path, body) {
  const response = await fetch(run.origin + "/api/v1" + path, {
    method,
    headers: { authorization: "Bearer " + run.token, "content-type": "application/json" },
    body: body && JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text && JSON.parse(text);
}

/** Sends one call with the key, as a client would. */
export async function send(origin, key, event) {
  const response = await fetch(`${origin}/v1/${event.type}`, {
    method: "POST",
    headers: { authorization: "Basic " + btoa(key + ":"), "content-type": "application/json" },
    body: JSON.stringify(event),
  });
  return response.status;
}
