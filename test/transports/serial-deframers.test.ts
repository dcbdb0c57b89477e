import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { Message, Signal } from '../../firmware-protocol/wire/message.ts'
import { OutputBuffer } from '../../runtime/router/output.ts'
import { RawReceiver, type RawReceiverOptions, type SerialCounters } from '../../runtime/transports/raw-serial.ts'
import { SlipReceiver, slipEncode } from '../../runtime/transports/slip.ts'
import { hex, unhex } from './fixture.ts'

interface Receiver {
  readonly counters: SerialCounters
  receive(chunk: Uint8Array, nowMs: number): void
  expire(nowMs: number): void
}
type Maker = new (
  options: RawReceiverOptions,
  onFrame: (bytes: Uint8Array, start: number, end: number) => void,
  onText?: (line: string) => void,
) => Receiver

/** A receiver with what it found. */
class Line {
  readonly frames: string[] = []
  readonly texts: string[] = []
  readonly receiver: Receiver
  nowMs = 1000

  constructor(Kind: Maker, options: RawReceiverOptions = {}) {
    this.receiver = new Kind(
      options,
      (bytes, start, end) => this.frames.push(hex(bytes.subarray(start, end))),
      (text) => this.texts.push(text),
    )
  }

  get counters(): SerialCounters {
    return this.receiver.counters
  }

  feed(...parts: (Uint8Array | string)[]): this {
    for (const part of parts)
      this.receiver.receive(typeof part === 'string' ? Buffer.from(part, 'latin1') : part, this.nowMs)
    return this
  }

  /** Time passes in silence. */
  wait(ms: number): this {
    this.nowMs += ms
    this.receiver.expire(this.nowMs)
    return this
  }
}

const HELLO = unhex('53 01 00 0C 01 01 F8 00 05 45 53 50 33 32 00 00')
const PING = unhex('53 01 00 01 41')
const BOOT = 'ets Jun  8 2016 00:22:57\r\nrst:0x1 (POWERON_RESET),boot:0x13\r\nStarting... SSID=x\r\n'

function slip(frame: Uint8Array): Uint8Array {
  const out = new OutputBuffer(4)
  slipEncode(frame, 0, frame.length, out)
  return out.detach()
}
/** As devices send it: END only behind the frame. */
const trailing = (frame: Uint8Array) => slip(frame).subarray(1)

const address = fc
  .array(fc.stringMatching(/^[a-zS]{1,8}$/), { minLength: 1, maxLength: 4 })
  .map((segments) => `/${segments.join('/')}`)
const message: fc.Arbitrary<Message> = fc.oneof(
  fc.record({
    type: fc.constant('SET' as const),
    address,
    value: fc.double().map((value) => ({ type: 'f64' as const, value })),
  }),
  fc.record({
    type: fc.constant('SET' as const),
    address,
    // END, ESC and the magic are what can confuse.
    value: fc
      .array(fc.constantFrom(0xc0, 0xdb, 0xdc, 0xdd, 0x53, 0x01, 0x00), { maxLength: 60 })
      .map((bytes) => ({ type: 'bytes' as const, value: Uint8Array.from(bytes) })),
  }),
  fc.record({
    type: fc.constant('SUBSCRIBE' as const),
    id: fc.nat(),
    pattern: address,
    types: fc.constant<Signal[]>([]),
  }),
  fc.constant({ type: 'PING' as const }),
)
const frames = fc.array(
  message.map((m) => encodeFrame(m)),
  { minLength: 1, maxLength: 12 },
)
const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 })

function chunked(stream: Uint8Array, at: readonly number[]): Uint8Array[] {
  const edges = [0, ...at.map((part) => Math.floor(part * stream.length)).sort((a, b) => a - b), stream.length]
  return edges.slice(1).map((edge, i) => stream.subarray(edges[i], edge))
}

const kinds: { name: string; Kind: Maker; encode: (frame: Uint8Array) => Uint8Array }[] = [
  { name: 'raw', Kind: RawReceiver, encode: (frame) => frame },
  { name: 'SLIP', Kind: SlipReceiver, encode: slip },
  { name: 'SLIP without a leading END', Kind: SlipReceiver, encode: trailing },
]

