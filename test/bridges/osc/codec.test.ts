import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { OscDecoder } from '../../../runtime/bridges/osc/osc-decoder.ts'
import { isSameOnWire, OscEcho } from '../../../runtime/bridges/osc/osc-echo.ts'
import { OscEncoder, type OscFormat } from '../../../runtime/bridges/osc/osc-encoder.ts'
import type { OscBundle, OscMessage } from '../../../runtime/bridges/osc/osc-packet.ts'
import { timeTagOf, unixUsOf } from '../../../runtime/bridges/osc/osc-time.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'
import { bundle, decode, float32, hex, int32, message, text } from './osc-scene.ts'

const usual: OscFormat = { numbers: 'f32', nil: 'N', bool: 'TF', nestedArrays: 'flatten' }
const int = (value: number | bigint): Value => ({ type: 'i64', value })
const float = (value: number): Value => ({ type: 'f64', value })
const string = (value: string): Value => ({ type: 'string', value })
const list = (...value: Value[]): Value => ({ type: 'array', value })

/** Tag, bytes of the argument, value. */
const ARGUMENTS: [string, string, Value][] = [
  ['i', 'ffffffff', int(-1)],
  ['h', '0000000100000000', int(2 ** 32)],
  ['h', '8000000000000000', int(-(2n ** 63n))],
  ['f', '3dcccccd', float(0.10000000149011612)],
  ['d', '3fe0000000000000', float(0.5)],
  ['s', '68690000', string('hi')],
  ['S', '61626364 00000000', string('abcd')],
  ['b', '00000003 01020300', { type: 'bytes', value: Uint8Array.of(1, 2, 3) }],
  ['T', '', { type: 'bool', value: true }],
  ['F', '', { type: 'bool', value: false }],
  ['N', '', { type: 'null' }],
  ['I', '', float(Number.POSITIVE_INFINITY)],
  // 2024-01-01T00:00:00.5Z
  ['t', 'e93c7f00 80000000', int(1_704_067_200_500_000)],
  ['t', '0000000000000001', int(0)],
  ['c', '00000041', string('A')],
  ['r', '01020304', list(int(1), int(2), int(3), int(4))],
  ['m', '00903c7f', list(int(0), int(0x90), int(60), int(127))],
  ['[ii]', '0000000100000002', list(int(1), int(2))],
  [
    'i[f[s]]T',
    '00000001 3f000000 78000000',
    list(int(1), list(float(0.5), list(string('x'))), { type: 'bool', value: true }),
  ],
]

test('each argument of OSC 1.0 and 1.1 becomes its value', () => {
  for (const [tags, bytes, value] of ARGUMENTS) {
    const packet = decode(message('/x', tags, hex(bytes)))
    assert.deepEqual(packet, { kind: 'message', address: '/x', value, isImpulse: tags === 'I' }, tags)
  }
})

test('time tags are Unix time in both eras, with their fraction', () => {
  assert.equal(unixUsOf(2_208_988_800, 0), 0)
  assert.equal(unixUsOf(2_208_988_800, 0xffffffff), 999_999)
  assert.equal(unixUsOf(3_913_056_000, 2 ** 31), 1_704_067_200_500_000)
  // 2036-02-07T06:28:16Z starts the second era.
  assert.equal(unixUsOf(0, 0), 2_085_978_496_000_000)
  assert.deepEqual(timeTagOf(1_704_067_200_500_000), { seconds: 3_913_056_000, fraction: 2 ** 31 })
  assert.deepEqual(timeTagOf(2_085_978_496_000_000), { seconds: 0, fraction: 0 })
  assert.deepEqual(timeTagOf(0), { seconds: 0, fraction: 1 })
})

test('law: a time becomes a time tag and the same time again', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4_200_000_000_000_000 }), (us) => {
      const { seconds, fraction } = timeTagOf(us)
      assert.ok(seconds < 2 ** 32 && fraction < 2 ** 32)
      assert.equal(unixUsOf(seconds, fraction), us)
    }),
    { seed: 11, numRuns: 500 },
  )
})

