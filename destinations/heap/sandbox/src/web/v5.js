// The fifth generation: window.heapReadyCb is an array of {name, fn} until now.
var heap = (window.heap = window.heap || {});
var config = heap.clientConfig || {};
var user = device("_hp5_meta", config.secureCookie);
var effects = {
  identify: user.identify,
  identifyHashed: user.identify,
  resetIdentity: user.reset,
  getUserId: function () {
    return user.get().userId;
  },
  getIdentity: function () {
    return user.get().identity;
  },
  getSessionId: function () {
    return user.get().sessionId;
  },
  onReady: function (callback) {
    if (typeof callback === "function") setTimeout(callback, 0);
  },
};

[
  "init",
  "startTracking",
  "stopTracking",
  "track",
  "resetIdentity",
  "identify",
  "identifyHashed",
  "getSessionId",
  "getUserId",
  "getIdentity",
  "addUserProperties",
  "addEventProperties",
  "removeEventProperty",
  "clearEventProperties",
  "addAccountProperties",
  "addAdapter",
  "addTransformer",
  "addTransformerFn",
  "onReady",
  "addPageviewProperties",
  "removePageviewProperty",
  "clearPageviewProperties",
  "trackPageview",
].forEach(function (method) {
  heap[method] = function () {
    var args = Array.prototype.slice.call(arguments);
    report("v5", method, args);
    return effects[method] ? effects[method].apply(null, args) : undefined;
  };
});

heap.envId = heap.envId || ID;
heap.serverConfig = {
  privacy: { disableTextCapture: false, enableSecureCookies: false },
  sdk: { version: "sandbox", isExperimentalVersion: false, domain: origin, plugins: [] },
  ingestServer: origin,
};
heap.init(heap.envId, config, heap.serverConfig);

function run(entry) {
  if (entry && typeof entry.fn === "function") entry.fn();
}
var queue = window.heapReadyCb || [];
window.heapReadyCb = { push: run };
for (var i = 0; i < queue.length; i++) run(queue[i]);
heap.loaded = true;
