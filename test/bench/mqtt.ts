/**
 * The figures of the MQTT broker beside mosquitto on the same machine, in turn: a message from a publisher to one
 * subscriber, and to a hundred. `npm run bench -- mqtt`.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PartRow } from './part-row.ts'
import { freePort, median, ROUNDS, startRouter, stopRouter } from './subject.ts'

interface Subject {
  name: string
  port: number
  pid: number
  stop(): Promise<void>
}

const TICKS_PER_SECOND = 100
const TOPIC = 'bench/value'
const PAYLOAD = Buffer.alloc(32, '7')
const ROUND_TRIPS = 3000

async function ours(): Promise<Subject> {
  const port = await freePort()
  const bridge = `{ id: mqtt, kind: mqtt-broker, listen: ${port}, host: 127.0.0.1, webPath: "" }`
  const router = await startRouter(`bridges:\n  - ${bridge}\n`)
  await reachable(port)
  return { name: 'clasp-edge', port, pid: router.process.pid ?? 0, stop: () => stopRouter(router) }
}

async function mosquitto(): Promise<Subject | undefined> {
  if (spawnSync('which', ['mosquitto']).status !== 0) return undefined
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'clasp-mosquitto-'))
  const config = join(folder, 'mosquitto.conf')
  // Its queue of 1000 would drop what a fast publisher sends.
  writeFileSync(
    config,
    `listener ${port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nmax_queued_messages 0\n`,
  )
  const child: ChildProcess = spawn('mosquitto', ['-c', config], { stdio: 'ignore' })
  await reachable(port)
  return {
    name: 'mosquitto',
    port,
    pid: child.pid ?? 0,
    async stop() {
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      await gone
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function reachable(port: number): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy()
        resolve(true)
      })
      socket.on('error', () => resolve(false))
    })
    if (isOpen) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`nobody listens on port ${port}`)
}

/** As little of an MQTT 3.1.1 client as a load needs: it counts packets by type. */
class LoadClient {
  readonly socket: Socket
  readonly counts = new Map<number, number>()
  onPublish: (() => void) | null = null
  onAck: (() => void) | null = null
  private rest: Buffer = Buffer.alloc(0)
  private readonly waiting: { type: number; resolve: () => void }[] = []

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.read(chunk))
  }

  static async open(port: number, id: string): Promise<LoadClient> {
    const socket = connect(port, '127.0.0.1')
    await new Promise((resolve) => socket.once('connect', resolve))
    const client = new LoadClient(socket)
    const body = Buffer.concat([Buffer.from([0, 4]), Buffer.from('MQTT'), Buffer.from([4, 2, 0, 0, 0, id.length])])
    client.send(0x10, Buffer.concat([body, Buffer.from(id)]))
    await client.next(2)
    return client
  }

  async subscribe(qos: number): Promise<void> {
    const topic = Buffer.from(TOPIC)
    this.send(0x82, Buffer.concat([Buffer.from([0, 1, 0, topic.length]), topic, Buffer.from([qos])]))
    await this.next(9)
  }

  next(type: number): Promise<void> {
    return new Promise((resolve) => this.waiting.push({ type, resolve }))
  }

  private send(header: number, body: Buffer): void {
    this.socket.write(Buffer.concat([Buffer.from([header, body.length]), body]))
  }

  /** All packets of a load are shorter than 128 bytes. */
  private read(chunk: Buffer): void {
    const bytes = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk])
    let at = 0
    while (bytes.length - at >= 2 && bytes.length - at >= 2 + bytes[at + 1]) {
      const type = bytes[at] >> 4
      if (type === 3) {
        if ((bytes[at] & 6) === 2) this.acknowledge(bytes, at)
        this.onPublish?.()
      } else if (type === 4) this.onAck?.()
      const index = this.waiting.findIndex((one) => one.type === type)
      if (index >= 0) this.waiting.splice(index, 1)[0].resolve()
      at += 2 + bytes[at + 1]
    }
    this.rest = bytes.subarray(at)
  }

  private acknowledge(bytes: Buffer, at: number): void {
    const idAt = at + 4 + bytes.readUInt16BE(at + 2)
    this.socket.write(Buffer.from([0x40, 2, bytes[idAt], bytes[idAt + 1]]))
  }
}

function publishBytes(qos: number, id: number): Buffer {
  const topic = Buffer.from(TOPIC)
  const head = Buffer.concat([Buffer.from([0, topic.length]), topic])
  const body = qos === 0 ? [head, PAYLOAD] : [head, Buffer.from([id >> 8, id & 0xff]), PAYLOAD]
  const length = body.reduce((sum, part) => sum + part.length, 0)
  return Buffer.concat([Buffer.from([0x30 | (qos << 1), length]), ...body])
}

