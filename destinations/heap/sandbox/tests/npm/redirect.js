// Sends what is meant for https://heapanalytics.com to the sandbox, below the client, which stays
// as it was published: the host is fixed in its source.
"use strict";
const http = require("node:http");
const https = require("node:https");

const HOST = "heapanalytics.com";

module.exports = function redirect(port) {
  https.request = function (options, callback) {
    const host = options.hostname || options.host;
    if (host !== HOST) throw new Error(`the client wants ${host}; only ${HOST} is expected`);
    return http.request(
      {
        host: "127.0.0.1",
        port,
        method: options.method,
        path: options.path,
        headers: options.headers,
        agent: false,
      },
      callback,
    );
  };
};
