import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Op } from '../../firmware-protocol/link/constants.ts'
import { naturalType, putLinkValue, readLinkValue, valueEnd } from '../../firmware-protocol/link/link-value.ts'
import { RecordReader } from '../../firmware-protocol/link/record-reader.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { fromHex, loadVectors, toHex, toValue, type VectorValue } from './vectors.ts'

interface RecordVector {
  name: string
  hex: string
  op: keyof typeof Op
  type: number
  value?: VectorValue
  samples?: VectorValue[]
  text?: string
  content?: string
  time?: string
  hash?: string
  deadband?: number
  id?: number
  flags?: number
  revision?: number
  ttl?: number
  phase?: number
  gesture?: number
  code?: number
  count?: number
  interval?: number
}

interface BodyVector {
  name: string
  hex: string
  records: number
  malformedAt?: number
  toDevice: boolean
}

interface ConversionVector {
  declared: number
  value: VectorValue
  type?: number
  hex?: string
  problem?: 'inconvertible'
}

const { records, bodies, conversions } = loadVectors<{
  records: RecordVector[]
  bodies: BodyVector[]
  conversions: ConversionVector[]
}>('link-records.json')

describe('a record', () => {
  for (const vector of records) {
    it(`is read: ${vector.name}`, () => {
      const reader = opened(fromHex(vector.hex))
      assert.ok(reader.next())
      assert.equal(reader.op, Op[vector.op])
      assert.equal(reader.type, vector.type)
      for (const key of ['id', 'flags', 'revision', 'ttl', 'phase', 'gesture', 'code', 'count', 'interval'] as const) {
        if (vector[key] !== undefined) assert.equal(reader[key], vector[key], key)
      }
      const { bytes, valueAt, valueEnd: stop, type } = reader
      const content = bytes.subarray(valueAt, stop)
      if (vector.value !== undefined) assert.deepEqual(readLinkValue(bytes, valueAt, type), toValue(vector.value))
      if (vector.samples !== undefined) assert.deepEqual(samplesOf(reader), vector.samples.map(toValue))
      if (vector.text !== undefined) assert.equal(new TextDecoder().decode(content), vector.text)
      if (vector.content !== undefined) assert.equal(toHex(content), vector.content)
      if (vector.hash !== undefined) assert.equal(toHex(content), vector.hash)
      if (vector.time !== undefined) assert.equal(BigInt(`0x${toHex(content)}`).toString(), vector.time)
      if (vector.deadband !== undefined) assert.equal(view(bytes).getFloat32(valueAt + 2), vector.deadband)
      assert.equal(reader.at, vector.hex.length / 2)
      assert.equal(reader.next(), false)
    })
  }

  it('is malformed when any of its bytes are missing at the end', () => {
    for (const { hex, name } of records) {
      const bytes = fromHex(hex)
      for (let length = 1; length < bytes.length; length++) {
        const reader = opened(bytes.subarray(0, length))
        assert.equal(reader.next(), false, `${name}, ${length} bytes`)
        assert.ok(reader.at < length, name)
      }
    }
  })

  for (const { name, hex, records: expected, malformedAt } of bodies) {
    it(`counts up to the first that is malformed: ${name}`, () => {
      const bytes = fromHex(hex)
      const reader = opened(bytes)
      let count = 0
      while (reader.next()) count++
      assert.equal(count, expected)
      assert.equal(reader.at, malformedAt ?? bytes.length)
    })
  }

  it('is never read past its end, and reading always ends', () => {
    fc.assert(
      fc.property(aBody, fc.uint8Array({ maxLength: 8 }), fc.uint8Array({ minLength: 1, maxLength: 40 }), checkReading),
      { numRuns: 20_000 },
    )
  })

  it('reads the same whatever stands behind it', () => {
    fc.assert(
      fc.property(aBody, fc.uint8Array({ maxLength: 40 }), (body, behind) => {
        const alone = summary(opened(body))
        const reader = new RecordReader()
        reader.open(Uint8Array.from([...body, ...behind]), 0, body.length)
        assert.deepEqual(summary(reader), alone)
      }),
      { numRuns: 5000 },
    )
  })
})

