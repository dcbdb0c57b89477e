/**
 * The benchmark: the built router in a process of its own, a load generator in another (this file again, as a child), and
 * a bare Node relay that only copies bytes as the yardstick of the machine. Prints a table, or JSON with `--json`.
 */
import { spawn } from 'node:child_process'
import { connect, type Socket } from 'node:net'
import { cpus } from 'node:os'
import { benchArtNet } from './artnet.ts'
import { type DeviceLoad, runDeviceLoad } from './device-load.ts'
import { benchDevices } from './devices.ts'
import { benchDurable } from './durable.ts'
import { benchFirmware } from './firmware.ts'
import { type LoadOptions, type LoadResult, residentMb, runLoad } from './load.ts'
import { benchMqtt } from './mqtt.ts'
import { benchOsc } from './osc.ts'
import type { PartRow } from './part-row.ts'
import { HELLO, loadInChild, median, ROUNDS, startRouter, stopRouter } from './subject.ts'

interface Row {
  name: string
  target: string
  values: Record<string, number>
}

const base: LoadOptions = {
  port: 0,
  protocol: 'tcp',
  kind: 'set',
  subscribers: 1,
  publishers: 1,
  messages: 1_000_000,
  addresses: 1,
  window: 20_000,
  rate: 0,
  patterns: [['/bench/**']],
  deliveriesPerMessage: 1,
  pid: 0,
  timeoutMs: 60_000,
}

const scenarios: { name: string; target: string; load: Partial<LoadOptions> }[] = [
  { name: '1 → 1, SET, TCP', target: '≥ 700 k msg/s, ≤ 1.3 µs', load: {} },
  { name: '1 → 1, event, TCP', target: '≥ 1.2 M msg/s, ≤ 0.8 µs', load: { kind: 'event' } },
  {
    name: '1 → 100, SET, TCP',
    target: '≥ 3.5 M deliveries/s, ≤ 0.25 µs',
    load: { subscribers: 100, deliveriesPerMessage: 100, messages: 100_000, window: 4000 },
  },
  { name: '1 → 1, SET, WebSocket', target: '≥ 0.7 × TCP', load: { protocol: 'websocket' } },
  { name: '1 → 1, event, WebSocket', target: '≥ 0.7 × TCP', load: { protocol: 'websocket', kind: 'event' } },
  {
    name: '1 → 100, SET, WebSocket',
    target: '≥ 0.7 × TCP',
    load: { protocol: 'websocket', subscribers: 100, deliveriesPerMessage: 100, messages: 100_000, window: 4000 },
  },
  {
    name: '1 → 1, SET, 1000 addresses, 1 subscription',
    target: '–',
    load: { addresses: 1000 },
  },
  {
    name: '1 → 10 of 100, 10 000 subscriptions, 1000 addresses',
    target: '≤ 1.5 × one subscription (row above) per delivery',
    load: {
      addresses: 1000,
      subscribers: 100,
      // Subscriber i listens to 100 addresses of its own choice; every address has ten listeners.
      patterns: Array.from({ length: 100 }, (_, i) =>
        Array.from({ length: 100 }, (_, k) => `/bench/value${(i * 10 + k) % 1000}`),
      ),
      messages: 300_000,
      deliveriesPerMessage: 10,
      window: 10_000,
    },
  },
  {
    name: '1 → 10, 10 subscriptions, 1000 addresses',
    target: '–',
    load: { addresses: 1000, subscribers: 10, messages: 300_000, deliveriesPerMessage: 10, window: 10_000 },
  },
  { name: '1000 SET/s, latency, TCP', target: 'p50 ≤ 55 µs, p99 ≤ 1 ms', load: { rate: 1000, messages: 5000 } },
  {
    name: '1000 SET/s, latency, WebSocket',
    target: '–',
    load: { rate: 1000, messages: 5000, protocol: 'websocket' },
  },
]

/** Figures of parts, by the word that asks for them alone: `npm run bench -- firmware`. */
const PARTS: Readonly<Record<string, (show: (row: PartRow) => void) => Promise<void>>> = {
  durable: (show) => benchDurable(base, show),
  firmware: benchFirmware,
  devices: benchDevices,
  osc: benchOsc,
  mqtt: benchMqtt,
  artnet: benchArtNet,
}

