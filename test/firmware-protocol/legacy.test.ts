import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MAX_VALUE_DEPTH } from '../../firmware-protocol/wire/constants.ts'
import { decodeMessage } from '../../firmware-protocol/wire/decode-message.ts'
import { encodeMessage } from '../../firmware-protocol/wire/encode-message.ts'
import { DecodeError } from '../../firmware-protocol/wire/errors.ts'
import type { Message } from '../../firmware-protocol/wire/message.ts'

/** A MessagePack string of fewer than 32 ASCII characters. */
function text(value: string): number[] {
  return [0xa0 | value.length, ...Buffer.from(value, 'ascii')]
}

/** A MessagePack map of at most 15 fields, whose values are encoded already. */
function map(fields: Record<string, number[]>): number[] {
  return [
    0x80 | Object.keys(fields).length,
    ...Object.entries(fields).flatMap(([key, value]) => [...text(key), ...value]),
  ]
}

function decode(bytes: readonly number[]): Message | DecodeError {
  return decodeMessage(Uint8Array.from(bytes))
}

function set(value: number[]): number[] {
  return map({ type: text('SET'), address: text('/a'), value })
}

function arrays(levels: number): number[] {
  return [...Array.from({ length: levels - 1 }, () => 0x91), 0x90]
}

describe('a legacy message', () => {
  it('nests values as deep as the compact form, so that it can be put into it', () => {
    const deepest = decode(set(arrays(MAX_VALUE_DEPTH)))
    assert.ok(!(deepest instanceof DecodeError))
    assert.ok(!(decodeMessage(encodeMessage(deepest)) instanceof DecodeError))
    const deeper = decode(set(arrays(MAX_VALUE_DEPTH + 1)))
    assert.ok(deeper instanceof DecodeError)
    assert.match(deeper.reason, /deeper/)
  })

  it('nested without end is refused where it goes too deep', () => {
    const refused = decode(set(Array.from({ length: 60_000 }, () => 0x91)))
    assert.ok(refused instanceof DecodeError)
    assert.match(refused.reason, /deeper/)
    assert.ok(refused.offset < 200)
  })

  it('that declares four thousand million items costs no memory', () => {
    const before = process.memoryUsage().heapUsed
    assert.ok(decode(set([0xdd, 0xff, 0xff, 0xff, 0xff])) instanceof DecodeError)
    assert.ok(process.memoryUsage().heapUsed - before < 1_000_000)
  })

  it('with a number out of range is refused with its place', () => {
    const bytes = map({ type: text('HELLO'), name: text('x'), version: [0xcd, 1, 0] })
    const refused = decode(bytes)
    assert.ok(refused instanceof DecodeError)
    assert.match(refused.reason, /version must be an integer from 0 to 255/)
    assert.equal(refused.offset, bytes.length - 3)
  })

  it('takes unsigned integers beyond the signed range as floats, and other bytes than text as bytes', () => {
    const large = decode(set([0xcf, 0xff, 0, 0, 0, 0, 0, 0, 0]))
    assert.ok(!(large instanceof DecodeError) && large.type === 'SET')
    assert.deepEqual(large.value, { type: 'f64', value: 0xff00_0000_0000_0000 })
    const bytes = decode(set([0xc4, 2, 0xff, 0xfe]))
    assert.ok(!(bytes instanceof DecodeError) && bytes.type === 'SET')
    assert.deepEqual(bytes.value, { type: 'bytes', value: Uint8Array.of(0xff, 0xfe) })
  })

  it('of an unknown type is refused with a reason of modest length', () => {
    const name = 'N'.repeat(60_000)
    const refused = decode([0x81, ...text('type'), 0xda, name.length >>> 8, name.length & 0xff, ...Buffer.from(name)])
    assert.ok(refused instanceof DecodeError)
    assert.match(refused.reason, /^unknown message type "N{40}"$/)
  })
})
