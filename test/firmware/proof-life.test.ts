/** What happens to devices and routers in the field: they restart, hang, sleep, and are killed. Real firmware each time. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { Client } from '../../runtime/client/client.ts'
import { startRouter } from '../cli/run-cli.ts'
import { until } from '../until.ts'
import { portFolder, Runtime, type RuntimeOptions } from './runtime-fixture.ts'
import { SimulatedNode, type SimulatedNodeOptions } from './simulated-node.ts'

const KEEPALIVE_MS = 200
const LED = '/sim/led'

const bool = (value: boolean): Value => ({ type: 'bool', value })

/** A board with a lamp on a pseudo-terminal of its own, and a router that has it. */
async function board(t: TestContext, options: Partial<SimulatedNodeOptions> = {}, runtimeOptions: RuntimeOptions = {}) {
  const pty = join(portFolder(t), 'tty')
  const node = await SimulatedNode.start({ pty, name: 'board', ...options }, t)
  const runtime = await Runtime.start(t, { serial: [{ port: pty }], keepalive: KEEPALIVE_MS, ...runtimeOptions })
  await runtime.online()
  const client = await runtime.client()
  return { pty, node, runtime, client }
}

/** The last values of a pattern, as the router tells them. */
async function watch(client: Client, pattern: string): Promise<Map<string, Value | undefined>> {
  const values = new Map<string, Value | undefined>()
  await client.subscribe([pattern], ({ address, value }) => values.set(address, value))
  return values
}

function linkState(value: Value | undefined, key: string): unknown {
  if (value?.type !== 'map') return undefined
  const entry = value.value.find(([name]) => name === key)?.[1]
  return entry !== undefined && 'value' in entry ? entry.value : undefined
}

/** Switches the lamp, and waits for the device to have it. */
async function switchLed(client: Client, node: SimulatedNode, isOn: boolean): Promise<void> {
  const from = node.happened.length
  await client.set(LED, bool(isOn))
  await node.until(({ input, value }) => input === LED && value === isOn, from)
}

test('a device that is reset is online again at once, and gets the state that the router holds', async (t) => {
  const { node, runtime, client } = await board(t)
  await switchLed(client, node, true)
  const from = node.happened.length
  await node.command('reset')
  const initial = await node.until(({ input, why }) => input === LED && why === 'initial', from)
  assert.equal(initial.value, true)
  await runtime.shows(({ devices }) => devices[0].state === 'online' && devices[0].counters.announces >= 2)
  await switchLed(client, node, false)
  const { devices } = await runtime.report()
  assert.deepEqual([devices.length, devices[0].conflicts], [1, 0])
})

test('a device that hangs is told offline within 3.5 keep-alives, and comes back when it runs again', async (t) => {
  const { node, client } = await board(t)
  const values = await watch(client, '/dev/board/**')
  const isOnline = () => linkState(values.get('/dev/board/$link'), 'online')
  await until(() => isOnline() === true, 'the device online')
  await node.command('mute')
  const mutedAt = performance.now()
  await until(() => isOnline() === false, 'the device offline')
  const tookMs = performance.now() - mutedAt
  t.diagnostic(`offline after ${tookMs.toFixed(0)} ms, keep-alive ${KEEPALIVE_MS} ms`)
  assert.ok(tookMs > 2 * KEEPALIVE_MS && tookMs < 3.5 * KEEPALIVE_MS + 3000)
  await node.command('unmute')
  await until(() => isOnline() === true, 'the device online again')
  await switchLed(client, node, true)
})

test('a router that restarts finds its devices, and they what they had', async (t) => {
  const { pty, node, runtime, client } = await board(t)
  await switchLed(client, node, true)
  await runtime.stop()
  const fallen = await node.until(({ input, why }) => input === LED && why === 'fellBack')
  assert.equal(fallen.value, false)
  const from = node.happened.length
  const again = await Runtime.start(t, { serial: [{ port: pty }], keepalive: KEEPALIVE_MS })
  await again.online()
  await node.until(({ state }) => state === 'running', from)
  const other = await again.client()
  // The router has forgotten, so what the device tells counts: its lamp is off.
  const values = await watch(other, '/sim/**')
  await until(() => values.has(LED) && values.has('/sim/temperature'), 'the signals of the device')
  assert.deepEqual(values.get(LED), bool(false))
  await switchLed(other, node, true)
})

test('when the router is killed the device falls back to its safe state', async (t) => {
  const pty = join(portFolder(t), 'tty')
  const node = await SimulatedNode.start({ pty, name: 'board' }, t)
  const router = await startRouter(
    t,
    `
listen: {host: 127.0.0.1, port: 0, udp: false}
discovery: {mdns: false, broadcast: false}
simulate: false
firmware: {keepalive: ${KEEPALIVE_MS} ms, serial: [{port: ${pty}}]}
`,
  )
  await node.online()
  const { connect } = await import('../../runtime/client/connect.ts')
  const client = await connect(router.url)
  await switchLed(client, node, true)
  router.child.kill('SIGKILL')
  const killedAt = performance.now()
  const fallen = await node.until(({ input, why }) => input === LED && why === 'fellBack')
  const tookMs = performance.now() - killedAt
  t.diagnostic(`safe after ${tookMs.toFixed(0)} ms, keep-alive ${KEEPALIVE_MS} ms`)
  assert.equal(fallen.value, false)
  assert.ok(tookMs < 3.5 * KEEPALIVE_MS + 3000)
})

test('a device that sleeps keeps its session, and finds what was written meanwhile when it wakes', async (t) => {
  const { node, runtime, client } = await board(t, { sleepy: true }, { grace: 100 })
  const values = await watch(client, '/dev/board/**')
  await node.command('sleep 60')
  await node.until(({ state }) => state === 'asleep')
  await runtime.shows(({ devices }) => devices[0]?.state === 'asleep')
  await until(() => linkState(values.get('/dev/board/$link'), 'asleep') === true, 'the sleep in $link')
  await client.set(LED, bool(true))
  const from = node.happened.length
  // Far longer than the grace of a device that did not say that it sleeps.
  await new Promise((resolve) => setTimeout(resolve, 500))
  assert.ok((await runtime.status()).sessions.some(({ name }) => name === 'board'))
  await node.command('wake')
  await node.until(({ input, value }) => input === LED && value === true, from)
  await runtime.online()
  await switchLed(client, node, false)
})