for (const { name, Kind, encode } of kinds) {
  describe(`a ${name} line`, () => {
    test('gives the same frames however the bytes are cut', () => {
      fc.assert(
        fc.property(frames, cuts, (sent, at) => {
          const line = new Line(Kind).feed(...chunked(Buffer.concat(sent.map(encode)), at))
          assert.deepEqual(line.frames, sent.map(hex))
          assert.equal(line.counters.discardedBytes, 0)
          assert.equal(line.counters.frames, sent.length)
        }),
      )
    })

    test('finds its frames between boot messages, and passes the messages on', () => {
      const line = new Line(Kind).feed(BOOT, encode(HELLO), 'debug: x=1\n', encode(PING))
      assert.deepEqual(line.frames, [hex(HELLO), hex(PING)])
      assert.deepEqual(line.texts.slice(0, 3), BOOT.split('\r\n').slice(0, 3))
      assert.ok(line.texts.includes('debug: x=1'))
    })

    test('that joins in the middle of a frame loses that frame only', () => {
      const set = encodeFrame({ type: 'SET', address: '/sensor/temp', value: { type: 'f64', value: -2 } })
      for (let cut = 1; cut < set.length; cut++) {
        const line = new Line(Kind).feed(encode(set).subarray(cut), encode(HELLO), encode(PING))
        line.wait(251)
        assert.deepEqual(line.frames.slice(-2), [hex(HELLO), hex(PING)], `cut at ${cut}`)
      }
    })

    test('recovers from a reset in the middle of a frame', () => {
      const set = encodeFrame({ type: 'SET', address: '/sensor/temp', value: { type: 'f64', value: 25.5 } })
      for (let cut = 1; cut < set.length; cut++) {
        const half = encode(set).subarray(0, cut)
        const atOnce = new Line(Kind).feed(half, encode(HELLO), encode(PING)).wait(251)
        assert.ok(atOnce.frames.includes(hex(PING)), `PING after a cut at ${cut}`)
        const booted = new Line(Kind).feed(half).wait(251).feed(encode(HELLO))
        assert.deepEqual(booted.frames, [hex(HELLO)], `HELLO after a cut at ${cut}`)
        const talkative = new Line(Kind).feed(half, BOOT, encode(HELLO), encode(PING))
        assert.deepEqual(talkative.frames.slice(-2), [hex(HELLO), hex(PING)], `boot messages after a cut at ${cut}`)
      }
    })

    test('forgets a partial frame on a silent line, and takes the next one whole', () => {
      const line = new Line(Kind).feed(encode(HELLO).subarray(0, 9)).wait(249).feed(encode(HELLO).subarray(9, 10))
      assert.equal(line.counters.expired, 0)
      line.wait(251)
      assert.equal(line.counters.expired > 0, true)
      line.feed(encode(PING))
      assert.deepEqual(line.frames, [hex(PING)])
    })

    test('takes every frame up to its limit and none above it', () => {
      const sized = (bytes: number) =>
        encodeFrame({ type: 'SET', address: '/a', value: { type: 'bytes', value: new Uint8Array(bytes - 8).fill(7) } })
      for (const limit of [64, 1024]) {
        const fits = sized(limit)
        const line = new Line(Kind, { maxPayloadBytes: limit }).feed(
          encode(sized(limit + 1)),
          encode(fits),
          encode(PING),
        )
        line.wait(251)
        assert.deepEqual(line.frames, [hex(fits), hex(PING)])
      }
    })

    test('any damage to one frame is over after the next END, or a short silence', () => {
      const faults = fc.constantFrom('flip', 'drop', 'insert')
      fc.assert(
        fc.property(message, fc.nat(), fc.nat(255), faults, (m, position, byte, fault) => {
          const bytes = [...encode(encodeFrame(m))]
          const at = position % bytes.length
          if (fault === 'flip') bytes[at] ^= byte || 1
          else if (fault === 'drop') bytes.splice(at, 1)
          else bytes.splice(at, 0, byte)
          const line = new Line(Kind).feed(Uint8Array.from(bytes), encode(HELLO))
          // A raw line may take what follows for the rest of the damaged frame.
          if (Kind === RawReceiver) line.wait(251)
          line.feed(encode(PING), encode(HELLO))
          assert.deepEqual(line.frames.slice(-2), [hex(PING), hex(HELLO)])
          assert.ok(line.frames.length <= 4)
        }),
        { numRuns: 500 },
      )
    })

    test('takes no random bytes for a frame', () => {
      let seed = 12345
      const noise = Uint8Array.from({ length: 2_000_000 }, () => {
        seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
        return seed >>> 16
      })
      const line = new Line(Kind)
      for (let i = 0; i < noise.length; i += 997) line.feed(noise.subarray(i, i + 997))
      line.wait(10_000)
      assert.deepEqual(line.frames, [])
      line.feed(encode(HELLO))
      assert.equal(line.frames.at(-1), hex(HELLO))
    })

    test('tells whether it has seen text, never what is not text', () => {
      const line = new Line(Kind)
        .feed(Uint8Array.of(1, 2, 3, 0x41, 0x42, 0, 0xff, 0x41), 'x'.repeat(1000), '\n')
        .wait(300)
      assert.deepEqual(
        line.texts.map((text) => text.length),
        [200],
      )
    })
  })
}