test('law: of the last 256 values told within the window, each that comes back is taken once', () => {
  const step = fc.record({
    isTold: fc.boolean(),
    key: fc.constantFrom(...[0, 1, 256, 257].map((number) => ({ number }))),
    value: fc.integer({ min: 0, max: 2 }),
    by: fc.constantFrom('a', 'b'),
    waitMs: fc.constantFrom(0, 0, 3),
    times: fc.constantFrom(1, 1, 90),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const clock = new SteppedClock()
      const echo = new OscEcho<string>(10, clock)
      let told: { key: object; value: number; by: string; at: number; isTaken: boolean }[] = []
      for (const { isTold, key, value, by, waitMs, times } of steps) {
        clock.advance(waitMs)
        for (let i = 0; i < times; i++) {
          if (isTold) {
            echo.remember(key, int(value), by)
            told = [...told, { key, value, by, at: clock.now(), isTaken: false }].slice(-256)
          } else {
            const found = told.findLast(
              (one) =>
                !one.isTaken && one.at >= clock.now() - 10 && one.key === key && one.value === value && one.by !== by,
            )
            assert.equal(echo.takes(key, int(value), by), found !== undefined)
            if (found !== undefined) found.isTaken = true
          }
        }
      }
    }),
    { seed: 3, numRuns: 60 },
  )
})

test('float32 can be taken as the shortest decimal', () => {
  const decoder = new OscDecoder({ roundF32: true, legacyUntyped: false })
  for (const value of [0.1, 0.3, 16777216, 1e-40, 3.4028235e38, -0.7, 123456.79]) {
    const bytes = message('/x', 'f', float32(value))
    assert.deepEqual((decoder.decode(bytes, 0, bytes.length) as OscMessage).value, float(value))
  }
})

test('a message without type tags is a fault, or bytes where that is wanted', () => {
  const bytes = Buffer.concat([text('/old'), hex('00000005')])
  assert.equal(decode(bytes).kind, 'fault')
  const decoder = new OscDecoder({ roundF32: false, legacyUntyped: true })
  assert.deepEqual((decoder.decode(bytes, 0, bytes.length) as OscMessage).value, {
    type: 'bytes',
    value: Uint8Array.of(0, 0, 0, 5),
  })
})

test('nested bundles keep their times, and an element that cannot be read costs only itself', () => {
  const inner = bundle(1_704_067_201_000_000, message('/b'))
  const bytes = bundle(1_704_067_200_000_000, message('/a'), hex('2f7a0000 2c690000'), inner)
  const packet = decode(bytes) as OscBundle
  assert.equal(packet.timeUs, 1_704_067_200_000_000)
  assert.deepEqual(packet.faults, ['/z: arguments are missing'])
  const [a, b] = packet.elements
  assert.equal((a as OscMessage).address, '/a')
  assert.equal((b as OscBundle).timeUs, 1_704_067_201_000_000)
})

