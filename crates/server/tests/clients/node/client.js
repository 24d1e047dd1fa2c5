// Runs one Node client: `node client.js PACKAGE HOST six|COUNT`.
// `six` makes each of the six calls once; a number makes so many track calls, one every 10 ms.
// Prints the names of the events that the client itself reported as lost, as a JSON list.
'use strict';

const [packageName, host, what] = process.argv.slice(2);
const KEY = 'wk_server';
const lost = [];
let open = 0;

const clients = {
  '@customerio/cdp-analytics-node': () => fetchBased(),
  '@segment/analytics-node': () => fetchBased(),
  '@rudderstack/rudder-sdk-node': () => {
    const Analytics = require(packageName);
    const analytics = new Analytics(KEY, { dataPlaneUrl: host, errorHandler: () => {} });
    return { analytics, flush: () => analytics.flush(), close: () => {} };
  },
};

function fetchBased() {
  const { Analytics } = require(packageName);
  const analytics = new Analytics({ writeKey: KEY, host });
  analytics.on('error', () => {});
  return { analytics, flush: () => {}, close: () => analytics.closeAndFlush({ timeout: 120_000 }) };
}

const { analytics, flush, close } = clients[packageName]();

function call(method, message) {
  open += 1;
  analytics[method](message, (error) => {
    open -= 1;
    if (error) lost.push(message.event ?? method);
  });
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function main() {
  if (what === 'six') {
    const timestamp = new Date('2026-03-10T22:21:56.500Z');
    const userId = 'ada';
    call('track', { userId, event: 'Order Completed', timestamp, properties: { price: 9.5, items: [1, 2], note: 'Zoë 🚀' } });
    call('page', { userId, name: 'Pricing', timestamp, properties: { path: '/pricing' } });
    call('screen', { userId, name: 'Home', timestamp, properties: { tab: 2 } });
    call('identify', { userId, timestamp, traits: { plan: 'pro', address: { city: 'Paris' } } });
    call('group', { userId, groupId: 'g1', timestamp, traits: { seats: 3 } });
    call('alias', { userId, previousId: 'old', timestamp });
  } else {
    for (let number = 0; number < Number(what); number += 1) {
      call('track', { userId: 'ada', event: `E ${number}` });
      await pause(10);
    }
  }
  const closed = close();
  while (open > 0) {
    // A flush that fails has told the callbacks.
    await Promise.resolve(flush()).catch(() => {});
    await pause(20);
  }
  await closed;
  process.stdout.write(JSON.stringify(lost), () => process.exit(0));
}

main();