async function main(): Promise<void> {
  const isJson = process.argv.includes('--json')
  const rows: Row[] = []
  const show = (row: Row) => {
    rows.push(row)
    if (!isJson) console.log(`| ${row.name} | ${format(row)} | ${row.target} |`)
  }
  if (!isJson) {
    console.log(
      `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, medians of ${ROUNDS} runs\n`,
    )
    console.log('| Work | Measured | To reach |\n|---|---|---|')
  }
  const others: PartRow[] = []
  const showOther = (row: PartRow) => {
    others.push(row)
    if (!isJson) console.log(`| ${row.name} | ${row.measured} | ${row.target} |`)
  }
  const wanted = Object.keys(PARTS).find((name) => process.argv.includes(name))
  if (wanted !== undefined) {
    await PARTS[wanted](showOther)
    if (isJson) console.log(JSON.stringify(others, null, 2))
    return
  }
  show(await relayReference())
  for (const { name, target, load } of scenarios) {
    const results: LoadResult[] = []
    for (let round = 0; round < ROUNDS; round++) results.push(await measure(load))
    show({ name, target, values: summary(results) })
  }
  show(await starting())
  show(await holding())
  for (const part of Object.values(PARTS)) await part(showOther)
  const machine = { node: process.version, cpu: cpus()[0]?.model }
  if (isJson) console.log(JSON.stringify({ ...machine, rows, others }, null, 2))
}

/** One run of one scenario against a fresh router, loaded from another process. */
async function measure(load: Partial<LoadOptions>): Promise<LoadResult> {
  const router = await startRouter()
  const options = { ...base, ...load, port: router.port, pid: router.process.pid ?? 0 }
  try {
    return await loadInChild(options)
  } finally {
    await stopRouter(router)
  }
}

function summary(results: LoadResult[]): Record<string, number> {
  const pick = (key: keyof LoadResult) => median(results.map((result) => result[key]))
  return {
    messagesPerSecond: pick('messagesPerSecond'),
    deliveriesPerSecond: pick('deliveriesPerSecond'),
    p50Us: pick('p50Us'),
    p99Us: pick('p99Us'),
    cpuUsPerDelivery: pick('cpuUsPerDelivery'),
    lost: Math.max(...results.map(({ lost }) => lost)),
    errors: Math.max(...results.map(({ errors }) => errors)),
  }
}

/** Bytes of the same size through a Node process that only copies them from one socket to another. */
async function relayReference(): Promise<Row> {
  const results: { framesPerSecond: number; p50Us: number; p99Us: number }[] = []
  for (let round = 0; round < ROUNDS; round++) results.push(await relayOnce())
  const pick = (key: 'framesPerSecond' | 'p50Us' | 'p99Us') => median(results.map((result) => result[key]))
  return {
    name: 'yardstick: a bare Node process that copies the same bytes; latency at 1000 frames/s',
    target: '–',
    values: { framesPerSecond: pick('framesPerSecond'), p50Us: pick('p50Us'), p99Us: pick('p99Us') },
  }
}

async function relayOnce(): Promise<{ framesPerSecond: number; p50Us: number; p99Us: number }> {
  const relay = spawn(process.execPath, [
    '-e',
    'let to;const s=require("net").createServer({noDelay:true},c=>{if(!to){to=c;return}c.on("data",d=>to.write(d))});s.listen(0,"127.0.0.1",()=>console.log(s.address().port))',
  ])
  const port = await new Promise<number>((resolve) => relay.stdout.once('data', (data) => resolve(Number(data))))
  const dial = () =>
    new Promise<Socket>((resolve) => {
      const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => resolve(socket))
    })
  const sink = await dial()
  // The relay has accepted the sink before the source when the source can only connect later.
  await new Promise((resolve) => setTimeout(resolve, 100))
  const source = await dial()
  const framesPerSecond = await relayThroughput(source, sink)
  const latencies = await relayLatencies(source, sink)
  source.destroy()
  sink.destroy()
  relay.kill()
  return {
    framesPerSecond,
    p50Us: latencies[Math.floor(latencies.length * 0.5)],
    p99Us: latencies[Math.floor(latencies.length * 0.99)],
  }
}

const RELAY_FRAME_BYTES = 42

async function relayThroughput(source: Socket, sink: Socket): Promise<number> {
  const total = 1024 * 1024 * RELAY_FRAME_BYTES
  let got = 0
  const start = performance.now()
  await new Promise<void>((resolve) => {
    sink.on('data', (data: Buffer) => {
      got += data.length
      if (got >= total) resolve()
    })
    const batch = Buffer.alloc(1024 * RELAY_FRAME_BYTES)
    let sent = 0
    const pump = () => {
      while (sent < total) {
        sent += batch.length
        if (!source.write(batch)) return source.once('drain', pump)
      }
    }
    pump()
  })
  sink.removeAllListeners('data')
  return total / RELAY_FRAME_BYTES / ((performance.now() - start) / 1000)
}

