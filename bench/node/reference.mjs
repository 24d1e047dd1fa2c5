// Plans events with the public implementation of the same actions, and says what that cost.
//
// Usage: node reference.mjs whole|bare EVENTS.jsonl
// Each line on standard input is a number of events to plan; the answer is one line of JSON:
// {"events","requests","failed","cpuUs"}. `whole` is an event as it comes in production, up to the
// request that would leave; `bare` puts a JSON.stringify of the body in place of the request client.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)
// By their files: the packages' exports don't name these modules.
const load = (path) => require(fileURLToPath(new URL(`node_modules/@segment/${path}`, import.meta.url)))
const [mode, file] = process.argv.slice(2)
const lines = readFileSync(file, 'utf8').trim().split('\n')

let requests = 0
const fetching = load('actions-core/dist/cjs/fetch.js')
fetching.default = async () => {
  requests += 1
  return new fetching.Response('{}', { status: 200, headers: { 'content-type': 'application/json' } })
}
if (mode === 'bare') {
  const clients = load('actions-core/dist/cjs/create-request-client.js')
  clients.default = () => async (_url, options) => {
    requests += 1
    return { ok: true, status: 200, data: {}, content: JSON.stringify(options?.json) }
  }
} else if (mode !== 'whole') {
  throw new Error(`expected whole or bare, found ${mode}`)
}

const { Destination } = load('actions-core/dist/cjs/index.js')
const definition = load('action-destinations/dist/destinations/heap/index.js').default
const destination = new Destination(definition)
// As shipped, a user id never reaches Heap's identity; Heapline's preset maps it, so map it here.
const subscriptions = definition.presets.map((preset, at) =>
  at === 0 ? { ...preset, mapping: { ...preset.mapping, identity: { '@path': '$.userId' } } } : preset
)
const settings = { appId: '11', region: 'US', subscriptions }

let next = 0
async function plan(count) {
  requests = 0
  let failed = 0
  const before = process.cpuUsage()
  for (let n = 0; n < count; n++) {
    const event = JSON.parse(lines[next++ % lines.length])
    try {
      await destination.onEvent(event, settings)
    } catch {
      failed += 1
    }
    // It keeps every response for ever; a host of it has to do this, too.
    if (n % 200 === 199) destination.responses.length = 0
  }
  destination.responses.length = 0
  const used = process.cpuUsage(before)
  return { events: count, requests, failed, cpuUs: used.user + used.system }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await plan(Number(line))) + '\n')
}