describe('a raw line', () => {
  test('looks behind a length that lies once the rest fails to come', () => {
    // "S", plausible flags and a length of 1000 in front of real frames.
    const line = new Line(RawReceiver).feed(unhex('53 01 03 E8 21'), HELLO, PING)
    assert.deepEqual(line.frames, [])
    line.wait(250)
    assert.deepEqual(line.frames, [hex(HELLO), hex(PING)])
  })

  test('looks behind a length that lies as soon as its bytes are there', () => {
    const line = new Line(RawReceiver).feed(unhex('53 01 00 20 21'))
    for (let i = 0; i < 10; i++) line.feed(PING)
    assert.equal(line.frames.length, 10)
  })

  test('gives up on a silent line all that is too old at once', () => {
    const line = new Line(RawReceiver).feed(...Array.from({ length: 5 }, () => unhex('53 01 03 E8 21')), PING).wait(250)
    assert.deepEqual(line.frames, [hex(PING)])
    assert.equal(line.counters.discardedBytes, 25)
  })

  test('counts the age of a frame from its own first byte', () => {
    const line = new Line(RawReceiver).feed(HELLO.subarray(0, 9)).wait(200)
    line.feed(Buffer.concat([HELLO.subarray(9), PING.subarray(0, 3)]))
    line.wait(200).feed(PING.subarray(3))
    assert.deepEqual(line.frames, [hex(HELLO), hex(PING)])
    assert.equal(line.counters.expired, 0)
  })

  test('does not wait when the lie shows at once', () => {
    // Reserved QoS, encrypted, no payload, too long, no such message.
    for (const lie of ['53 C1 00 05', '53 11 00 05', '53 01 00 00', '53 01 04 01', '53 01 01 00 99', '53 53 53']) {
      const line = new Line(RawReceiver).feed(unhex(lie), PING)
      assert.deepEqual(line.frames, [hex(PING)], lie)
    }
  })
})

describe('a SLIP line', () => {
  test('encodes END and ESC inside a frame, and nothing else', () => {
    assert.equal(
      hex(slip(unhex('53 01 00 18 21 07 00 0C 2F 73 65 6E 73 6F 72 2F 74 65 6D 70 C0 00 00 00 00 00 00 00'))),
      'c0530100182107000c2f73656e736f722f74656d70dbdc00000000000000c0',
    )
    assert.equal(hex(slip(unhex('DB C0 DC DD'))), 'c0dbdddbdcdcddc0')
  })

  test('drops a block with an escape that means nothing', () => {
    const line = new Line(SlipReceiver).feed(unhex('C0 53 DB 01 C0'), unhex('53 01 00 01 41 DB 41 C0'), trailing(PING))
    assert.deepEqual(line.frames, [hex(PING)])
  })

  test('drops a block that ends in the middle of an escape', () => {
    const line = new Line(SlipReceiver).feed(unhex('53 01 00 01 41 DB C0'), trailing(PING))
    assert.deepEqual(line.frames, [hex(PING)])
  })

  test('what stands behind something else must decode, a block of its own need not', () => {
    const undecodable = unhex('53 01 00 05 21 07 00 05 41')
    const line = new Line(SlipReceiver).feed('boot\r\n', trailing(undecodable), trailing(undecodable))
    assert.deepEqual(line.frames, [hex(undecodable)])
  })

  test('ignores empty blocks, and a block that is not exactly one frame', () => {
    const line = new Line(SlipReceiver).feed(unhex('C0 C0 C0 53 01 00 01 41 00 C0 53 01 00 02 41 C0'), trailing(PING))
    assert.deepEqual(line.frames, [hex(PING)])
  })

  test('endless escapes, and blocks without an end, take no more memory than two frames', () => {
    const line = new Line(SlipReceiver, { maxPayloadBytes: 100 })
    for (let i = 0; i < 1000; i++) line.feed(new Uint8Array(1000).fill(0xdb))
    line.feed(trailing(PING), trailing(HELLO))
    assert.deepEqual(line.frames, [hex(HELLO)])
    for (let i = 0; i < 1000; i++) line.feed('text without end ')
    line.feed(trailing(HELLO))
    assert.deepEqual(line.frames, [hex(HELLO), hex(HELLO)])
  })

  test('a frame behind boot messages longer than its memory is found', () => {
    for (let length = 100; length < 500; length++) {
      const line = new Line(SlipReceiver, { maxPayloadBytes: 64 }).feed(
        BOOT.repeat(10).slice(0, length),
        trailing(HELLO),
      )
      assert.deepEqual(line.frames, [hex(HELLO)], `${length} bytes`)
    }
  })
})
