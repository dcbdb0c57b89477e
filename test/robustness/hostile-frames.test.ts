/** Every malformed frame that is known, and many that chance makes, over every carrier, before and after HELLO. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { WebSocket } from 'ws'
import { encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import { type FrameVector, fromHex, loadVectors } from '../firmware-protocol/vectors.ts'
import { Bench, int, type Peer } from '../router/fixture.ts'
import { until } from '../until.ts'

interface Malformed {
  name: string
  hex: string
  layer: 'frame' | 'message'
  optional?: boolean
}

const HELLO: Message = { type: 'HELLO', version: 1, features: ['param'], name: 'hostile' }
const PING = encodeFrame({ type: 'PING' })
const PONG = Buffer.from(encodeFrame({ type: 'PONG' }))

/** Those that no decoder may accept. */
const vectors = loadVectors<Malformed[]>('malformed.json').filter(({ optional }) => optional !== true)

/** One connection of any carrier, on which nothing has been said. */
interface Line {
  write(frame: Uint8Array): void
  readonly isClosed: boolean
  /** PONGs received. */
  readonly pongs: number
  close(): void
}

class TcpLine implements Line {
  isClosed = false
  pongs = 0
  private readonly socket: Socket
  private readonly isPrefixed: boolean
  private tail = Buffer.alloc(0)

  constructor(socket: Socket, isPrefixed: boolean) {
    this.socket = socket
    this.isPrefixed = isPrefixed
    socket.on('error', () => {})
    socket.on('close', () => {
      this.isClosed = true
    })
    socket.on('data', (chunk) => {
      const bytes = Buffer.concat([this.tail, chunk])
      let at = 0
      for (let found = bytes.indexOf(PONG); found >= 0; found = bytes.indexOf(PONG, at)) {
        this.pongs++
        at = found + PONG.length
      }
      this.tail = bytes.subarray(Math.max(at, bytes.length - PONG.length + 1))
    })
  }

  write(frame: Uint8Array): void {
    const prefix = Buffer.alloc(4)
    prefix.writeUInt32BE(frame.length)
    this.socket.write(this.isPrefixed ? Buffer.concat([prefix, frame]) : frame)
  }

  close(): void {
    this.socket.destroy()
  }
}

class WebSocketLine implements Line {
  isClosed = false
  pongs = 0
  private readonly socket: WebSocket

  constructor(socket: WebSocket) {
    this.socket = socket
    socket.on('error', () => {})
    socket.on('close', () => {
      this.isClosed = true
    })
    socket.on('message', (data: Buffer) => {
      if (data.equals(PONG)) this.pongs++
    })
  }

  write(frame: Uint8Array): void {
    this.socket.send(frame)
  }

  close(): void {
    this.socket.terminate()
  }
}

async function connectTcp(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  return socket
}

const carriers: Record<string, (port: number) => Promise<Line>> = {
  'length-prefixed TCP': async (port) => new TcpLine(await connectTcp(port), true),
  'bare frames over TCP': async (port) => new TcpLine(await connectTcp(port), false),
  async WebSocket(port) {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, 'clasp')
    await once(socket, 'open')
    return new WebSocketLine(socket)
  },
}

describe('malformed frames', () => {
  let bench: Bench
  let bystander: Peer
  let lines: Line[] = []

  beforeEach(async () => {
    // A half frame is not wrong yet: it is the deadline that ends it.
    bench = await Bench.start({ options: { handshakeTimeoutMs: 1000 }, listen: { handshakeTimeoutMs: 1000 } })
    bystander = await bench.join('bystander')
    bystander.subscribe(1, '/bystander')
    await bystander.settle()
  })

  afterEach(async () => {
    for (const line of lines) line.close()
    lines = []
    await bench.stop()
  })

  async function open(carrier: string): Promise<Line> {
    const line = await carriers[carrier](bench.port)
    lines.push(line)
    return line
  }

  async function assertBystanderUnaffected(): Promise<void> {
    bystander.set('/bystander', int(1))
    const types = (await bystander.settle()).map(({ type }) => type)
    assert.deepEqual(types, ['SET', 'ACK'])
  }

  for (const carrier of Object.keys(carriers)) {
    test(`instead of HELLO over ${carrier} end the connection and nothing else`, async () => {
      for (const { hex } of vectors) {
        const line = await open(carrier)
        line.write(fromHex(hex))
      }
      await until(() => lines.every(({ isClosed }) => isClosed), 'the end of all those connections')
      assert.equal(bench.router.statistics.sessions, 1)
      assert.equal(bench.router.statistics.handshakes, 0)
      await assertBystanderUnaffected()
    })
  }

  for (const carrier of ['length-prefixed TCP', 'WebSocket']) {
    test(`after HELLO over ${carrier} are counted or refused, reach nobody, and the session goes on`, async () => {
      const listener = await bench.join('listener')
      listener.subscribe(1, '/**')
      const line = await open(carrier)
      line.write(encodeFrame(HELLO))
      for (const [i, { hex, name }] of vectors.entries()) {
        line.write(fromHex(hex))
        line.write(PING)
        await until(() => line.pongs === i + 1, `PONG after ${name}`)
        const { undecodable, errors } = bench.router.statistics
        const refused = Object.values(errors).reduce((sum, count) => sum + count, 0)
        assert.equal(undecodable + refused, i + 1, name)
      }
      assert.equal(line.isClosed, false)
      assert.deepEqual(await listener.settle(), [])
      assert.equal(bench.router.statistics.params, 0)
      await assertBystanderUnaffected()
    })
  }

  test('after HELLO over bare frames cost at most the bytes that they claim, and the session goes on', async () => {
    // Behind a frame that claims 65 535 bytes the stream is in step again after as many.
    const pings = Buffer.concat(Array.from({ length: 13_200 }, () => Buffer.from(PING)))
    for (const { hex, layer, name } of vectors) {
      const line = await open('bare frames over TCP')
      line.write(encodeFrame(HELLO))
      line.write(fromHex(hex))
      line.write(layer === 'frame' ? pings : PING)
      await until(() => line.pongs > 0, `PONG after ${name}`)
      assert.equal(line.isClosed, false, name)
      line.close()
    }
    assert.equal(bench.router.statistics.params, 0)
    await assertBystanderUnaffected()
  })

  for (const carrier of Object.keys(carriers)) {
    test(`of chance over ${carrier} do no harm`, async () => {
      const seeds = loadVectors<FrameVector[]>('frames.json').map(({ hex }) => fromHex(hex))
      const random = generator(20_260)
      const line = await open(carrier)
      line.write(encodeFrame(HELLO))
      for (let i = 0; i < 5000; i++) {
        const frame = Uint8Array.from(seeds[random(seeds.length)])
        for (let changes = 1 + random(3); changes > 0; changes--) frame[4 + random(frame.length - 4)] = random(256)
        // The length stays true, or the rest of the stream would go into one frame.
        line.write(frame)
      }
      line.write(PING)
      await until(() => line.pongs > 0, 'PONG')
      assert.equal(line.isClosed, false)
      assert.ok(bench.router.statistics.undecodable > 500, 'most of them are malformed')
      assert.equal(bench.router.statistics.sessions, 2)
      await assertBystanderUnaffected()
    })
  }
})

/** Linear congruential (Numerical Recipes): the same sequence in every run. */
function generator(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}
