/** Lines as they are found in the field: boot messages, wrong speeds, two devices with one identity. Real firmware. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { closeSync, constants, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { Client } from '../../runtime/client/client.ts'
import { silentLog } from '../../runtime/router/log.ts'
import { type Baud, Line } from '../line/line.ts'
import { until } from '../until.ts'
import { portFolder, Runtime, type RuntimeOptions } from './runtime-fixture.ts'
import { SimulatedNode, type SimulatedNodeOptions } from './simulated-node.ts'

const BASE_BAUD = 115_200
/** One that may be lost, one that may not, one that is written. */
const SIGNALS = ['level,f32,out+lossy', 'count,i32,out', 'lamp,bool,in']

/** A line with the router at its end b. */
async function lineToRouter(t: TestContext, baud: Baud, options: RuntimeOptions = {}, maxBaudRate = 0) {
  const folder = portFolder(t)
  const line = await Line.open({ a: join(folder, 'device'), b: join(folder, 'router'), baud }, t)
  const runtime = await Runtime.start(t, { serial: [{ port: line.b, maxBaudRate }], ...options })
  return { line, runtime }
}

/** What else comes out of the device's port: its boot loader, or something that is no device. */
async function inject(line: Line, bytes: Uint8Array): Promise<void> {
  const fd = openSync(line.a, constants.O_WRONLY | constants.O_NOCTTY | constants.O_NONBLOCK)
  try {
    const before = (await line.stats())['a->b'].carried
    writeSync(fd, bytes)
    for (let carried = before; carried < before + bytes.length; ) carried = (await line.stats())['a->b'].carried
  } finally {
    closeSync(fd)
  }
}

function device(line: Line, t: TestContext, options: Partial<SimulatedNodeOptions> = {}): Promise<SimulatedNode> {
  return SimulatedNode.start({ port: line.a, name: 'lined', signals: SIGNALS, ...options }, t)
}

async function watch(client: Client): Promise<Map<string, Value | undefined>> {
  const values = new Map<string, Value | undefined>()
  await client.subscribe(['/dev/lined/*'], ({ address, value }) =>
    values.set(address.slice('/dev/lined/'.length), value),
  )
  return values
}

function isValue(value: Value | undefined, expected: number): boolean {
  return value !== undefined && 'value' in value && value.value === expected
}

/** One that is not sent again arrives. */
async function passes(node: SimulatedNode, values: Map<string, Value | undefined>, number: number): Promise<void> {
  await node.command(`set level ${number}`)
  await until(() => isValue(values.get('level'), number), `level ${number}`)
}

test('boot messages in front of the first frame are told as text, and the device is found', async (t) => {
  const said: string[] = []
  const log = { ...silentLog, debug: (_message: string, fields?: object) => said.push(JSON.stringify(fields)) }
  const { line, runtime } = await lineToRouter(t, 0, { log })
  // What arrives while the port is being set up is thrown away.
  await runtime.shows(({ ports }) => ports[0].state === 'listening')
  await inject(line, Buffer.from('ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 (POWERON_RESET),boot:0x13\r\n'))
  await until(() => said.some((text) => text.includes('rst:0x1')), 'the message in the log')
  // And at the speed of its first boot stage, which this line does not have.
  await inject(line, Buffer.from('a5f3c0ff00db53dddc81c0c0ffffff53010100', 'hex'))
  await inject(line, Buffer.from('entry 0x400805f0\r\n'))
  const node = await device(line, t)
  await runtime.online()
  const values = await watch(await runtime.client())
  await passes(node, values, 1.5)
})

test('a line that is garbage at other speeds for a while works again with the next frame', async (t) => {
  const { line, runtime } = await lineToRouter(t, 'follow')
  const node = await device(line, t)
  await runtime.online()
  const values = await watch(await runtime.client())
  await passes(node, values, 0.5)
  for (const [i, baud] of [9600, 57_600, 230_400, 1_000_000].entries()) {
    await setSpeed(line.a, baud)
    const before = (await line.stats())['a->b'].garbled
    for (let k = 0; (await line.stats())['a->b'].garbled < before + 200; k++)
      await node.command(`set level ${-k - i * 1000}`)
    await setSpeed(line.a, BASE_BAUD)
    // Once the garbage has passed.
    while ((await line.stats())['a->b'].onWire > 0) await new Promise((resolve) => setTimeout(resolve, 2))
    await new Promise((resolve) => setTimeout(resolve, 50))
    await passes(node, values, i + 1)
  }
  const [report] = (await runtime.report()).devices
  const { crcErrors, malformed, losses } = report.counters
  t.diagnostic(`frames dropped ${crcErrors + malformed}, links lost ${losses}`)
  assert.ok(crcErrors + malformed > 0)
  assert.equal(losses, 0)
})