function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

async function roundTrips({ port }: Subject, qos: number): Promise<{ p50: number; p99: number }> {
  const [publisher, subscriber] = [await LoadClient.open(port, 'p'), await LoadClient.open(port, 's')]
  await subscriber.subscribe(qos)
  const times: number[] = []
  for (let i = 0; i < ROUND_TRIPS; i++) {
    const startedAt = performance.now()
    publisher.socket.write(publishBytes(qos, (i % 60_000) + 1))
    await subscriber.next(3)
    times.push((performance.now() - startedAt) * 1000)
  }
  publisher.socket.destroy()
  subscriber.socket.destroy()
  times.sort((a, b) => a - b)
  return { p50: times[ROUND_TRIPS / 2], p99: times[Math.floor(ROUND_TRIPS * 0.99)] }
}

/** With at most `window` messages that have not reached all subscribers. */
async function throughput(subject: Subject, subscribers: number, messages: number, window: number, qos: number) {
  const publisher = await LoadClient.open(subject.port, 'p')
  const listeners: LoadClient[] = []
  for (let i = 0; i < subscribers; i++) {
    const listener = await LoadClient.open(subject.port, `s${i}`)
    await listener.subscribe(qos)
    listeners.push(listener)
  }
  const cpu = cpuSeconds(subject.pid)
  const startedAt = performance.now()
  let sent = 0
  let delivered = 0
  await new Promise<void>((resolve) => {
    const pump = () => {
      const allowed = Math.min(messages, Math.floor(delivered / subscribers) + window)
      if (allowed <= sent || (allowed - sent < window / 4 && allowed < messages)) return
      const batch: Buffer[] = []
      for (; sent < allowed; sent++) batch.push(publishBytes(qos, (sent % 60_000) + 1))
      publisher.socket.write(Buffer.concat(batch))
    }
    for (const listener of listeners) {
      listener.onPublish = () => {
        delivered++
        if (delivered === messages * subscribers) resolve()
        else if (delivered % subscribers === 0) pump()
      }
    }
    pump()
  })
  const seconds = (performance.now() - startedAt) / 1000
  const cpuUs = ((cpuSeconds(subject.pid) - cpu) * 1e6) / delivered
  for (const { socket } of [publisher, ...listeners]) socket.destroy()
  return { perSecond: delivered / seconds, cpuUs }
}

/** All rows, each shown as it is measured: medians of rounds in turn, so that what else the machine does meets both. */
export async function benchMqtt(show: (row: PartRow) => void): Promise<void> {
  const subjects = [await ours()]
  const other = await mosquitto()
  if (other === undefined) {
    show({ name: 'MQTT: mosquitto', measured: 'not measured (apt install mosquitto)', target: '–' })
  } else subjects.push(other)
  const inTurn = async (
    what: string,
    measure: (subject: Subject) => Promise<number[]>,
    text: (all: number[]) => string,
  ) => {
    const figures = subjects.map((): number[][] => [])
    for (let round = 0; round < ROUNDS; round++) {
      for (const [at, subject] of subjects.entries()) figures[at].push(await measure(subject))
    }
    for (const [at, { name }] of subjects.entries()) {
      const medians = figures[at][0].map((_, column) => median(figures[at].map((row) => row[column])))
      show({ name: `MQTT, ${what}: ${name}`, measured: text(medians), target: '–' })
    }
  }
  try {
    // Compiled code is measured, as of a broker that has been at work.
    for (const subject of subjects) await throughput(subject, 1, 50_000, 1000, 0)
    await inTurn(
      'QoS 0, publisher → subscriber',
      async (subject) => {
        const { p50, p99 } = await roundTrips(subject, 0)
        return [p50, p99]
      },
      ([p50, p99]) => `p50 ${p50.toFixed(0)} µs, p99 ${p99.toFixed(0)} µs`,
    )
    for (const [what, subscribers, messages, window, qos] of [
      ['QoS 0, 1 → 1', 1, 200_000, 1000, 0],
      ['QoS 1, 1 → 1', 1, 50_000, 100, 1],
      ['QoS 0, 1 → 100', 100, 10_000, 100, 0],
    ] as const) {
      await inTurn(
        what,
        async (subject) => {
          const { perSecond, cpuUs } = await throughput(subject, subscribers, messages, window, qos)
          return [perSecond, cpuUs]
        },
        ([perSecond, cpuUs]) => `${Math.round(perSecond)} deliveries/s, ${cpuUs.toFixed(2)} µs CPU each`,
      )
    }
  } finally {
    for (const subject of subjects) await subject.stop()
  }
}
