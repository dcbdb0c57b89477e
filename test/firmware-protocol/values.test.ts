import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { MAX_VALUE_DEPTH, ValueCode } from '../../firmware-protocol/wire/constants.ts'
import { EncodeError } from '../../firmware-protocol/wire/errors.ts'
import { Reader } from '../../firmware-protocol/wire/reader.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { canonicalBytes, canonicalCode, isCanonical, valueEnd } from '../../firmware-protocol/wire/value-bytes.ts'
import { readValue, writeValue } from '../../firmware-protocol/wire/value-codec.ts'
import { formatValue, fromJs, toJs } from '../../firmware-protocol/wire/values.ts'
import { Writer } from '../../firmware-protocol/wire/writer.ts'

const scalar: fc.Arbitrary<Value> = fc.oneof(
  fc.constant<Value>({ type: 'null' }),
  fc.boolean().map((value): Value => ({ type: 'bool', value })),
  fc.integer({ min: -0x80, max: 0x7f }).map((value): Value => ({ type: 'i8', value })),
  fc.integer({ min: -0x8000, max: 0x7fff }).map((value): Value => ({ type: 'i16', value })),
  fc.integer().map((value): Value => ({ type: 'i32', value })),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value): Value => ({ type: 'i64', value: safe(value) })),
  fc.maxSafeInteger().map((value): Value => ({ type: 'i64', value: Object.is(value, -0) ? 0 : value })),
  fc.float().map((value): Value => ({ type: 'f32', value })),
  fc.double().map((value): Value => ({ type: 'f64', value })),
  fc.string({ unit: 'binary' }).map((value): Value => ({ type: 'string', value })),
  fc.uint8Array().map((value): Value => ({ type: 'bytes', value })),
)
const anyValue = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.array(tie('value'), { maxLength: 5 }).map((value): Value => ({ type: 'array', value })),
    fc
      .uniqueArray(fc.tuple(fc.oneof(fc.string(), fc.constant('__proto__')), tie('value')), {
        maxLength: 5,
        selector: ([key]) => key,
      })
      .map((value): Value => ({ type: 'map', value })),
  ),
})).value

function safe(value: bigint): number | bigint {
  return Number.isSafeInteger(Number(value)) ? Number(value) : value
}

function encode(value: Value): Uint8Array {
  const w = new Writer()
  writeValue(w, value)
  return w.finish()
}

function decode(code: number, bytes: Uint8Array): Value {
  const r = new Reader(bytes, 0, bytes.length)
  const value = readValue(r, code)
  assert.equal(r.failure, undefined)
  assert.equal(r.offset, bytes.length)
  return value
}

/** The value with every number widened to 64 bits. */
function widened(value: Value): Value {
  switch (value.type) {
    case 'i8':
    case 'i16':
    case 'i32':
      return { type: 'i64', value: value.value }
    case 'f32':
      return { type: 'f64', value: value.value }
    case 'array':
      return { type: 'array', value: value.value.map(widened) }
    case 'map':
      return { type: 'map', value: value.value.map(([key, item]) => [key, widened(item)]) }
    default:
      return value
  }
}

function nested(levels: number): Value {
  let value: Value = { type: 'null' }
  for (let level = 0; level < levels; level++) value = { type: 'array', value: [value] }
  return value
}

describe('a value', () => {
  it('survives the wire with its type', () => {
    fc.assert(fc.property(anyValue, (value) => assert.deepEqual(decode(ValueCode[value.type], encode(value)), value)))
  })

  it('has an end exactly where it is whole', () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        const bytes = Uint8Array.of(0x77, ...encode(value), 0x77)
        const code = ValueCode[value.type]
        assert.equal(valueEnd(bytes, code, 1, bytes.length), bytes.length - 1)
        for (let end = 1; end < bytes.length - 1; end++) assert.equal(valueEnd(bytes, code, 1, end), 0)
      }),
    )
  })

  it('widened in its bytes is the value with wide numbers', () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        const bytes = Uint8Array.of(0x77, ...encode(value))
        const code = ValueCode[value.type]
        const wide = canonicalBytes(bytes, code, 1, bytes.length)
        assert.deepEqual(decode(canonicalCode(code), wide), widened(value))
        assert.ok(isCanonical(wide, canonicalCode(code), 0, wide.length))
        assert.equal(
          isCanonical(bytes, code, 1, bytes.length),
          code === canonicalCode(code) && wide.length === bytes.length - 1,
        )
      }),
    )
  })

  it('nests to the same depth for the reader, the writer and the validator', () => {
    const deepest = nested(MAX_VALUE_DEPTH)
    const bytes = encode(deepest)
    assert.deepEqual(decode(ValueCode.array, bytes), deepest)
    assert.equal(valueEnd(bytes, ValueCode.array, 0, bytes.length), bytes.length)
    assert.throws(() => encode(nested(MAX_VALUE_DEPTH + 1)), EncodeError)
    const deeper = Uint8Array.of(0, 1, ValueCode.array, ...bytes)
    assert.equal(valueEnd(deeper, ValueCode.array, 0, deeper.length), 0)
    const r = new Reader(deeper, 0, deeper.length)
    readValue(r, ValueCode.array)
    assert.match(r.failure?.reason ?? '', /deeper/)
  })

  it('with a number that its type cannot hold has no encoding', () => {
    const wrong: Value[] = [
      { type: 'i8', value: 128 },
      { type: 'i16', value: 1.5 },
      { type: 'i32', value: 2 ** 31 },
      { type: 'i64', value: 2 ** 53 },
      { type: 'i64', value: 2n ** 63n },
      { type: 'string', value: 'x'.repeat(65_536) },
    ]
    for (const value of wrong) assert.throws(() => encode(value), EncodeError)
  })
})

