/**
 * A load generator: publishers and subscribers on one router, driven from one event loop. It counts deliveries by stepping
 * over frame headers, so that its own cost stays far below the router's, and takes latencies from a stamp in the value.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'

export interface LoadOptions {
  port: number
  protocol: 'tcp' | 'bare' | 'websocket'
  kind: 'set' | 'event'
  subscribers: number
  publishers: number
  /** Messages to send in all. */
  messages: number
  /** Distinct addresses `/bench/value{n}`. */
  addresses: number
  /** Messages in flight at most; ignored with a rate. */
  window: number
  /** Messages per second, 0 = as fast as the window allows. */
  rate: number
  /** Patterns of each subscriber; the last list counts for all further ones. */
  patterns: string[][]
  deliveriesPerMessage: number
  /** The router's process, to account its CPU time. */
  pid: number
  timeoutMs: number
}

export interface LoadResult {
  sent: number
  delivered: number
  lost: number
  seconds: number
  messagesPerSecond: number
  deliveriesPerSecond: number
  p50Us: number
  p99Us: number
  cpuUsPerDelivery: number
  acks: number
  errors: number
}

const SET = 0x21
const PUBLISH = 0x20
const WELCOME = 0x02
const ACK = 0x50
const ERROR = 0x51

interface Peer {
  socket: Socket
  /** Bytes of a frame that the last read cut. */
  rest: Buffer
  isSubscriber: boolean
}

/** Runs one load to its end, or to its time-out. */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const run = new Load(options)
  try {
    return await run.run()
  } finally {
    run.close()
  }
}

class Load {
  private readonly options: LoadOptions
  private readonly peers: Peer[] = []
  private delivered = 0
  private acks = 0
  private errors = 0
  private welcomes = 0
  private pongs = 0
  private sent = 0
  private lastDeliveryAt = 0
  private readonly latencies: number[] = []
  private wake: (() => void) | null = null

  constructor(options: LoadOptions) {
    this.options = options
  }

  async run(): Promise<LoadResult> {
    const { subscribers, publishers } = this.options
    const publishing: Socket[] = []
    for (let i = 0; i < subscribers; i++) {
      const peer = await this.dial(true)
      const patterns = this.options.patterns[Math.min(i, this.options.patterns.length - 1)]
      patterns.forEach((pattern, p) => {
        this.send(peer.socket, subscribeFrame(p + 1, pattern))
      })
      this.send(peer.socket, frame(0x01, Buffer.from([0x41])))
    }
    for (let i = 0; i < publishers; i++) publishing.push((await this.dial(false)).socket)
    await this.until(() => this.pongs === subscribers)
    this.delivered = 0
    const { messages, deliveriesPerMessage } = this.options
    const expected = messages * deliveriesPerMessage
    const cpuBefore = cpuSeconds(this.options.pid)
    const start = performance.now()
    await this.publish(publishing, expected, start)
    const end = this.lastDeliveryAt > start ? this.lastDeliveryAt : performance.now()
    const cpu = cpuSeconds(this.options.pid) - cpuBefore
    const seconds = (end - start) / 1000
    const sorted = Float64Array.from(this.latencies).sort()
    const units = this.delivered > 0 ? this.delivered : this.acks
    return {
      sent: this.sent,
      delivered: this.delivered,
      lost: expected - this.delivered,
      seconds,
      messagesPerSecond: this.sent / seconds,
      deliveriesPerSecond: this.delivered / seconds,
      p50Us: sorted[Math.floor((sorted.length - 1) * 0.5)] ?? 0,
      p99Us: sorted[Math.floor((sorted.length - 1) * 0.99)] ?? 0,
      cpuUsPerDelivery: units === 0 ? 0 : (cpu * 1e6) / units,
      acks: this.acks,
      errors: this.errors,
    }
  }

  close(): void {
    for (const { socket } of this.peers) socket.destroy()
  }

