/** The form in which a PUBLISH is forwarded; router reference §3.3, §3.4, §4.5. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { DecodeError } from '../../firmware-protocol/wire/errors.ts'
import { decodeFrame, encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { Message, Publish } from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { Bench, bytes, float, int, nil, type Peer, text } from './fixture.ts'

describe('a forwarded PUBLISH', () => {
  let bench: Bench
  let sender: Peer
  let receiver: Peer

  beforeEach(async () => {
    bench = await Bench.start()
    sender = await bench.join('sender')
    receiver = await bench.join('receiver')
    receiver.subscribe(1, '/**')
    await receiver.settle()
  })

  afterEach(() => bench.stop())

  const address = '/pub'

  /** Forwards a message whose flags byte and value indicator are put in by hand. */
  async function forwarded(message: Publish, flags?: number): Promise<Publish> {
    const frame = encodeFrame(message)
    if (flags !== undefined) frame[5] = flags
    sender.sendFrame(frame)
    await sender.settle()
    const [arrived, ...rest] = await receiver.settle()
    assert.deepEqual(rest, [])
    assert.ok(arrived.type === 'PUBLISH')
    return arrived
  }

  test('has signal event when its signal is unknown, and phase start when its phase is', async () => {
    const message: Publish = { type: 'PUBLISH', address, signal: 'event', value: int(1) }
    for (const code of [5, 6, 7]) {
      const { signal, phase, value } = await forwarded(message, code << 5)
      assert.deepEqual([signal, phase, value], ['event', 'start', int(1)])
    }
    for (const phaseCode of [4, 5, 6, 7]) {
      const { signal, phase } = await forwarded(message, (2 << 5) | phaseCode)
      assert.deepEqual([signal, phase], ['stream', 'start'])
    }
  })

  test('of an unknown signal goes to those who want events, and to no others', async () => {
    const params = await bench.join('params')
    params.subscribe(1, '/**', { types: ['param', 'stream', 'gesture', 'timeline'] })
    const frame = encodeFrame({ type: 'PUBLISH', address, signal: 'event' })
    frame[5] = 7 << 5
    await params.settle()
    sender.sendFrame(frame)
    await sender.settle()
    assert.deepEqual(await params.settle(), [])
    assert.equal((await receiver.settle()).length, 1)
  })

  test('has 64-bit numbers, inside arrays and maps too, and keeps everything else as it was', async () => {
    const narrow: Value = {
      type: 'map',
      value: [
        ['a', { type: 'array', value: [{ type: 'i8', value: -5 }, { type: 'f32', value: 1.5 }, nil] }],
        ['b', { type: 'i16', value: 300 }],
        ['c', { type: 'i32', value: -70_000 }],
        ['d', text('x')],
        ['e', bytes(4)],
      ],
    }
    const { value, ...rest } = await forwarded({
      ...{ type: 'PUBLISH', address, signal: 'gesture', phase: 'end', value: narrow },
      ...{ timestamp: 99, id: 7, rate: 60 },
    })
    assert.deepEqual(value, {
      type: 'map',
      value: [
        ['a', { type: 'array', value: [int(-5), float(1.5), nil] }],
        ['b', int(300)],
        ['c', int(-70_000)],
        ['d', text('x')],
        ['e', bytes(4)],
      ],
    })
    assert.deepEqual(rest, {
      ...{ type: 'PUBLISH', address, signal: 'gesture', phase: 'end' },
      timestamp: 99,
      id: 7,
      rate: 60,
    })
  })

  test('keeps samples, and a message without a value has none', async () => {
    const samples: Publish = { type: 'PUBLISH', address, signal: 'stream', samples: [0, -1.5, 1e300], rate: 48_000 }
    assert.deepEqual(await forwarded(samples), { ...samples, phase: 'start' })
    const nothing: Publish = { type: 'PUBLISH', address, signal: 'timeline', id: 0 }
    assert.deepEqual(await forwarded(nothing), { ...nothing, phase: 'start' })
  })

  test('carries the QoS of its signal, whatever it came with, and never a frame timestamp', async () => {
    const flags: number[] = []
    receiver.socket.on('data', (chunk) => {
      for (let at = 0; at < chunk.length; at += 4 + chunk.readUInt32BE(at)) {
        if (chunk[at + 8] === 0x20) flags.push(chunk[at + 5])
      }
    })
    const signals = ['param', 'event', 'stream', 'gesture', 'timeline'] as const
    for (const signal of signals) {
      sender.sendFrame(encodeFrame({ type: 'PUBLISH', address, signal }, { qos: 2, timestamp: 5 }))
      await sender.settle()
      await receiver.settle()
    }
    assert.deepEqual(flags, [0x41, 0x41, 0x01, 0x01, 0x81])
  })

  test('is refused with 400 when its numbers would no longer fit, or its address is none', async () => {
    const wide: Value = {
      type: 'array',
      value: Array.from({ length: 20_000 }, () => ({ type: 'i8' as const, value: 1 })),
    }
    for (const [message, reason] of [
      [{ type: 'PUBLISH', address, signal: 'event', value: wide }, /too large/],
      [{ type: 'PUBLISH', address: '/a/*', signal: 'event' }, /address/],
      [{ type: 'PUBLISH', address: 'a', signal: 'event' }, /address/],
      [{ type: 'PUBLISH', address: '', signal: 'stream' }, /address/],
    ] as [Message, RegExp][]) {
      sender.send(message)
      const error = await sender.next('ERROR')
      assert.equal(error.code, 400)
      assert.match(error.message, reason)
    }
    assert.deepEqual(await receiver.settle(), [])
  })

  test('of the largest size arrives whole', async () => {
    const value = bytes(65_535 - 20)
    assert.deepEqual((await forwarded({ type: 'PUBLISH', address, signal: 'event', value })).value, value)
  })

  test('with four bytes left behind its fields has them as its rate, with fewer it has none', async () => {
    const frame = encodeFrame({ type: 'PUBLISH', address, signal: 'event', value: int(1) })
    for (const [extra, rate] of [
      [[0, 0, 0, 60], 60],
      [[0, 0, 60], undefined],
      [[0, 0, 0, 60, 9, 9], 60],
    ] as const) {
      const longer = Buffer.concat([frame, Buffer.from(extra)])
      longer.writeUInt16BE(frame.length - 4 + extra.length, 2)
      assert.ok(!(decodeFrame(longer) instanceof DecodeError))
      sender.sendFrame(longer)
      await sender.settle()
      const [arrived] = await receiver.settle()
      assert.deepEqual(arrived.type === 'PUBLISH' && [arrived.rate, arrived.value], [rate, int(1)])
    }
  })

  test('is not stored, and a late joiner hears nothing of it', async () => {
    for (const signal of ['param', 'event', 'stream', 'timeline'] as const) {
      sender.send({ type: 'PUBLISH', address, signal, value: int(1) })
    }
    await sender.settle()
    const late = await bench.connect()
    late.send({ type: 'HELLO', version: 1, features: [], name: 'late' })
    late.subscribe(1, '/**')
    const messages = await late.settle()
    assert.deepEqual(
      messages.map(({ type }) => type),
      ['WELCOME', 'SNAPSHOT'],
    )
    assert.equal(bench.router.statistics.params, 0)
  })

  test('never comes back to its sender, however it is subscribed, and once to everybody else', async () => {
    for (const peer of [sender, receiver]) {
      for (const [id, pattern] of ['/pub', '/*', '/**', '/p*'].entries()) peer.subscribe(id + 10, pattern)
    }
    sender.send({ type: 'PUBLISH', address, signal: 'event' })
    assert.deepEqual(await sender.settle(), [])
    assert.equal((await receiver.settle()).length, 1)
  })
})
