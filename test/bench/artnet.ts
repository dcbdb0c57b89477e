/**
 * The figures of the Art-Net bridge: 32 universes at 44 Hz in and out over loopback UDP, with the built router in a process
 * of its own. `npm run bench -- artnet`.
 */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { connect } from 'node:net'
import { decodeFrame, encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { dmxPacket, fillDmx } from '../../runtime/bridges/artnet/artnet-packet.ts'
import { cpuSeconds } from './load.ts'
import type { PartRow } from './part-row.ts'
import { HELLO, median, type Router, startRouter, stopRouter } from './subject.ts'

const PORT = 17_454
const [DESK, BRIDGE] = ['127.0.90.1', '127.0.90.2']
const UNIVERSES = 32
const RATE_HZ = 44
const PERIOD_MS = 1000 / RATE_HZ
const MEASURE_MS = 4000
const SETTLE_MS = 1000

const ALL = Array.from({ length: UNIVERSES }, (_, universe) => universe)

interface Arrivals {
  frames: number
  /** Sorted, of each universe, how far from the period, ms. */
  jitter: number[]
}

export async function benchArtNet(show: (row: PartRow) => void): Promise<void> {
  const work = `${UNIVERSES} × 512 channels at ${RATE_HZ} Hz`
  const inputs = ALL.map((universe) => `{ universe: ${universe}, mode: universe }`)
  const outputs = ALL.map((universe) => `{ universe: ${universe}, targets: [${DESK}] }`)
  const relays = ALL.map((universe) => `{ universe: ${universe + UNIVERSES}, relay: ${universe}, targets: [${DESK}] }`)
  show(await row(`Art-Net in, ${work}, as streams to a client`, `inputs: [${inputs}]`, desk))
  show(await row(`Art-Net out, ${work}, fades of all channels`, `outputs: [${outputs}]`, fade))
  show(await row(`Art-Net in and out, ${work}, relayed`, `inputs: [${inputs}], outputs: [${relays}]`, desk))
}

/** Starts what drives the bridge; returns a function that ends it. */
type Driver = (socket: Socket, send: (message: Message) => void) => () => void

async function row(name: string, options: string, drive: Driver): Promise<PartRow> {
  const router = await startRouter(
    `bridges: [{ id: a, kind: artnet, bind: ${BRIDGE}, port: ${PORT}, role: node, ${options} }]\n`,
  )
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  socket.bind(PORT, DESK)
  await once(socket, 'listening')
  socket.setRecvBufferSize(4_000_000)
  const client = await openClient(router)
  const arrivals = { measuring: false, streams: 0, times: new Map<number, number[]>() }
  client.onStream(() => {
    if (arrivals.measuring) arrivals.streams++
  })
  socket.on('message', (bytes) => {
    if (!arrivals.measuring || bytes.length < 530) return
    const universe = bytes[14]
    const times = arrivals.times.get(universe)
    if (times === undefined) arrivals.times.set(universe, [performance.now()])
    else times.push(performance.now())
  })
  const stop = drive(socket, client.send)
  await pause(SETTLE_MS)
  const cpu = cpuSeconds(router.process.pid ?? 0)
  const start = performance.now()
  arrivals.measuring = true
  await pause(MEASURE_MS)
  arrivals.measuring = false
  const seconds = (performance.now() - start) / 1000
  const share = (cpuSeconds(router.process.pid ?? 0) - cpu) / seconds
  stop()
  client.close()
  socket.close()
  await stopRouter(router)
  const measured = [`${(share * 100).toFixed(1)} % of a core`]
  if (arrivals.streams > 0) measured.push(`${(arrivals.streams / seconds / UNIVERSES).toFixed(1)} Hz in`)
  const { frames, jitter } = evaluate(arrivals.times)
  if (frames > 0) {
    measured.push(`${(frames / seconds / UNIVERSES).toFixed(1)} Hz out`)
    measured.push(
      `jitter p50 ${median(jitter).toFixed(2)} ms, p99 ${jitter[Math.floor(jitter.length * 0.99)].toFixed(2)} ms`,
    )
  }
  return { name, measured: measured.join(', '), target: '–' }
}

function evaluate(times: ReadonlyMap<number, readonly number[]>): Arrivals {
  const jitter: number[] = []
  let frames = 0
  for (const list of times.values()) {
    frames += list.length
    for (let i = 1; i < list.length; i++) jitter.push(Math.abs(list[i] - list[i - 1] - PERIOD_MS))
  }
  return { frames, jitter: jitter.sort((a, b) => a - b) }
}

/** A console: all universes, all slots changed, in each period. */
function desk(socket: Socket): () => void {
  const packets = ALL.map((universe) => dmxPacket(universe))
  const levels = new Uint8Array(512)
  let tick = 0
  const start = performance.now()
  let timer: NodeJS.Timeout | undefined
  const run = () => {
    levels.fill(tick++ & 255)
    for (const packet of packets) {
      fillDmx(packet, (tick % 255) + 1, levels)
      socket.send(packet, PORT, BRIDGE)
    }
    timer = setTimeout(run, start + tick * PERIOD_MS - performance.now())
  }
  run()
  return () => clearTimeout(timer)
}

/** Each universe fades up, all of its slots, for as long as is measured. */
function fade(_socket: Socket, send: (message: Message) => void): () => void {
  const to: Value = { type: 'bytes', value: new Uint8Array(512).fill(255) }
  const ms: Value = { type: 'i64', value: SETTLE_MS + MEASURE_MS + 500 }
  const payload: Value = {
    type: 'map',
    value: [
      ['to', to],
      ['ms', ms],
    ],
  }
  for (const universe of ALL) send({ type: 'PUBLISH', address: `/artnet/${universe}/fade`, signal: 'event', payload })
  return () => {}
}

async function openClient({ port }: Router) {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  let onStream = () => {}
  let rest: Buffer = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    while (rest.length >= 4) {
      const size = 4 + rest.readUInt16BE(2)
      if (rest.length < size) break
      const decoded = decodeFrame(rest.subarray(0, size))
      if ('message' in decoded && decoded.message.type === 'PUBLISH' && decoded.message.signal === 'stream') onStream()
      rest = rest.subarray(size)
    }
  })
  const send = (message: Message) => socket.write(encodeFrame(message))
  socket.write(HELLO)
  await once(socket, 'data')
  send({ type: 'SUBSCRIBE', id: 1, pattern: '/artnet/**', types: ['stream'] })
  return {
    send: (message: Message) => void send(message),
    onStream: (listener: () => void) => {
      onStream = listener
    },
    close: () => socket.destroy(),
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