  private async publish(sockets: Socket[], expected: number, start: number): Promise<void> {
    const { messages, window, rate, deliveriesPerMessage, timeoutMs } = this.options
    const templates = this.templates()
    const deadline = start + timeoutMs
    const isDone = () => (expected > 0 ? this.delivered >= expected : this.acks >= messages)
    while (!isDone() && performance.now() < deadline) {
      let can = messages - this.sent
      if (rate > 0) {
        can = Math.min(can, Math.floor(((performance.now() - start) / 1000) * rate) + 1 - this.sent)
      } else {
        const arrived = deliveriesPerMessage > 0 ? this.delivered / deliveriesPerMessage : this.acks
        can = Math.min(can, window - (this.sent - Math.floor(arrived)), 1024)
      }
      if (can > 0) {
        const socket = sockets[this.sent % sockets.length]
        socket.write(this.batch(templates, rate > 0 ? 1 : can))
        if (rate > 0) continue
      }
      // With a rate, stay awake: a timer would be later than the message.
      if (rate > 0) await new Promise((resolve) => setImmediate(resolve))
      else await this.activity()
      if (this.sent === messages && this.lastDeliveryAt > 0 && performance.now() - this.lastDeliveryAt > 2000) return
    }
  }

  /** One framed message per address, with 8 bytes for the stamp at its end. */
  private templates(): Buffer[] {
    const { addresses, kind } = this.options
    return Array.from({ length: addresses }, (_, i) => {
      const address = string(`/bench/value${i}`)
      const head =
        kind === 'set'
          ? [Buffer.from([SET, 0x05]), address]
          : [Buffer.from([PUBLISH, 0x20]), address, Buffer.from([1, 5])]
      return this.framed(frame(0x41, Buffer.concat([...head, Buffer.alloc(8)])))
    })
  }

  private batch(templates: Buffer[], count: number): Buffer {
    const parts = new Array<Buffer>(count)
    for (let i = 0; i < count; i++) parts[i] = templates[(this.sent + i) % templates.length]
    const bytes = Buffer.concat(parts)
    const stamp = Math.round(performance.now() * 1000)
    let at = 0
    for (const part of parts) {
      at += part.length
      bytes.writeUInt32BE(Math.floor(stamp / 2 ** 32), at - 8)
      bytes.writeUInt32BE(stamp % 2 ** 32, at - 4)
      if (this.options.protocol === 'websocket') mask(bytes, at - 8, at, part.length - MASKED_HEAD - 8)
    }
    this.sent += count
    return bytes
  }

  private async dial(isSubscriber: boolean): Promise<Peer> {
    const socket = connect({ host: '127.0.0.1', port: this.options.port, noDelay: true })
    const peer: Peer = { socket, rest: Buffer.alloc(0), isSubscriber }
    this.peers.push(peer)
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    if (this.options.protocol === 'websocket') await upgrade(socket, peer)
    socket.on('data', (chunk: Buffer) => this.read(peer, chunk))
    socket.on('close', () => this.wake?.())
    socket.on('error', () => {})
    const before = this.welcomes
    const name = string(isSubscriber ? 'subscriber' : 'publisher')
    this.send(socket, frame(0x01, Buffer.concat([Buffer.from([0x01, 1, 0xf8]), name, Buffer.from([0, 0])])))
    if (peer.rest.length > 0) this.read(peer, Buffer.alloc(0))
    await this.until(() => this.welcomes > before)
    return peer
  }

