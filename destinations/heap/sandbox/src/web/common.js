// Shared by both generations: how calls are reported, and what little state a page has.
var script = document.currentScript;
var origin = script && script.src ? new URL(script.src).origin : location.protocol + "//" + HOST;
var page = Math.random().toString(36).slice(2) + Date.now().toString(36);
var count = 0;

function plain(key, value) {
  if (typeof value === "function") return "[function " + (value.name || "anonymous") + "]";
  if (typeof value === "bigint") return String(value);
  return value === undefined ? null : value;
}

function report(sdk, method, args) {
  var call = { sdk: sdk, app_id: ID, page: page, n: count++, url: location.href };
  call.method = method;
  call.args = args;
  var body;
  try {
    body = JSON.stringify(call, plain);
  } catch (error) {
    call.args = ["[not JSON: " + error.message + "]"];
    body = JSON.stringify(call);
  }
  // text/plain needs no preflight; keepalive outlives the page.
  fetch(origin + "/_sandbox/web-calls", {
    method: "POST",
    headers: { "content-type": "text/plain" },
    body: body,
    mode: "cors",
    credentials: "omit",
    keepalive: body.length < 60000,
  }).catch(function () {});
}

function randomId() {
  var words = crypto.getRandomValues(new Uint32Array(2));
  return String((words[0] & 0x1fffff) * 0x100000000 + words[1]);
}

// The user of this device, kept in Heap's cookie of the generation.
function device(cookie, secure) {
  var name = cookie + "." + ID;
  var user = { userId: randomId(), sessionId: randomId(), identity: null };
  document.cookie.split("; ").forEach(function (pair) {
    if (pair.indexOf(name + "=") !== 0) return;
    try {
      var kept = JSON.parse(decodeURIComponent(pair.slice(name.length + 1)));
      if (kept && kept.userId) user = kept;
    } catch (error) {
      // A cookie that isn't ours to read: a new user.
    }
  });
  function keep() {
    var value = encodeURIComponent(JSON.stringify(user));
    var attributes = "; path=/; max-age=34164000; samesite=lax" + (secure ? "; secure" : "");
    document.cookie = name + "=" + value + attributes;
  }
  keep();
  return {
    get: function () {
      return user;
    },
    identify: function (identity) {
      identity = String(identity);
      if (user.identity === identity) return;
      if (user.identity !== null) user = { userId: randomId(), sessionId: randomId() };
      user.identity = identity;
      keep();
    },
    reset: function () {
      if (user.identity === null || user.identity === undefined) return;
      user = { userId: randomId(), sessionId: randomId(), identity: null };
      keep();
    },
  };
}
