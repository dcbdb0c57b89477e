import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Control, CtrlBit, FrameClass } from '../../firmware-protocol/link/constants.ts'
import { crc16, crc32 } from '../../firmware-protocol/link/crc.ts'
import {
  crcSeed,
  putSerialFrame,
  type SerialCounters,
  SerialReceiver,
  serialBytes,
} from '../../firmware-protocol/link/serial-frame.ts'
import { fromHex, loadVectors, toHex } from './vectors.ts'

export interface LinkFrameVector {
  name: string
  session: string
  frame: string
  crc: string
  wire: string
  fields: Record<string, string | number | boolean>
}

interface StreamVector {
  name: string
  session: string
  mru: number
  wire: string
  frames: string[]
  counters: SerialCounters
  text: string[]
}

const { frames, streams } = loadVectors<{ frames: LinkFrameVector[]; streams: StreamVector[] }>('link-frames.json')

describe('the CRCs', () => {
  it('give the check values of their definitions', () => {
    const digits = new TextEncoder().encode('123456789')
    assert.equal(~crc16(digits, 0, 9, 0xffff) & 0xffff, 0x906e)
    assert.equal(crc32(digits, 0, 9), 0xcbf43926)
    assert.equal(crc32(digits, 4, 9, crc32(digits, 0, 4)), 0xcbf43926)
  })
})

describe('a serial frame', () => {
  for (const vector of frames) {
    it(`is encoded and found: ${vector.name}`, () => {
      const frame = fromHex(vector.frame)
      const session = Number.parseInt(vector.session, 16)
      assert.deepEqual(fieldsOf(frame), vector.fields)
      assert.equal(crcOf(frame, session), vector.crc)
      assert.equal(toHex(encoded(frame, session, true)), vector.wire)
      assert.equal(toHex(encoded(frame, session, false)), vector.wire.slice(2))
      assert.ok(vector.wire.length / 2 <= serialBytes(frame.length), 'longer than what is said of it')
      const got = receive([fromHex(vector.wire)], session, 1024)
      assert.deepEqual(got.frames, [vector.frame])
    })
  }

  for (const { name, session, mru, wire, frames, counters, text } of streams) {
    it(`among other bytes: ${name}`, () => {
      const got = receive([fromHex(wire)], Number.parseInt(session, 16), mru)
      assert.deepEqual(got, { frames, text, counters })
      assert.deepEqual(receive(singles(fromHex(wire)), Number.parseInt(session, 16), mru), got, 'byte by byte')
    })
  }

  it('comes through in whatever pieces it arrives', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ frame: aFrame, isIdle: fc.boolean() }), { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 0, max: 0xffff }),
        fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1 }),
        (sent, session, sizes) => {
          const line = Buffer.concat(sent.map(({ frame, isIdle }) => encoded(frame, session, isIdle)))
          const got = receive(pieces(line, sizes), session, 1024)
          assert.deepEqual(
            got.frames,
            sent.map(({ frame }) => toHex(frame)),
          )
          assert.deepEqual(got.counters, { frames: sent.length, crcErrors: 0, malformed: 0, oversize: 0 })
        },
      ),
      { numRuns: 300 },
    )
  })

  it('is written with no zero inside, and in no more bytes than said', () => {
    fc.assert(
      fc.property(aFrame, fc.integer({ min: 0, max: 0xffff }), (frame, session) => {
        const wire = encoded(frame, session, true)
        assert.equal(wire.indexOf(0, 1), wire.length - 1)
        assert.ok(wire.length <= serialBytes(frame.length))
      }),
    )
  })

  it('is in step again after at most one frame, whatever noise came before', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 3000 }),
        fc.array(aFrame, { minLength: 2, maxLength: 5 }),
        fc.integer({ min: 0, max: 0xffff }),
        fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1 }),
        (noise, sent, session, sizes) => {
          const line = Buffer.concat([noise, ...sent.map((frame) => encoded(frame, session, false))])
          const got = receive(pieces(line, sizes), session, 1024).frames
          assert.deepEqual(
            got.slice(-(sent.length - 1)),
            sent.slice(1).map((frame) => toHex(frame)),
          )
        },
      ),
      { numRuns: 300 },
    )
  })

  it('is not lost at all when it starts with a delimiter', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000 }), aFrame, (noise, frame) => {
        const got = receive([noise, encoded(frame, 7, true)], 7, 1024).frames
        assert.equal(got.at(-1), toHex(frame))
      }),
    )
  })

  it('with up to three flipped bits is never taken for a good one while the zeros stay where they are', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 2, maxLength: 120 }),
        fc.uniqueArray(fc.nat(), { minLength: 1, maxLength: 3 }),
        (bytes, flips) => {
          const frame = classed(bytes)
          const whole = Buffer.from([...frame, ...fromHex(crcOf(frame, 99))])
          const places = new Set(flips.map((flip) => flip % (whole.length * 8)))
          for (const place of places) whole[place >> 3] ^= 1 << (place & 7)
          // The seed depends on the class, so a flip there is checked with the other one.
          const isSameClass = crcSeed(whole[0], 99) === crcSeed(frame[0], 99)
          const good = crc16(whole, 0, whole.length, crcSeed(whole[0], 99)) === 0xf0b8
          assert.ok(!(good && isSameClass), `${toHex(frame)} with ${[...places]}`)
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('counts every block in exactly one counter, and hands out nothing that is longer than the MRU', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 90 }), { maxLength: 20 }), (blocks) => {
        const line = Buffer.concat(blocks.flatMap((block) => [block, Buffer.of(0)]))
        const { counters, frames } = receive([line], 0, 64)
        const cut = blocks.flatMap((block) => toHex(block).match(/../g)?.join(' ').split('00') ?? [])
        const nonempty = cut.filter((part) => part.trim() !== '').length
        const { crcErrors, malformed, oversize } = counters
        assert.equal(counters.frames + crcErrors + malformed + oversize, nonempty)
        assert.ok(frames.every((frame) => frame.length / 2 <= 62))
      }),
    )
  })
})

