/**
 * The figures of the OSC bridge: OSC in, SET, OSC out, over loopback UDP, with the built router in a process of its own,
 * beside a process in which node-osc hands on what it hears. `npm run bench -- osc`.
 */
import { spawn } from 'node:child_process'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { cpuSeconds } from './load.ts'
import type { PartRow } from './part-row.ts'
import { median, ROUNDS, startRouter, stopRouter } from './subject.ts'

const ADDRESSES = 1000
/** On their way at a time: what the socket buffers of a stock kernel hold. */
const WINDOW = 128
const MESSAGES = 60_000
const PACED_MESSAGES = 3000
/** Nothing arrived for so long: what is on its way was lost. */
const LOST_AFTER_MS = 250

const RELAY = `
import { Client, Server } from 'node-osc'
const client = new Client('127.0.0.1', Number(process.argv[1]))
const server = new Server(0, '127.0.0.1', () => console.log(server._sock.address().port))
server.on('message', (message) => client.send(message))`

interface Figures {
  messagesPerSecond: number
  cpuUs: number
  p50Us: number
  p99Us: number
  lost: number
}

export async function benchOsc(show: (row: PartRow) => void): Promise<void> {
  const ours: Figures[] = []
  const theirs: Figures[] = []
  // By turns, so that both meet the same machine.
  for (let round = 0; round < ROUNDS; round++) {
    ours.push(await throughRouter())
    theirs.push(await throughRelay())
  }
  show({
    name: 'OSC in → SET → OSC out, UDP',
    measured: summary(ours),
    target: '≤ 2 × the CPU of a relay with node-osc',
  })
  show({ name: 'yardstick: a process in which node-osc relays', measured: summary(theirs), target: '–' })
}

async function throughRouter(): Promise<Figures> {
  const load = await OscLoad.open()
  const listen = await freePort()
  const router = await startRouter(
    `bridges:\n  - {id: osc, kind: osc, listen: ${listen}, host: 127.0.0.1, targets: [{host: 127.0.0.1, port: ${load.port}}]}\n`,
  )
  try {
    return await load.measure(listen, router.process.pid ?? 0)
  } finally {
    load.close()
    await stopRouter(router)
  }
}

async function throughRelay(): Promise<Figures> {
  const load = await OscLoad.open()
  const relay = spawn(process.execPath, ['--input-type=module', '-e', RELAY, `${load.port}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    const [line] = (await once(createInterface({ input: relay.stdout }), 'line')) as [string]
    return await load.measure(Number(line), relay.pid ?? 0)
  } finally {
    load.close()
    relay.kill()
    await once(relay, 'exit')
  }
}

/** Sends numbered messages to one port and awaits them at another. */
class OscLoad {
  readonly port: number
  /** Two, for nobody is told what it sent itself. */
  private readonly sending: Socket
  private readonly hearing: Socket
  private readonly packets = Array.from({ length: ADDRESSES }, (_, i) => packetOf(`/bench/value${i}`))
  private readonly sentAt = new Float64Array(MESSAGES)
  private readonly latenciesUs: number[] = []
  private received = 0
  private wake: (() => void) | null = null

  private constructor(sending: Socket, hearing: Socket) {
    this.sending = sending
    this.hearing = hearing
    this.port = hearing.address().port
    hearing.on('message', (bytes) => {
      this.received++
      this.latenciesUs.push((performance.now() - this.sentAt[bytes.readInt32BE(bytes.length - 4)]) * 1000)
      this.wake?.()
    })
  }

  static async open(): Promise<OscLoad> {
    return new OscLoad(await openSocket(), await openSocket())
  }

  async measure(to: number, pid: number): Promise<Figures> {
    // Both compile what they run, and learn the addresses.
    await this.flood(to, MESSAGES / 4)
    const cpu = cpuSeconds(pid)
    const start = performance.now()
    const lost = await this.flood(to, MESSAGES)
    const seconds = (performance.now() - start) / 1000
    const arrived = MESSAGES - lost
    const cpuUs = ((cpuSeconds(pid) - cpu) * 1e6) / arrived
    this.latenciesUs.length = 0
    await this.paced(to)
    const sorted = this.latenciesUs.sort((a, b) => a - b)
    const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0
    return { messagesPerSecond: arrived / seconds, cpuUs, p50Us: at(0.5), p99Us: at(0.99), lost }
  }

  close(): void {
    this.sending.close()
    this.hearing.close()
  }

  /** As fast as they come back; returns how many did not. */
  private async flood(to: number, count: number): Promise<number> {
    let lost = 0
    this.received = 0
    for (let sent = 0; this.received + lost < count; ) {
      while (sent < count && sent - this.received - lost < WINDOW) this.send(to, sent++)
      const before = this.received
      await this.activity()
      if (this.received === before) lost = sent - this.received
    }
    return lost
  }

  /** One a millisecond. */
  private async paced(to: number): Promise<void> {
    this.received = 0
    const start = performance.now()
    for (let sent = 0; sent < PACED_MESSAGES; ) {
      if (performance.now() - start >= sent) this.send(to, sent++)
      await new Promise((resolve) => setImmediate(resolve))
    }
    while (this.received < PACED_MESSAGES) {
      const before = this.received
      await this.activity()
      if (this.received === before) return
    }
  }

  private send(to: number, number: number): void {
    // A copy, for the socket may hold on to it.
    const packet = Buffer.from(this.packets[number % ADDRESSES])
    packet.writeInt32BE(number, packet.length - 4)
    this.sentAt[number] = performance.now()
    this.sending.send(packet, to, '127.0.0.1')
  }

  private activity(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, LOST_AFTER_MS)
      this.wake = () => {
        clearTimeout(timer)
        this.wake = null
        resolve()
      }
    })
  }
}

/** A message with one int32 at its end. */
function packetOf(address: string): Buffer {
  const text = Buffer.from(address)
  return Buffer.concat([text, Buffer.alloc(4 - (text.length % 4)), Buffer.from(',i\0\0\0\0\0\0')])
}

async function openSocket(): Promise<Socket> {
  const socket = createSocket({
    type: 'udp4',
    recvBufferSize: 1_048_576,
    lookup: (address, _options, callback) => callback(null, address, 4),
  })
  // Where nothing is looked up it listens before bind() returns.
  const listening = once(socket, 'listening')
  socket.bind(0, '127.0.0.1')
  await listening
  return socket
}

async function freePort(): Promise<number> {
  const socket = await openSocket()
  const { port } = socket.address()
  socket.close()
  await once(socket, 'close')
  return port
}

function summary(results: readonly Figures[]): string {
  const pick = (key: keyof Figures) => median(results.map((result) => result[key]))
  const lost = Math.max(...results.map((result) => result.lost))
  const rate = `${Math.round(pick('messagesPerSecond')).toLocaleString('en')} msg/s`
  const cpu = `${pick('cpuUs').toFixed(1)} µs of CPU each`
  return `${rate}, ${cpu}; at 1000/s p50 ${Math.round(pick('p50Us'))} µs, p99 ${Math.round(pick('p99Us'))} µs; lost ${lost}`
}