test('the speed of a line is raised to what device and port can do', async (t) => {
  const { line, runtime } = await lineToRouter(t, 'follow', { keepalive: 200 }, 1_000_000)
  const node = await device(line, t, { maxBaud: 1_500_000 })
  await node.until(({ baud }) => baud === 1_000_000)
  await runtime.shows(({ ports }) => ports[0].baudRate === 1_000_000 && ports[0].device !== undefined)
  const client = await runtime.client()
  const values = await watch(client)
  await passes(node, values, 2.5)
  await client.set('/dev/lined/lamp', { type: 'bool', value: true })
  await node.until(({ input, value }) => input === 'lamp' && value === true)
  assert.equal((await line.stats()).a.baud, 1_000_000)
  // It starts over at its first speed, as does the router, and both find back to the higher one.
  const from = node.happened.length
  await node.command('reset')
  await node.until(({ baud }) => baud === 1_000_000, from)
  await runtime.shows(({ ports, devices }) => ports[0].baudRate === 1_000_000 && devices[0].state === 'online')
  await passes(node, values, 3.5)
})

test('a speed that the line does not carry is given up for one that it carries', async (t) => {
  const { line, runtime } = await lineToRouter(t, 'follow', { keepalive: 200 }, 1_000_000)
  const node = await device(line, t, { maxBaud: 1_000_000 })
  const tooFast = 500_000
  let isBad = false
  let seen = 0
  const tried: number[] = []
  const follow = setInterval(() => {
    for (; seen < node.happened.length; seen++) {
      const { baud } = node.happened[seen]
      if (baud === undefined) continue
      tried.push(baud)
      if (baud > tooFast === isBad) continue
      isBad = baud > tooFast
      void line.setFaults('both', isBad ? { flip: 0.3 } : {})
    }
  }, 1)
  t.after(() => clearInterval(follow))
  await until(() => tried.at(-1) === tooFast, 'the speed that works', 30_000)
  await runtime.shows(({ ports, devices }) => ports[0].baudRate === tooFast && devices[0].state === 'online')
  const values = await watch(await runtime.client())
  await passes(node, values, 4.5)
  t.diagnostic(`speeds of the device: ${tried.join(', ')}`)
  assert.ok(tried.includes(1_000_000) && tried.includes(BASE_BAUD))
})

test('of two devices with one uid the newest counts, and they do not take turns', async (t) => {
  const folder = portFolder(t)
  const ports = ['one', 'two'].map((name) => join(folder, name))
  const uid = '00000000000000aa'
  const one = await SimulatedNode.start({ pty: ports[0], uid, name: 'lined', signals: SIGNALS }, t)
  const runtime = await Runtime.start(t, { serial: ports.map((port) => ({ port })) })
  await runtime.online()
  const client = await runtime.client()
  const values = await watch(client)
  await passes(one, values, 1)
  const two = await SimulatedNode.start({ pty: ports[1], uid, name: 'lined', signals: SIGNALS }, t)
  await two.online()
  await one.until(
    ({ state }) => state === 'announcing',
    one.happened.findIndex(({ state }) => state === 'running'),
  )
  await passes(two, values, 2)
  await client.set('/dev/lined/lamp', { type: 'bool', value: true })
  await two.until(({ input, value }) => input === 'lamp' && value === true)
  // The router looks every two seconds who is on a port.
  await new Promise((resolve) => setTimeout(resolve, 3000))
  const { devices } = await runtime.report()
  assert.deepEqual(
    devices.map(({ state, conflicts, port }) => [state, conflicts, port]),
    [['online', 1, ports[1]]],
  )
})

async function setSpeed(path: string, baud: number): Promise<void> {
  await promisify(execFile)('stty', ['-F', path, String(baud)])
}
