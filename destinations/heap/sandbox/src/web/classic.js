// The classic generation: window.heap is an array of [method, …arguments] until now.
var queue = window.heap || [];
var config = queue.config || {};
var user = device("_hp2_id", config.secureCookie);
var heap = { appid: queue.appid || ID, config: config };
var effects = { identify: user.identify, resetIdentity: user.reset };

[
  "track",
  "identify",
  "resetIdentity",
  "addUserProperties",
  "addEventProperties",
  "removeEventProperty",
  "clearEventProperties",
  "setEventProperties",
  "unsetEventProperty",
].forEach(function (method) {
  heap[method] = function () {
    var args = Array.prototype.slice.call(arguments);
    report("classic", method, args);
    if (effects[method]) effects[method].apply(null, args);
    heap.userId = user.get().userId;
    heap.identity = user.get().identity;
  };
});

heap.userId = user.get().userId;
heap.identity = user.get().identity;
window.heap = heap;
for (var i = 0; i < queue.length; i++) {
  var call = queue[i];
  if (call && typeof heap[call[0]] === "function") {
    heap[call[0]].apply(heap, Array.prototype.slice.call(call, 1));
  }
}
heap.loaded = true;