test('bytes that are no packet say what is wrong with them', () => {
  const faults: [string, RegExp][] = [
    ['', /no multiple/],
    ['2f6100', /no multiple/],
    ['61000000', /neither a slash nor #bundle/],
    ['2f616263', /a string has no end/],
    ['2f610000 2c696900', /\/a: .*arguments are missing/],
    ['2f610000 2c690000 2c', /no multiple/],
    ['2f610000 2c620000 ffffffff 00000000', /arguments are missing/],
    ['2f610000 2c5b0000', /\[ without \]/],
    ['2f610000 2c5d0000', /\] without \[|there is no type tag/],
    ['2f610000 2c780000 00000000', /no type tag 0x78/],
    ['2fff0000 2c000000', /no UTF-8/],
  ]
  for (const [bytes, problem] of faults) {
    const packet = decode(hex(bytes))
    assert.equal(packet.kind, 'fault', bytes)
    if (packet.kind === 'fault') assert.match(packet.problem, problem)
  }
  let deep: Buffer = message('/a')
  for (let i = 0; i < 40; i++) deep = bundle(0, deep)
  const { elements } = decode(deep) as OscBundle
  assert.equal(elements.length, 1)
  assert.equal(decode(message('/a', '['.repeat(40) + ']'.repeat(40))).kind, 'fault')
})

test('values are written as the relay of upstream writes them', () => {
  const encoder = new OscEncoder()
  const cases: [Value | undefined, Buffer][] = [
    [undefined, message('/x')],
    [{ type: 'null' }, message('/x', 'N')],
    [{ type: 'bool', value: true }, message('/x', 'T')],
    [int(2 ** 31 - 1), message('/x', 'i', int32(2 ** 31 - 1))],
    [int(2 ** 31), message('/x', 'h', hex('0000000080000000'))],
    [int(-(2n ** 63n)), message('/x', 'h', hex('8000000000000000'))],
    [float(0.1), message('/x', 'f', hex('3dcccccd'))],
    [string('né'), message('/x', 's', hex('6ec3a900'))],
    [string('abc\0d'), message('/x', 's', hex('6162636400000000'))],
    [{ type: 'bytes', value: Uint8Array.of(9) }, message('/x', 'b', hex('00000001 09000000'))],
    [list(int(1), list({ type: 'null' }, string('a'))), message('/x', 'iNs', int32(1), text('a'))],
    [list(), message('/x')],
    [{ type: 'map', value: [['a', int(1)]] }, message('/x', 's', text('{"a":1}'))],
  ]
  for (const [value, expected] of cases) {
    const { bytes, start, end } = encoder.message('/x', value, usual)
    assert.deepEqual(bytes.subarray(start, end), expected)
  }
})

test('what was encoded stays while more is, across the ends of the memory it is in', () => {
  const encoder = new OscEncoder()
  const blob: Value = { type: 'bytes', value: new Uint8Array(9000).fill(7) }
  const packets = Array.from({ length: 30 }, (_, i) => encoder.message(`/n${i}`, i % 3 === 0 ? blob : int(i), usual))
  for (const [i, { bytes, start, end }] of packets.entries()) {
    const packet = decode(bytes.subarray(start, end)) as OscMessage
    assert.deepEqual([packet.address, packet.value], [`/n${i}`, i % 3 === 0 ? blob : int(i)])
  }
})

const scalar: fc.Arbitrary<Value> = fc.oneof(
  fc.constant<Value>({ type: 'null' }),
  fc.boolean().map((value): Value => ({ type: 'bool', value })),
  fc.maxSafeInteger().map(int),
  fc.double({ noNaN: true }).map(float),
  fc.string({ unit: 'grapheme' }).map((value) => string(value.replaceAll('\0', ''))),
  fc.uint8Array({ maxLength: 40 }).map((value): Value => ({ type: 'bytes', value })),
)

test('law: values that OSC can hold come back as they were', () => {
  const encoder = new OscEncoder()
  const exact: OscFormat = { numbers: 'f64', nil: 'N', bool: 'TF', nestedArrays: 'brackets' }
  const nested = fc.array(
    fc.oneof(
      scalar,
      fc.array(scalar, { minLength: 1, maxLength: 3 }).map((items) => list(...items)),
    ),
    {
      minLength: 2,
      maxLength: 6,
    },
  )
  fc.assert(
    fc.property(
      fc.oneof(
        scalar,
        nested.map((items) => list(...items)),
      ),
      (value) => {
        const { bytes, start, end } = encoder.message('/x', value, exact)
        assert.equal((end - start) % 4, 0)
        assert.deepEqual((decode(bytes.subarray(start, end)) as OscMessage).value, value)
      },
    ),
    { seed: 3, numRuns: 300 },
  )
})

test('law: whatever bytes come, the decoder answers; damaged packets do not throw', () => {
  const whole = bundle(0, ...ARGUMENTS.map(([tags, bytes]) => message('/x', tags, hex(bytes))))
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(whole.length - 1), fc.nat(255), (noise, at, byte) => {
      decode(Buffer.from(noise))
      const damaged = Buffer.from(whole)
      damaged[at] = byte
      decode(damaged)
      decode(damaged.subarray(0, at))
    }),
    { seed: 5, numRuns: 500 },
  )
})

test('an echo is an echo in whatever type a program repeats it', () => {
  assert.ok(isSameOnWire(float(0.1), float(0.10000000149011612)))
  assert.ok(isSameOnWire(int(1), float(1)))
  assert.ok(isSameOnWire({ type: 'bool', value: true }, int(1)))
  assert.ok(isSameOnWire(list(int(1), string('a')), list(float(1), string('a'))))
  assert.ok(!isSameOnWire(float(0.1), float(0.2)))
  assert.ok(!isSameOnWire(int(0), { type: 'null' }))
  assert.ok(!isSameOnWire(string('1'), int(1)))
})