describe('a value toward the device', () => {
  for (const { declared, value, type, hex, problem } of conversions) {
    const text = JSON.stringify(value).slice(0, 60)
    it(problem ? `cannot be of type ${declared}: ${text}` : `becomes type ${declared}: ${text}`, () => {
      const out = new Uint8Array(300)
      out[0] = 0x70
      const end = putLinkValue(out, 0, 1, out.length, declared, toValue(value))
      if (problem !== undefined) assert.equal(end, -1)
      else {
        assert.equal(out[0], 0x70 | (type ?? -1))
        assert.equal(toHex(out.subarray(1, end)), hex)
      }
    })
  }

  it('is not written where it does not fit', () => {
    for (const { declared, value, problem } of conversions) {
      if (problem !== undefined) continue
      const out = new Uint8Array(300)
      const end = putLinkValue(out, 0, 1, out.length, declared, toValue(value))
      for (let limit = 1; limit < end; limit++) {
        const small = new Uint8Array(300).fill(0xee)
        assert.equal(putLinkValue(small, 0, 1, limit, declared, toValue(value)), -2)
        assert.ok(small.subarray(limit).every((byte) => byte === 0xee))
      }
    }
  })

  it('is read as what was written, in the type in which it travels by itself', () => {
    fc.assert(
      fc.property(aValue, (value) => {
        const type = naturalType(value)
        const out = new Uint8Array(600)
        const end = putLinkValue(out, 0, 1, out.length, type, value)
        assert.equal(valueEnd(out, 1, end, out[0] & 15), end)
        const read = readLinkValue(out, 1, out[0] & 15)
        if (value.type === 'f32' || value.type === 'f64') {
          assert.deepEqual(read, { type: 'f32', value: Math.fround(value.value) })
        } else if (value.type === 'i8' || value.type === 'i16' || value.type === 'i32' || value.type === 'i64') {
          assert.equal('value' in read && BigInt(read.value as number), BigInt(value.value))
        } else assert.deepEqual(read, value)
      }),
      { numRuns: 3000 },
    )
  })

  it('has no type of its own when it is an array or a map', () => {
    assert.equal(naturalType({ type: 'array', value: [] }), -1)
    assert.equal(naturalType({ type: 'map', value: [] }), -1)
  })
})

/** Bytes that are often records, and often nearly. */
const aBody = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 12 }),
      fc.constantFrom(...records.map(({ hex }) => fromHex(hex))),
      fc
        .tuple(fc.constantFrom(...records.map(({ hex }) => fromHex(hex))), fc.nat(), fc.nat(255))
        .map(([bytes, at, byte]) => Uint8Array.from(bytes, (old, i) => (i === at % bytes.length ? byte : old))),
    ),
    { maxLength: 8 },
  )
  .map((parts) => Uint8Array.from(parts.flatMap((part) => [...part])))

const aValue: fc.Arbitrary<Value> = fc.oneof(
  fc.constant<Value>({ type: 'null' }),
  fc.boolean().map((value): Value => ({ type: 'bool', value })),
  fc.integer({ min: -128, max: 127 }).map((value): Value => ({ type: 'i8', value })),
  fc.integer().map((value): Value => ({ type: 'i32', value })),
  fc.maxSafeInteger().map((value): Value => ({ type: 'i64', value })),
  fc.double().map((value): Value => ({ type: 'f64', value })),
  fc.string({ unit: 'binary', maxLength: 140 }).map((value): Value => ({ type: 'string', value })),
  fc.uint8Array({ maxLength: 300 }).map((value): Value => ({ type: 'bytes', value })),
)

function opened(bytes: Uint8Array): RecordReader {
  const reader = new RecordReader()
  reader.open(bytes, 0, bytes.length)
  return reader
}

/** The body stands between other bytes, none of which may be looked at. */
function checkReading(body: Uint8Array, front: Uint8Array, behind: Uint8Array): void {
  const touched: number[] = []
  const bytes = Uint8Array.from([...front, ...body, ...behind])
  const watched = new Proxy(bytes, {
    get(target, key) {
      if (typeof key === 'string' && /^\d+$/.test(key)) touched.push(Number(key))
      const member = Reflect.get(target, key, target)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
  const reader = new RecordReader()
  const end = front.length + body.length
  reader.open(watched, front.length, end)
  let at = reader.at
  while (reader.next()) {
    assert.ok(reader.at > at, 'it stands still')
    assert.ok(reader.at <= end)
    if (reader.op !== Op.nothing && reader.op !== Op.declare) {
      assert.ok(reader.valueAt >= front.length && reader.valueEnd <= end)
    }
    at = reader.at
  }
  assert.ok(reader.at <= end)
  assert.ok(touched.every((place) => place >= front.length && place < end))
}

function summary(reader: RecordReader): unknown[] {
  const lines: unknown[] = []
  while (reader.next()) {
    const { op, type, id, flags, start, at } = reader
    lines.push([op, type, id, flags, start, at])
  }
  return [...lines, reader.at]
}

function samplesOf({ bytes, valueAt, count, type }: RecordReader): Value[] {
  const values: Value[] = []
  for (let at = valueAt; values.length < count; at = valueEnd(bytes, at, bytes.length, type)) {
    values.push(readLinkValue(bytes, at, type))
  }
  return values
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
