// Plays pages that load the sandbox's scripts, without a browser: a window with just what they
// touch. Its posts are real. Prints what the pages saw, as JSON.
"use strict";
const vm = require("node:vm");

const origin = `http://127.0.0.1:${process.argv[2]}`;

async function load(path, prepare) {
  const src = origin + path;
  const answer = await fetch(src);
  const posts = [];
  const page = {
    document: { currentScript: { src }, cookie: "" },
    location: { href: "https://shop.example/", protocol: "https:" },
    URL,
    crypto,
    setTimeout,
    fetch: (url, options) => {
      const post = fetch(url, options);
      posts.push(post);
      return post;
    },
  };
  page.window = page;
  prepare(page);
  vm.createContext(page);
  vm.runInContext(await answer.text(), page);
  const headers = answer.headers.get("access-control-allow-origin");
  return { page, headers, type: answer.headers.get("content-type"), posts };
}

async function classic() {
  const loaded = await load("/js/heap-11.js", (page) => {
    page.heap = [
      ["track", "Early", { n: 1 }],
      ["identify", "ada"],
    ];
    page.heap.appid = "11";
    page.heap.config = { secureCookie: true };
  });
  const { heap } = loaded.page;
  heap.track("Late", { list: [1, null, undefined], fn() {} });
  await Promise.all(loaded.posts);
  return {
    loaded: heap.loaded,
    appid: heap.appid,
    identity: heap.identity,
    push: typeof heap.push,
    cookie: loaded.page.document.cookie.replace(/=[^;]*/, ""),
    cors: loaded.headers,
    type: loaded.type,
  };
}

async function v5() {
  const early = {};
  const loaded = await load("/config/11/heap_config.js", (page) => {
    page.heap = [];
    page.heap.envId = "11";
    page.heap.clientConfig = { disableTextCapture: true };
    const later = (name, args) => ({
      name,
      fn: () => page.heap[name] && page.heap[name].apply(page.heap, args),
    });
    page.heapReadyCb = [
      later("identify", ["ada"]),
      later("track", ["Early", { n: 1 }]),
      { name: "getIdentity", fn: () => (early.identity = page.heap.getIdentity()) },
    ];
  });
  const { heap, heapReadyCb } = loaded.page;
  heapReadyCb.push({ name: "addUserProperties", fn: () => heap.addUserProperties({ plan: "pro" }) });
  const before = heap.getUserId();
  heap.resetIdentity();
  const after = heap.getUserId();
  await Promise.all(loaded.posts);
  return {
    loaded: heap.loaded,
    early: early.identity,
    identity: heap.getIdentity(),
    reset: before !== after,
    ingestServer: heap.serverConfig.ingestServer === origin,
    cookie: loaded.page.document.cookie.replace(/=[^;]*/, ""),
    cors: loaded.headers,
  };
}

(async () => {
  const results = { classic: await classic(), v5: await v5() };
  console.log(JSON.stringify(results));
})();
