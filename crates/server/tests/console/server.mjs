// A server and a sandbox of its own, and a browser that is signed in.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
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

/** Everything that a test needs; `workspace` is a file, or the console holds the configuration. */
export async function begin({ workspace } = {}) {
  const data = mkdtempSync(join(tmpdir(), "heapline-console-"));
  const heap = `127.0.0.1:${await freePort()}`;
  const address = `127.0.0.1:${await freePort()}`;
  const sandbox = await start(["sandbox", "--listen", heap], /http:\/\//);
  const args = ["serve", "--data", data, "--listen", address, ...(workspace ? ["--workspace", workspace] : [])];
  const server = await start(args, /console: (\S+)/);
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 } });
  const page = await context.newPage();
  const broken = [];
  page.on("pageerror", (error) => broken.push(error.message));
  page.on("console", (message) => message.type() === "error" && broken.push(message.text()));
  const origin = `http://${address}`;
  return {
    origin,
    heap: `http://${heap}`,
    link: server.found[1],
    browser,
    context,
    page,
    broken,
    open: (path) => page.goto(origin + path),
    async end() {
      await browser.close();
      const ended = [server, sandbox].map(({ child }) => {
        child.removeAllListeners("exit");
        const gone = new Promise((resolve) => child.once("exit", resolve));
        child.kill("SIGTERM");
        return gone;
      });
      await Promise.all(ended);
      rmSync(data, { recursive: true, force: true });
    },
  };
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
