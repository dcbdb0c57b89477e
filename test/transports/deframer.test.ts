import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BareDeframer, type Deframer, PrefixedDeframer } from '../../runtime/transports/deframer.ts'
import { WebSocketDeframer, type WebSocketSink } from '../../runtime/transports/websocket-deframer.ts'
import { hex, unhex } from './fixture.ts'

/** Writes down what a deframer reports. */
class Transcript implements WebSocketSink {
  readonly lines: string[] = []
  private readonly stopAfter: number

  constructor(stopAfter = Number.POSITIVE_INFINITY) {
    this.stopAfter = stopAfter
  }

  onUnit(bytes: Uint8Array, start: number, end: number): boolean {
    this.lines.push(hex(bytes.subarray(start, end)))
    return this.lines.length < this.stopAfter
  }
  onViolation(code: number): void {
    this.lines.push(`violation ${code}`)
  }
  onPing(bytes: Uint8Array, start: number, end: number): boolean {
    this.lines.push(`ping ${hex(bytes.subarray(start, end))}`)
    return true
  }
  onPong(): boolean {
    this.lines.push('pong')
    return true
  }
  onPeerClose(code: number): void {
    this.lines.push(`close ${code}`)
  }
}

type Maker = (sink: Transcript) => Deframer
const prefixed: Maker = (sink) => new PrefixedDeframer(sink)
const bare: Maker = (sink) => new BareDeframer(sink)
const websocket: Maker = (sink) => new WebSocketDeframer(sink)

/** What is reported when the stream arrives cut at `cuts`; stops at a violation or close, as a link does. */
function read(make: Maker, stream: Uint8Array, cuts: readonly number[] = []): string[] {
  const sink = new Transcript()
  const deframer = make(sink)
  const edges = [0, ...[...cuts].sort((a, b) => a - b), stream.length]
  for (let i = 1; i < edges.length; i++) {
    if (/^(violation|close)/.test(sink.lines.at(-1) ?? '')) break
    // A copy, because unmasking changes the bytes.
    deframer.push(Uint8Array.from(stream.subarray(edges[i - 1], edges[i])))
  }
  return sink.lines
}

function prefixedUnit(unit: Uint8Array): Buffer {
  const header = Buffer.alloc(4)
  header.writeUInt32BE(unit.length)
  return Buffer.concat([header, unit])
}

function frame(payload: Uint8Array, flags = 1): Buffer {
  const header = Buffer.from([0x53, flags, payload.length >>> 8, payload.length & 0xff])
  return Buffer.concat([header, Buffer.alloc((flags & 0x20) !== 0 ? 8 : 0), payload])
}

function clientFrame(
  opcode: number,
  payload: Uint8Array,
  { final = true, mask = [0x11, 0xf2, 0x03, 0x84] } = {},
): Buffer {
  const { length } = payload
  const head = [(final ? 0x80 : 0) | opcode]
  if (length < 126) head.push(0x80 | length)
  else if (length < 65_536) head.push(0x80 | 126, length >>> 8, length & 0xff)
  else head.push(0x80 | 127, 0, 0, 0, 0, length >>> 24, (length >>> 16) & 0xff, (length >>> 8) & 0xff, length & 0xff)
  return Buffer.concat([Buffer.from(head), Buffer.from(mask), payload.map((byte, i) => byte ^ mask[i % 4])])
}

const payloads = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 8 })
const cutPoints = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 })
const scale = (cuts: readonly number[], length: number) => cuts.map((cut) => Math.floor(cut * length))

test('prefixed units are the same however the stream is cut', () => {
  fc.assert(
    fc.property(payloads, cutPoints, (units, cuts) => {
      const stream = Buffer.concat(units.map(prefixedUnit))
      assert.deepEqual(read(prefixed, stream, scale(cuts, stream.length)), units.map(hex))
    }),
  )
})

test('bare frames are the same however the stream is cut', () => {
  fc.assert(
    fc.property(payloads, cutPoints, fc.constantFrom(0x00, 0x01, 0x21, 0x41, 0x81), (contents, cuts, flags) => {
      const frames = contents.map((payload) => frame(payload, flags))
      const stream = Buffer.concat(frames)
      assert.deepEqual(read(bare, stream, scale(cuts, stream.length)), frames.map(hex))
    }),
  )
})

test('WebSocket messages are the same however the stream is cut and the messages are fragmented', () => {
  fc.assert(
    fc.property(payloads, cutPoints, cutPoints, (messages, cuts, fragmentCuts) => {
      const stream = Buffer.concat(
        messages.flatMap((message) => {
          const edges = [0, ...scale(fragmentCuts, message.length).sort((a, b) => a - b), message.length]
          return edges.slice(1).flatMap((edge, i) => [
            clientFrame(i === 0 ? 2 : 0, message.subarray(edges[i], edge), { final: i === edges.length - 2 }),
            // A control frame may stand between fragments.
            clientFrame(0xa, Buffer.from('x')),
          ])
        }),
      )
      const units = read(websocket, stream, scale(cuts, stream.length)).filter((line) => line !== 'pong')
      assert.deepEqual(units, messages.map(hex))
    }),
  )
})