/** Sorted, in µs, of 3000 frames sent one a millisecond. */
async function relayLatencies(source: Socket, sink: Socket): Promise<number[]> {
  const latencies: number[] = []
  sink.on('data', (data: Buffer) => latencies.push((performance.now() - data.readDoubleBE(0)) * 1000))
  const start = performance.now()
  for (let sent = 0; sent < 3000; ) {
    if (performance.now() - start >= sent) {
      const frame = Buffer.alloc(RELAY_FRAME_BYTES)
      frame.writeDoubleBE(performance.now())
      source.write(frame)
      sent++
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
  return latencies.sort((a, b) => a - b)
}

/** Start to first WELCOME, and memory at rest beside that of a bare Node. */
async function starting(): Promise<Row> {
  const starts: number[] = []
  const idle: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const router = await startRouter()
    starts.push(router.startMs)
    await new Promise((resolve) => setTimeout(resolve, 1000))
    idle.push(residentMb(router.process.pid ?? 0))
    await stopRouter(router)
  }
  const bare = spawn(process.execPath, ['-e', 'setInterval(()=>{},1e6)'])
  await new Promise((resolve) => setTimeout(resolve, 1000))
  const bareMb = residentMb(bare.pid ?? 0)
  bare.kill()
  return {
    name: 'start to first WELCOME; memory at rest above bare Node',
    target: '≤ 250 ms; ≤ 15 MB',
    values: { startMs: median(starts), idleMbAboveNode: median(idle) - bareMb, idleMb: median(idle) },
  }
}

/** 100 000 params: memory above rest, and how soon a late joiner has them all. */
async function holding(): Promise<Row> {
  const count = 100_000
  const router = await startRouter()
  const before = residentMb(router.process.pid ?? 0)
  await loadInChild({
    ...base,
    port: router.port,
    subscribers: 0,
    deliveriesPerMessage: 0,
    messages: count,
    addresses: count,
    window: 10_000,
  })
  await new Promise((resolve) => setTimeout(resolve, 2000))
  const held = residentMb(router.process.pid ?? 0) - before
  const joins: number[] = []
  for (let round = 0; round < ROUNDS; round++) joins.push(await lateJoin(router.port, count))
  await stopRouter(router)
  return {
    name: '100 000 params held; late joiner has them',
    target: '≤ 60 MB; ≤ 1 s',
    values: { heldMb: held, lateJoinMs: median(joins) },
  }
}

function lateJoin(port: number, count: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const start = performance.now()
    const socket = connect(port, '127.0.0.1', () => socket.write(HELLO))
    let rest = Buffer.alloc(0)
    let got = 0
    socket.on('error', reject)
    socket.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk])
      while (rest.length >= 4 && rest.length >= 4 + rest.readUInt16BE(2)) {
        if (rest[4] === 0x23) got += rest.readUInt16BE(5)
        rest = rest.subarray(4 + rest.readUInt16BE(2))
      }
      if (got < count) return
      socket.destroy()
      resolve(performance.now() - start)
    })
  })
}

function format({ values }: Row): string {
  const parts: string[] = []
  const add = (key: string, text: (value: number) => string) => {
    if (values[key] !== undefined) parts.push(text(values[key]))
  }
  add('framesPerSecond', (value) => `${(value / 1000).toFixed(0)} k frames/s`)
  add('messagesPerSecond', (value) => `${(value / 1000).toFixed(0)} k msg/s`)
  add('deliveriesPerSecond', (value) => `${(value / 1000).toFixed(0)} k deliveries/s`)
  add('cpuUsPerDelivery', (value) => `${value.toFixed(3)} µs CPU per delivery`)
  add('p50Us', (value) => `p50 ${value.toFixed(0)} µs`)
  add('p99Us', (value) => `p99 ${value.toFixed(0)} µs`)
  add('lost', (value) => `lost ${value}`)
  add('startMs', (value) => `${value.toFixed(0)} ms`)
  add('idleMbAboveNode', (value) => `${value.toFixed(1)} MB above Node`)
  add('heldMb', (value) => `${value.toFixed(1)} MB`)
  add('lateJoinMs', (value) => `${value.toFixed(0)} ms`)
  return parts.join(', ')
}

if (process.argv.includes('--load')) {
  process.once('message', async (options) => {
    process.send?.(await runLoad(options as LoadOptions))
  })
} else if (process.argv.includes('--device-load')) {
  process.once('message', async (wanted) => {
    process.send?.(await runDeviceLoad(wanted as DeviceLoad))
    process.exit(0)
  })
} else {
  await main()
}