  private read(peer: Peer, chunk: Buffer): void {
    const bytes = peer.rest.length > 0 ? Buffer.concat([peer.rest, chunk]) : chunk
    const { protocol, kind } = this.options
    const stampAt = kind === 'set' ? 4 : 6
    let at = 0
    for (;;) {
      let head = protocol === 'tcp' ? 4 : 0
      if (protocol === 'websocket') {
        if (bytes.length - at < 2) break
        const short = bytes[at + 1]
        head = short < 126 ? 2 : short === 126 ? 4 : 10
      }
      const start = at + head
      if (bytes.length - start < 4) break
      if (bytes[start] !== 0x53) {
        // A WebSocket control frame: step over it.
        at = start + bytes[at + 1]
        continue
      }
      const end = start + 4 + bytes.readUInt16BE(start + 2)
      if (bytes.length < end) break
      const type = bytes[start + 4]
      if (type === SET || type === PUBLISH) {
        if (peer.isSubscriber) {
          this.delivered++
          if ((this.delivered & 63) === 0 || this.options.rate > 0) {
            const value = start + 4 + stampAt + bytes.readUInt16BE(start + 6)
            const stamp = bytes.readUInt32BE(value) * 2 ** 32 + bytes.readUInt32BE(value + 4)
            this.latencies.push(performance.now() * 1000 - stamp)
          }
        }
      } else if (type === ACK) this.acks++
      else if (type === WELCOME) this.welcomes++
      else if (type === 0x42) this.pongs++
      else if (type === ERROR) this.errors++
      at = end
    }
    peer.rest = at < bytes.length ? bytes.subarray(at) : Buffer.alloc(0)
    if (peer.isSubscriber || this.options.subscribers === 0) this.lastDeliveryAt = performance.now()
    this.wake?.()
  }

  private send(socket: Socket, bytes: Buffer): void {
    socket.write(this.framed(bytes))
  }

  private framed(bytes: Buffer): Buffer {
    if (this.options.protocol === 'bare') return bytes
    if (this.options.protocol === 'tcp') {
      const prefix = Buffer.alloc(4)
      prefix.writeUInt32BE(bytes.length)
      return Buffer.concat([prefix, bytes])
    }
    const head =
      bytes.length < 126
        ? Buffer.from([0x82, 0x80 | bytes.length])
        : Buffer.from([0x82, 0xfe, bytes.length >> 8, bytes.length])
    const masked = Buffer.from(bytes)
    mask(masked, 0, masked.length, 0)
    return Buffer.concat([head, MASK, masked])
  }

  private activity(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, 50)
      this.wake = () => {
        clearTimeout(timer)
        this.wake = null
        resolve()
      }
    })
  }

  private async until(condition: () => boolean): Promise<void> {
    const deadline = performance.now() + this.options.timeoutMs
    while (!condition()) {
      if (performance.now() > deadline) throw new Error('the router did not answer in time')
      await this.activity()
    }
  }
}

const MASK = Buffer.from([0x12, 0x34, 0x56, 0x78])
/** WebSocket header and mask in front of a short message. */
const MASKED_HEAD = 6

/** Masks `bytes[start, end)`, which stand at `position` in their message. */
function mask(bytes: Buffer, start: number, end: number, position: number): void {
  for (let i = start; i < end; i++) bytes[i] ^= MASK[position++ & 3]
}

function string(text: string): Buffer {
  const bytes = Buffer.from(text)
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length]), bytes])
}

function frame(flags: number, payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x53, flags, payload.length >> 8, payload.length]), payload])
}

function subscribeFrame(id: number, pattern: string): Buffer {
  const head = Buffer.from([0x10, id >>> 24, id >>> 16, id >>> 8, id])
  return frame(0x01, Buffer.concat([head, string(pattern), Buffer.from([0xff, 0])]))
}

async function upgrade(socket: Socket, peer: Peer): Promise<void> {
  socket.write(
    `GET /clasp HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: clasp\r\n\r\n`,
  )
  let reply = Buffer.alloc(0)
  while (!reply.includes('\r\n\r\n')) {
    reply = Buffer.concat([reply, await new Promise<Buffer>((resolve) => socket.once('data', resolve))])
  }
  if (!reply.toString('latin1').startsWith('HTTP/1.1 101')) throw new Error('no WebSocket upgrade')
  peer.rest = reply.subarray(reply.indexOf('\r\n\r\n') + 4)
}

/** CPU time that a process has used, from the kernel's account; 0 where there is none. */
export function cpuSeconds(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1].split(' ')
    return (Number(fields[11]) + Number(fields[12])) / 100
  } catch {
    return 0
  }
}

/** Resident memory of a process in MB. */
export function residentMb(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) / 1024
  } catch {
    return 0
  }
}
