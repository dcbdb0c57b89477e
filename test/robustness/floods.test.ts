/** Clients that send, or connect, as fast as they can. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterEach, describe, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import { Bench, int } from '../router/fixture.ts'
import { until } from '../until.ts'
import { heldBytes, MEGABYTE } from './memory.ts'

/** Runs in a thread of its own, so that the router's turns are not spent on sending to it. */
const FLOODER = `
  const { workerData: { port, hello, block, isReading } } = require('node:worker_threads')
  const socket = require('node:net').connect({ port, host: '127.0.0.1' })
  const pump = () => { while (socket.write(block)) ; }
  if (isReading) socket.resume()
  else socket.pause()
  socket.on('error', () => {})
  socket.on('drain', pump)
  socket.write(hello)
  pump()
`
const HELLO = prefixed({ type: 'HELLO', version: 1, features: ['param'], name: 'flooder' })

interface Flood {
  message: (i: number) => Message
  isReading: boolean
  /** What the router must have taken of it for the test to mean anything. */
  atLeast: number
}

const floods: Record<string, Flood> = {
  'SETs of one param': {
    message: (i) => ({ type: 'SET', address: '/flood', value: int(i) }),
    isReading: true,
    atLeast: 50_000,
  },
  'SETs of many params': {
    message: (i) => ({ type: 'SET', address: `/flood/${i}`, value: int(i) }),
    isReading: true,
    atLeast: 50_000,
  },
  'events to a subscriber': {
    message: (i) => ({ type: 'PUBLISH', address: '/heard', signal: 'event', value: int(i) }),
    isReading: true,
    atLeast: 50_000,
  },
  PINGs: { message: () => ({ type: 'PING' }), isReading: true, atLeast: 50_000 },
  SUBSCRIBEs: {
    message: (id) => ({ type: 'SUBSCRIBE', id, pattern: `/flood/*/${id}`, types: [] }),
    isReading: true,
    atLeast: 10_000,
  },
  'messages that it may not send': {
    message: () => ({ type: 'SET', address: '/$system/x', value: int(1) }),
    isReading: true,
    atLeast: 10_000,
  },
  'SETs whose ACKs it never reads': {
    message: (i) => ({ type: 'SET', address: '/flood', value: int(i) }),
    isReading: false,
    atLeast: 1000,
  },
}

describe('a flood', () => {
  let bench: Bench

  afterEach(() => bench.stop())

  for (const [what, { message, isReading, atLeast }] of Object.entries(floods)) {
    test(`of ${what} leaves another client’s PING answered and memory bounded`, async () => {
      bench = await Bench.start()
      const witness = await bench.join('witness')
      witness.subscribe(1, '/heard')
      await witness.settle()
      const before = heldBytes()
      const block = Buffer.concat(Array.from({ length: 2000 }, (_, i) => prefixed(message(i))))
      const flooder = new Worker(FLOODER, {
        eval: true,
        workerData: { port: bench.port, hello: HELLO, block, isReading },
      })
      const roundTripsMs: number[] = []
      try {
        const received = (): number =>
          Object.values(bench.router.statistics.messages).reduce((sum, count) => sum + count)
        await until(() => received() > 100, 'the start of the flood')
        const end = performance.now() + 1000
        const deadline = end + 20_000
        const isEnough = () => received() > atLeast && roundTripsMs.length > 5
        while (performance.now() < end || (!isEnough() && performance.now() < deadline)) {
          const sentAt = performance.now()
          await witness.settle()
          roundTripsMs.push(performance.now() - sentAt)
        }
        assert.ok(received() > atLeast, `a flood of ${received()} messages`)
        assert.ok(roundTripsMs.length > 5, `${roundTripsMs.length} round trips`)
        assert.ok(Math.max(...roundTripsMs) < 1000, `${Math.max(...roundTripsMs)} ms for a PING`)
      } finally {
        await flooder.terminate()
      }
      await until(() => bench.router.statistics.sessions === 1, 'the end of the flooder')
      // What it has heard meanwhile is its own affair.
      witness.inbox.length = 0
      const grownBytes = heldBytes() - before
      assert.ok(grownBytes < 16 * MEGABYTE, `${grownBytes} bytes more`)
    })
  }

  test('above a configured rate is refused and told, and the rest is served', async () => {
    bench = await Bench.start({ options: { maxMessagesPerSecond: 100 } })
    const flooder = await bench.join('flooder')
    for (let i = 0; i < 5000; i++) flooder.set('/flood', int(i))
    const replies = await flooder.settle()
    const acks = replies.filter(({ type }) => type === 'ACK').length
    assert.ok(acks >= 90 && acks <= 300, `${acks} of 5000 accepted`)
    assert.ok(replies.some((reply) => reply.type === 'ERROR' && reply.code === 429))
    assert.ok(replies.length - acks < 50, 'not every one of them is answered')
    const other = await bench.join('other')
    other.set('/calm', int(1))
    assert.deepEqual(
      (await other.settle()).map(({ type }) => type),
      ['ACK'],
    )
  })

  test('of 5000 connections: as many as the limit are served, the others told 503, and memory returns', async () => {
    bench = await Bench.start({ options: { maxSessions: 1000 } })
    await connectMany(bench.port, 200)
    await until(() => bench.router.statistics.sessions === 0, 'the end of the first ones')
    const before = heldBytes()
    const { welcomed, refused } = await connectMany(bench.port, 5000)
    assert.deepEqual({ welcomed, refused }, { welcomed: 1000, refused: 4000 })
    const { sessions, handshakes } = bench.router.statistics
    await until(() => bench.router.statistics.sessions === 0, `the end of ${sessions} sessions`)
    assert.equal(handshakes, 0)
    const grownBytes = heldBytes() - before
    assert.ok(grownBytes < 8 * MEGABYTE, `${grownBytes} bytes more`)
    const witness = await bench.join('witness')
    assert.deepEqual(await witness.settle(), [])
  })
})

function prefixed(message: Message): Buffer {
  const frame = encodeFrame(message)
  return Buffer.concat([Buffer.of(0, 0, frame.length >>> 8, frame.length & 0xff), frame])
}

/** Connects as fast as the machine can, says HELLO on every connection, and closes none before all have been answered. */
async function connectMany(port: number, count: number): Promise<{ welcomed: number; refused: number }> {
  let welcomed = 0
  let refused = 0
  const sockets = []
  for (let i = 0; i < count; i++) {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    sockets.push(socket)
    socket.on('error', () => {})
    socket.once('connect', () => socket.write(HELLO))
    socket.once('data', (first) => {
      if (first[8] === 0x02) welcomed++
      else if (first[8] === 0x51 && first.readUInt16BE(9) === 503) refused++
    })
    // Gives the router its turns: both ends live in this process.
    if (i % 500 === 499) await once(socket, 'connect')
  }
  await until(() => welcomed + refused === count, `${count} answers`).catch((error) => {
    throw new Error(`${error.message}: ${welcomed} welcomed, ${refused} refused`)
  })
  for (const socket of sockets) socket.destroy()
  return { welcomed, refused }
}
