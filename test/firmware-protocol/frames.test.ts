import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MAX_BUNDLE_DEPTH } from '../../firmware-protocol/wire/constants.ts'
import { DecodeError, EncodeError } from '../../firmware-protocol/wire/errors.ts'
import { decodeFrame, encodeFrame, frameLength } from '../../firmware-protocol/wire/frame.ts'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import { type FrameVector, fromHex, loadVectors, present, toHex, toMessage } from './vectors.ts'

const frames = loadVectors<FrameVector[]>('frames.json')

describe('every golden frame', () => {
  for (const vector of frames) {
    it(`decodes: ${vector.name}`, () => {
      const decoded = decodeFrame(fromHex(vector.hex))
      if (decoded instanceof DecodeError) {
        assert.ok(vector.optional, `refused: ${decoded.reason} at ${decoded.offset}`)
        return
      }
      const { message, ...frame } = decoded
      assert.deepEqual(present(message), present(toMessage(vector.message)))
      const { timestamp, ...rest } = vector.frame
      assert.deepEqual(present({ ...frame, timestamp: undefined }), rest)
      assert.equal(
        frame.timestamp === undefined ? undefined : BigInt(frame.timestamp),
        timestamp === undefined ? undefined : BigInt(timestamp),
      )
    })
  }

  for (const vector of frames.filter(({ canonical, encoding }) => canonical && encoding === undefined)) {
    it(`encodes to the same bytes: ${vector.name}`, () => {
      const { qos, timestamp, encrypted, compressed, version } = vector.frame
      // Flags without a meaning and foreign versions are read, never written.
      if (encrypted || compressed || version !== 1) return
      const frame = encodeFrame(toMessage(vector.message), {
        qos,
        timestamp: timestamp === undefined ? undefined : BigInt(timestamp),
      })
      assert.equal(toHex(frame), vector.hex)
      assert.equal(frameLength(frame, 0, frame.length), frame.length)
    })
  }

  it('cut anywhere gives an error or a shorter message, and never an exception', () => {
    let refused = 0
    for (const { hex, encoding } of frames) {
      if (encoding !== undefined) continue
      const whole = fromHex(hex)
      const head = (whole[1] & 0x20) !== 0 ? 12 : 4
      for (let cut = 0; cut < whole.length - head; cut++) {
        const frame = whole.slice(0, head + cut)
        frame[2] = cut >>> 8
        frame[3] = cut
        const decoded = decodeFrame(frame)
        if (!(decoded instanceof DecodeError)) continue
        refused++
        assert.ok(decoded.reason.length > 0 && decoded.offset >= 0 && decoded.offset <= frame.length)
      }
    }
    assert.ok(refused > 5000, `only ${refused} were refused`)
  })
})

describe('frames at the limits', () => {
  interface LargeVector {
    name: string
    parts: [string, number][]
    totalLength: number
    expect: 'accept' | 'reject' | 'depth-policy'
  }
  for (const { name, parts, totalLength, expect } of loadVectors<LargeVector[]>('frames-large.json')) {
    it(name, () => {
      const bytes = fromHex(parts.map(([hex, repeat]) => hex.repeat(repeat)).join(''))
      assert.equal(bytes.length, totalLength)
      const decoded = decodeFrame(bytes)
      if (expect !== 'depth-policy') assert.equal(decoded instanceof DecodeError, expect === 'reject')
    })
  }

  it('bundles nest as deep in the encoder as in the decoder', () => {
    let message: Message = { type: 'PING' }
    for (let depth = 0; depth < MAX_BUNDLE_DEPTH; depth++) message = { type: 'BUNDLE', messages: [message] }
    const decoded = decodeFrame(encodeFrame(message))
    assert.ok(!(decoded instanceof DecodeError))
    assert.deepEqual(present(decoded.message), message)
    assert.throws(() => encodeFrame({ type: 'BUNDLE', messages: [message] }), EncodeError)
  })

  it('a payload above 65 535 bytes has no encoding', () => {
    const value = { type: 'bytes', value: new Uint8Array(65_535) } as const
    assert.throws(() => encodeFrame({ type: 'SET', address: '/a', value }), EncodeError)
  })
})

describe('a frame', () => {
  const address = '/a'
  const qosOf: [Message, number][] = [
    [{ type: 'SET', address, value: { type: 'null' } }, 1],
    [{ type: 'SUBSCRIBE', id: 1, pattern: '/**', types: [] }, 1],
    [{ type: 'BUNDLE', messages: [] }, 2],
    [{ type: 'PUBLISH', address, signal: 'event' }, 1],
    [{ type: 'PUBLISH', address, signal: 'stream' }, 0],
    [{ type: 'PUBLISH', address, signal: 'timeline' }, 2],
    [{ type: 'PING' }, 0],
  ]
  for (const [message, qos] of qosOf) {
    it(`of ${message.type}${'signal' in message ? ` ${message.signal}` : ''} has the quality of service ${qos}`, () =>
      assert.equal(encodeFrame(message)[1] >>> 6, qos))
  }

  it('tells its length as soon as its header is there, and nothing without the magic byte', () => {
    const frame = encodeFrame({ type: 'GET', address: '/a/b' }, { timestamp: 1 })
    for (let end = 0; end < 4; end++) assert.equal(frameLength(frame, 0, end), 0)
    assert.equal(frameLength(frame, 0, 4), frame.length)
    assert.equal(frameLength(Uint8Array.of(0, ...frame), 1, 20), frame.length)
    assert.equal(frameLength(frame, 1, frame.length), -1)
  })

  it('is decoded where it lies in a larger buffer, and errors give offsets of that buffer', () => {
    const frame = encodeFrame({ type: 'GET', address })
    const buffer = Uint8Array.of(9, 9, ...frame, 9)
    const decoded = decodeFrame(buffer, 2, buffer.length)
    assert.ok(!(decoded instanceof DecodeError))
    assert.deepEqual(decoded.message, { type: 'GET', address })
    buffer[2 + 6] = 99
    const refused = decodeFrame(buffer, 2, buffer.length)
    assert.ok(refused instanceof DecodeError)
    assert.equal(refused.offset, 2 + 7)
  })
})

describe('every malformed frame', () => {
  interface MalformedVector {
    name: string
    hex: string
    layer: 'frame' | 'message'
    errorCode: number
    optional?: boolean
  }
  for (const { name, hex, layer, errorCode, optional } of loadVectors<MalformedVector[]>('malformed.json')) {
    it(`is refused: ${name}`, () => {
      const bytes = fromHex(hex)
      const decoded = decodeFrame(bytes)
      if (!(decoded instanceof DecodeError)) {
        assert.ok(optional, 'was accepted')
        return
      }
      assert.equal(decoded.layer, layer)
      assert.equal(decoded.code, errorCode)
      assert.ok(decoded.reason.length > 0)
      assert.ok(decoded.offset >= 0 && decoded.offset <= bytes.length)
    })
  }
})

describe('what the JavaScript client sends', () => {
  for (const { call, hex } of loadVectors<{ call: string; hex?: string | [] }[]>('js-client.json')) {
    if (typeof hex !== 'string') continue
    it(`decodes: ${call}`, () => {
      const decoded = decodeFrame(fromHex(hex))
      assert.ok(!(decoded instanceof DecodeError), decoded instanceof DecodeError ? decoded.reason : '')
    })
  }
})