test('a prefixed unit with two frames is passed on whole', () => {
  assert.deepEqual(read(prefixed, unhex('00 00 00 0A 53 01 00 01 41 53 01 00 01 41')), ['53010001415301000141'])
})

test('a zero-length unit is delivered, and the next one is found', () => {
  assert.deepEqual(read(prefixed, unhex('00000000 00000005 5301000141'), [2, 4, 6]), ['', '5301000141'])
})

test('the longest unit passes, one byte more is refused at its header, wherever it is cut', () => {
  const longest = Buffer.alloc(65_536, 7)
  assert.deepEqual(read(prefixed, prefixedUnit(longest), [65_000]), [hex(longest)])
  for (const cuts of [[], [1], [2], [3], [4]]) {
    assert.deepEqual(read(prefixed, unhex('00010001 53'), cuts), ['violation 1009'])
  }
})

test('nothing is delivered after the link has said that it is closing', () => {
  const two = Buffer.concat([prefixedUnit(frame(Buffer.of(1))), prefixedUnit(frame(Buffer.of(2)))])
  const sink = new Transcript(1)
  new PrefixedDeframer(sink).push(two)
  assert.equal(sink.lines.length, 1)
})

test('bare frames are found again behind noise, wherever the stream is cut', () => {
  const ping = '5301000141'
  // A magic with impossible flags, a magic in front of a magic, encrypted and compressed flags, QoS 3.
  const stream = unhex(`00ff 53ff 53 ${ping} 5353 ${ping} 5318 c153 ${ping}`)
  for (let cut = 0; cut <= stream.length; cut++) assert.deepEqual(read(bare, stream, [cut]), [ping, ping, ping])
  assert.deepEqual(read(bare, stream, [...stream.keys()]), [ping, ping, ping])
})

test('a bare header that announces too much for the link is taken for noise', () => {
  const stream = unhex('5301ffff 5301000141')
  for (let cut = 0; cut <= stream.length; cut++) {
    const lines = read((sink) => new BareDeframer(sink, 1024), stream, [cut])
    assert.deepEqual(lines, ['5301000141'])
  }
})

test('text messages are ignored, whole or in fragments', () => {
  const text = Buffer.from('{"type":"SET"}')
  const stream = Buffer.concat([
    clientFrame(1, text),
    clientFrame(1, text, { final: false }),
    clientFrame(0, text),
    clientFrame(2, Buffer.of(1, 2)),
  ])
  assert.deepEqual(read(websocket, stream), ['0102'])
})

test('the WebSocket size limit is 65 547 bytes, for one frame and for fragments together', () => {
  const longest = Buffer.alloc(65_547, 3)
  assert.deepEqual(read(websocket, clientFrame(2, longest), [9, 60_000]), [hex(longest)])
  assert.deepEqual(read(websocket, clientFrame(2, Buffer.alloc(65_548)).subarray(0, 14)), ['violation 1009'])
  assert.deepEqual(read(websocket, unhex('82ff 00000001 00000000')), ['violation 1009'])
  const halves = Buffer.concat([
    clientFrame(2, longest.subarray(0, 40_000), { final: false }),
    clientFrame(0, longest.subarray(0, 25_548)),
  ])
  assert.deepEqual(read(websocket, halves), ['violation 1009'])
})

test('what RFC 6455 forbids is refused with 1002, wherever it is cut', () => {
  const mask = '00000000'
  const forbidden = {
    'not masked': '8201 00',
    'reserved bit 1': `c280 ${mask}`,
    'reserved bit 3': `9280 ${mask}`,
    'reserved opcode': `8380 ${mask}`,
    'reserved control opcode': `8b80 ${mask}`,
    'fragmented ping': `0980 ${mask}`,
    'long ping': `89fe 007e ${mask}`,
    'continuation of nothing': `8080 ${mask}`,
    'message inside a message': `0280 ${mask} 8280 ${mask}`,
    'close with half a code': `8881 ${mask} 03`,
  }
  for (const [what, bytes] of Object.entries(forbidden)) {
    const stream = unhex(bytes)
    for (let cut = 0; cut <= stream.length; cut++) {
      assert.deepEqual(read(websocket, stream, [cut]), ['violation 1002'], `${what}, cut at ${cut}`)
    }
  }
})

test('ping, pong and close are reported with their content', () => {
  const stream = Buffer.concat([
    clientFrame(9, Buffer.from('abc')),
    clientFrame(0xa, Buffer.from('')),
    clientFrame(8, unhex('03e9 627965')),
  ])
  for (let cut = 0; cut <= stream.length; cut++) {
    assert.deepEqual(read(websocket, stream, [cut]), ['ping 616263', 'pong', 'close 1001'])
  }
  assert.deepEqual(read(websocket, clientFrame(8, Buffer.alloc(0))), ['close 1005'])
})