describe('plain JavaScript', () => {
  it('becomes a value and the same again', () => {
    const input = {
      nothing: null,
      yes: true,
      small: -3,
      large: 2n ** 60n,
      real: 0.5,
      negativeZero: -0,
      text: 'ä',
      bytes: Uint8Array.of(1, 2),
      list: [1, [2]],
    }
    const output = toJs(fromJs(input))
    assert.deepEqual({ ...(output as object) }, input)
    assert.equal(Object.getPrototypeOf(output), null)
  })

  it('takes integral numbers as integers, all others as floats', () => {
    assert.deepEqual(fromJs(7), { type: 'i64', value: 7 })
    assert.deepEqual(fromJs(7n), { type: 'i64', value: 7 })
    assert.deepEqual(fromJs(-(2n ** 63n)), { type: 'i64', value: -(2n ** 63n) })
    for (const value of [0.5, -0, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      assert.deepEqual(fromJs(value), { type: 'f64', value })
    }
    assert.deepEqual(fromJs(undefined), { type: 'null' })
  })

  it('a map key __proto__ stays a key and touches no prototype', () => {
    const value: Value = {
      type: 'map',
      value: [['__proto__', { type: 'map', value: [['polluted', { type: 'null' }]] }]],
    }
    const object = toJs(value) as Record<string, unknown>
    assert.deepEqual(Object.keys(object), ['__proto__'])
    assert.equal('polluted' in object, false)
    assert.deepEqual(fromJs(object), value)
  })

  it('of duplicate keys keeps the last', () => {
    const entry = (value: number): [string, Value] => ['a', { type: 'i64', value }]
    assert.equal((toJs({ type: 'map', value: [entry(1), entry(2)] }) as Record<string, unknown>).a, 2)
  })

  it('that has no value is refused', () => {
    const loop: unknown[] = []
    loop.push([loop])
    let deep: unknown[] = []
    for (let level = 0; level < 100_000; level++) deep = [deep]
    for (const input of [() => 1, Symbol('x'), 2n ** 63n, loop, deep]) assert.throws(() => fromJs(input), TypeError)
  })

  it('may hold one object twice side by side', () => {
    const shared = [1]
    assert.deepEqual(toJs(fromJs([shared, shared])), [[1], [1]])
  })
})

describe('a value for people', () => {
  const cases: [Value, string][] = [
    [{ type: 'null' }, 'null'],
    [{ type: 'bool', value: true }, 'true'],
    [{ type: 'i64', value: 1 }, '1'],
    [{ type: 'i64', value: 2n ** 60n }, '1152921504606846976'],
    [{ type: 'f64', value: 1 }, '1.0'],
    [{ type: 'f64', value: -0 }, '-0.0'],
    [{ type: 'f64', value: 0.25 }, '0.25'],
    [{ type: 'f64', value: 1e21 }, '1e+21'],
    [{ type: 'f64', value: Number.NaN }, 'NaN'],
    [{ type: 'string', value: 'a"\n' }, '"a\\"\\n"'],
    [{ type: 'string', value: '\x9b\u2028ä' }, '"\\u009b\\u2028ä"'],
    [{ type: 'bytes', value: Uint8Array.of(0, 255) }, '0x00ff'],
    [
      {
        type: 'array',
        value: [
          { type: 'i64', value: 1 },
          { type: 'f32', value: 2 },
        ],
      },
      '[1, 2.0]',
    ],
    [{ type: 'map', value: [['k', { type: 'null' }]] }, '{"k": null}'],
  ]
  for (const [value, text] of cases) it(`is one line: ${text}`, () => assert.equal(formatValue(value), text))
})