describe('a serial receiver', () => {
  it('forgets the beginning of a block when the line is a new one', () => {
    const events: string[] = []
    const receiver = new SerialReceiver(64, {
      onFrame: (bytes, start, end) => events.push(toHex(bytes.subarray(start, end))),
      onText: (text) => events.push(text),
    })
    receiver.receive(fromHex('ffa5a5'))
    receiver.reset()
    receiver.receive(fromHex('05800102' + '9200'))
    assert.deepEqual(events, ['8001'])
    assert.equal(receiver.counters.malformed, 0)
  })
})

const aFrame = fc
  .oneof(
    fc.uint8Array({ minLength: 2, maxLength: 62 }),
    fc.uint8Array({ minLength: 2, maxLength: 1022 }),
    fc.array(fc.constantFrom(0, 1, 255), { minLength: 2, maxLength: 600 }).map((bytes) => Uint8Array.from(bytes)),
    fc
      .integer({ min: 248, max: 262 })
      .chain((length) => fc.uint8Array({ minLength: length, maxLength: length, min: 1 })),
  )
  .map(classed)

/** The reserved class has no meaning, and no seed of its own. */
function classed(bytes: Uint8Array): Uint8Array {
  const frame = bytes.slice()
  if ((frame[0] & 0xc0) === 0xc0) frame[0] &= 0x7f
  return frame
}

function encoded(frame: Uint8Array, session: number, isIdle: boolean): Uint8Array {
  const out = new Uint8Array(serialBytes(frame.length) + 3)
  return out.subarray(0, putSerialFrame(out, 0, frame, frame.length, session, isIdle))
}

function crcOf(frame: Uint8Array, session: number): string {
  const crc = ~crc16(frame, 0, frame.length, crcSeed(frame[0], session)) & 0xffff
  return toHex(Uint8Array.of(crc & 0xff, crc >>> 8))
}

function receive(chunks: Iterable<Uint8Array>, session: number, mru: number) {
  const frames: string[] = []
  const text: string[] = []
  const receiver = new SerialReceiver(mru, {
    onFrame: (bytes, start, end) => frames.push(toHex(bytes.subarray(start, end))),
    onText: (line) => text.push(line),
  })
  receiver.session = session
  for (const chunk of chunks) receiver.receive(chunk)
  return { frames, text, counters: { ...receiver.counters } }
}

function singles(bytes: Uint8Array): Uint8Array[] {
  return Array.from(bytes, (byte) => Uint8Array.of(byte))
}

/** The bytes in pieces of these sizes, over and over. */
function pieces(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const parts: Uint8Array[] = []
  for (let at = 0, n = 0; at < bytes.length; n++) {
    const size = sizes[n % sizes.length]
    parts.push(bytes.subarray(at, at + size))
    at += size
  }
  return parts
}

function fieldsOf(frame: Uint8Array): Record<string, string | number | boolean> {
  const [ctrl, seq] = frame
  const kind = ctrl & FrameClass.mask
  const isControl = kind === FrameClass.control
  const subtype = Object.keys(Control).find((key) => Control[key as keyof typeof Control] === (ctrl & CtrlBit.subtype))
  return {
    class: isControl ? 'control' : kind === FrameClass.reliable ? 'reliable' : 'unreliable',
    ...(isControl && subtype !== undefined && { subtype }),
    notReady: (ctrl & CtrlBit.notReady) !== 0,
    again: (ctrl & CtrlBit.again) !== 0,
    number: seq >>> 4,
    acknowledges: seq & 15,
  }
}
