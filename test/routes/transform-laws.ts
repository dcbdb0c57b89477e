import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { array, bool, float, int, map, RuleScene, text } from './rule-scene.ts'

/** What holds for every value: throws where it does not. */
export type Law = () => void

export const number = fc.double({ min: -1e6, max: 1e6, noNaN: true })
export const positive = fc.double({ min: 1e-3, max: 1e3, noNaN: true })
const whole = fc.integer({ min: -1_000_000, max: 1_000_000 })
const big = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
const limits = fc.tuple(number, number).map(([a, b]) => ({ min: Math.min(a, b), max: Math.max(a, b) }))

/** Runs enough to meet the interesting values, and few enough to be quick. */
export function holds<Ts extends [unknown, ...unknown[]]>(
  ...given: [...arbitraries: { [K in keyof Ts]: fc.Arbitrary<Ts[K]> }, predicate: (...values: Ts) => void]
): void {
  fc.assert(fc.property<Ts>(...given), { numRuns: 40, seed: 17 })
}

/** The result of one step for one value; undefined: there is none. */
export function run(transform: unknown, value: Value): Value | undefined {
  return RuleScene.transform(transform, { on_error: 'drop' }).run(value)
}

/** That of a number. */
function of(transform: unknown, input: number): number {
  const result = run(transform, float(input))
  assert.equal(result?.type, 'f64')
  return (result as { value: number }).value
}

export function assertNear(actual: number, expected: number): void {
  const slack = 1e-9 * Math.max(1, Math.abs(actual), Math.abs(expected))
  assert.ok(Math.abs(actual - expected) <= slack, `${actual} instead of ${expected}`)
}

const unchanged =
  (transform: unknown): Law =>
  () =>
    holds(fc.oneof(number.map(float), big.map(int), fc.string().map(text)), (value) =>
      assert.deepEqual(run(transform, value), value),
    )

/** A step that says yes or no. */
const decides =
  (transform: unknown, isOn: (input: number) => boolean, edges: readonly number[]): Law =>
  () =>
    holds(fc.oneof(number, fc.constantFrom(...edges)), (input) =>
      assert.equal(of(transform, input), isOn(input) ? 1 : 0),
    )

const FORMATS: Record<string, (bytes: Buffer) => number | bigint> = {
  u8: (bytes) => bytes.readUInt8(),
  i8: (bytes) => bytes.readInt8(),
  u16le: (bytes) => bytes.readUInt16LE(),
  i16be: (bytes) => bytes.readInt16BE(),
  u32be: (bytes) => bytes.readUInt32BE(),
  i32le: (bytes) => bytes.readInt32LE(),
  i64be: (bytes) => bytes.readBigInt64BE(),
  f32le: (bytes) => bytes.readFloatLE(),
  f64be: (bytes) => bytes.readDoubleBE(),
}
const format = fc.constantFrom(...Object.keys(FORMATS))
const eightBytes = fc.uint8Array({ minLength: 8, maxLength: 8 })

/** Of steps that look at one value alone: bridges.md §18.3. */
export const TRANSFORM_LAWS: Record<string, Law> = {
  identity: unchanged('identity'),
  direct: unchanged('direct'),
  scale: () =>
    holds(limits, number, number, fc.boolean(), number, ({ min, max }, to_min, to_max, clamp, input) => {
      const scale = { type: 'scale', from_min: min, from_max: max + 1, to_min, to_max, clamp }
      assertNear(of(scale, min), to_min)
      assertNear(of(scale, max + 1), to_max)
      assertNear(of(scale, (min + max + 1) / 2), (to_min + to_max) / 2)
      const isInside = of(scale, input) >= Math.min(to_min, to_max) && of(scale, input) <= Math.max(to_min, to_max)
      if (clamp) assert.ok(isInside)
    }),
  linear: () =>
    holds(number, number, number, (scale, offset, input) =>
      assertNear(of({ type: 'linear', scale, offset }, input), input * scale + offset),
    ),
  clamp: () =>
    holds(limits, number, ({ min, max }, input) => {
      const [, middle] = [min, input, max].sort((a, b) => a - b)
      assert.equal(of({ type: 'clamp', min, max }, input), middle)
    }),
  invert: () =>
    holds(limits, number, ({ min, max }, input) => {
      const invert = { type: 'invert', min, max }
      assertNear(of(invert, min), max)
      assertNear(of([invert, invert], input), input)
    }),
  negate: () => holds(number, (input) => assert.equal(of('negate', input) + input, 0)),
  abs: () => holds(number, (input) => assert.equal(of('abs', input), Math.max(input, -input))),
  quantize: () =>
    holds(fc.integer({ min: 1, max: 64 }), number, (steps, input) => {
      const result = of({ quantize: steps }, input)
      assertNear(result * steps, Math.round(result * steps))
      assert.ok(Math.abs(result - input) <= 0.5 / steps + 1e-9)
      assertNear(of({ quantize: steps }, result), result)
    }),
  modulo: () =>
    holds(whole, fc.integer({ min: 1, max: 1000 }), (input, divisor) => {
      const rest = of({ modulo: divisor }, input)
      assert.ok(Math.abs(rest) < divisor && rest * input >= 0)
      const least = of({ type: 'modulo', divisor, positive: true }, input)
      assert.ok(least >= 0 && least < divisor)
      for (const one of [rest, least]) assert.ok(Number.isInteger((input - one) / divisor))
    }),
  power: () =>
    holds(positive, fc.integer({ min: -4, max: 4 }), (input, exponent) =>
      assertNear(Math.log(of({ power: exponent }, input)), exponent * Math.log(input)),
    ),
  log: () =>
    holds(positive, fc.integer({ min: 2, max: 20 }), (input, base) => {
      assertNear(base ** of({ log: base }, input), input)
      assert.equal(of({ log: base }, -input), -input)
    }),
  round: () =>
    holds(number, whole, fc.integer({ min: 0, max: 6 }), (input, half, decimals) => {
      const result = of({ round: decimals }, input)
      assert.ok(Math.abs(result - input) <= 0.5 * 10 ** -decimals + 1e-9)
      assertNear(of({ round: decimals }, result), result)
      assert.equal(of('round', half + 0.5), half < 0 ? half : half + 1)
    }),
  curve: () =>
    holds(number, (input) => {
      const eased = of({ curve: 'quad_in' }, input)
      assertNear(Math.sqrt(eased), Math.min(1, Math.max(0, input)))
    }),
  dead_zone: () =>
    holds(positive, number, number, (threshold, center, input) => {
      const distance = Math.abs(input - center)
      const plain = of({ type: 'dead_zone', threshold, center }, input)
      assert.equal(plain, distance < threshold ? center : input)
      const rescaled = of({ type: 'dead_zone', threshold, center, rescale: true }, input)
      assertNear(Math.abs(rescaled - center), Math.max(0, distance - threshold))
    }),
  deadzone: () =>
    holds(fc.double({ min: 0, max: 1, noNaN: true }), (input) =>
      assert.equal(of('deadzone', input), input >= 0.4 && input <= 0.6 ? 0 : input),
    ),
  threshold: () => {
    decides({ threshold: 2 }, (input) => input > 2, [2])()
    decides({ type: 'threshold', value: 2, mode: 'below' }, (input) => input < 2, [2])()
    decides({ type: 'threshold', value: 2, mode: 'equal' }, (input) => Math.abs(input - 2) < 0.001, [2, 2.002])()
    decides('threshold', (input) => input >= 0.5, [0.5])()
  },
  bool_threshold: () =>
    holds(number, number, (limit, input) =>
      assert.deepEqual(run({ Threshold: { value: limit } }, float(input)), bool(input > limit)),
    ),
  toggle: decides('toggle', (input) => input > 0.5, [0.5, 0.6]),
  gate: decides('gate', (input) => input > 0, [0]),
  trigger: decides('trigger', (input) => input !== 0, [0]),
  to_int: () =>
    holds(number, (input) => {
      const { value } = run('to_int', float(input)) as { value: number }
      assert.ok(Number.isInteger(value) && Math.abs(value) <= Math.abs(input) && Math.abs(input - value) < 1)
    }),
  to_float: () => holds(big, (input) => assert.deepEqual(run('to_float', int(input)), float(Number(input)))),
  lookup: () =>
    holds(fc.dictionary(fc.stringMatching(/^[a-z]{1,3}$/), whole), fc.stringMatching(/^[a-z]{1,3}$/), (table, key) => {
      const found = Object.hasOwn(table, key) ? int(table[key]) : text('none')
      assert.deepEqual(run({ lookup: { table, default: 'none' } }, text(key)), found)
    }),
  map_type: () =>
    holds(number, big, (input, whole) => {
      assert.deepEqual(run([{ map_type: 'string' }, { map_type: 'float' }], float(input)), float(input))
      const back = run([{ map_type: 'string' }, { map_type: 'int' }], int(whole)) as { value: number | bigint }
      assert.equal(BigInt(back.value), whole)
      assert.deepEqual(run({ map_type: 'bool' }, float(input)), bool(input !== 0))
    }),
  unit: () =>
    holds(number, fc.constantFrom(['C', 'K', 'F'], ['Pa', 'hPa', 'bar'], ['mm', 'm', 'cm']), (input, [a, b, c]) => {
      const direct = of({ unit: { from: a, to: c } }, input)
      const around = [{ unit: { from: a, to: b } }, { unit: { from: b, to: c } }]
      assertNear(of(around, input), direct)
      assertNear(of({ unit: { from: c, to: a } }, direct), input)
    }),
  bitwise: () =>
    holds(whole, fc.integer({ min: 0, max: 2 ** 20 }), fc.integer({ min: 0, max: 62 }), (input, operand, bit) => {
      const bits = (operation: string, other: number, value: number | bigint = input) =>
        BigInt((run({ type: 'bitwise', operation, operand: other }, int(value)) as { value: number | bigint }).value)
      const [both, either] = [bits('and', operand), bits('or', operand)]
      assert.equal(both + either, BigInt(input) + BigInt(operand))
      assert.equal(bits('xor', operand), either - both)
      assert.equal(bits('not', 0), -1n - BigInt(input))
      assert.equal(bits('shift_left', bit), BigInt.asIntN(64, BigInt(input) * 2n ** BigInt(bit)))
      assert.equal(bits('shift_right', bit), BigInt(input) >> BigInt(bit))
      assert.equal(bits('get_bit', bit, bits('set_bit', bit)), 1n)
      assert.equal(bits('get_bit', bit, bits('clear_bit', bit)), 0n)
    }),
  json_path: () =>
    holds(fc.array(whole, { maxLength: 5 }), fc.nat(6), (items, at) => {
      const value = map({ a: array(...items.map(int)) })
      const found: Value = at < items.length ? int(items[at]) : { type: 'null' }
      assert.deepEqual(run({ json_path: `$.a[${at}]` }, value), found)
    }),
  select: () =>
    holds(fc.array(whole, { maxLength: 5 }), fc.nat(6), (items, at) => {
      const found = at < items.length ? int(items[at]) : undefined
      assert.deepEqual(run({ select: `[${at}]` }, array(...items.map(int))), found)
    }),
  merge: () =>
    holds(
      fc.dictionary(fc.constantFrom('a', 'b', 'c'), whole),
      fc.dictionary(fc.constantFrom('b', 'c'), whole),
      (own, object) => {
        const members = Object.fromEntries(Object.entries({ ...own, ...object }).map(([key, item]) => [key, int(item)]))
        const given = map(Object.fromEntries(Object.entries(own).map(([key, item]) => [key, int(item)])))
        const merged = run({ merge: { object } }, given) as Extract<Value, { type: 'map' }>
        assert.deepEqual(Object.fromEntries(merged.value), members)
      },
    ),
  template: () =>
    holds(big, (input) =>
      assert.deepEqual(run({ template: '<{value}> $1 {addr}' }, int(input)), text(`<${input}> a /in/a`)),
    ),
  unpack: () =>
    holds(eightBytes, format, (value, name) => {
      const expected = FORMATS[name](Buffer.from(value))
      const result = run({ unpack: name }, { type: 'bytes', value }) as { value: number | bigint } | undefined
      if (result === undefined) assert.ok(!Number.isFinite(Number(expected)))
      else assert.ok(name.startsWith('f') ? result.value === expected : BigInt(result.value) === BigInt(expected))
    }),
  pack: () =>
    holds(fc.integer({ min: 0, max: 127 }), format, (input, name) => {
      const { value } = run({ pack: name }, int(input)) as { value: Uint8Array }
      assert.equal(value.length * 8, Number(/\d+/.exec(name)))
      assert.equal(Number(FORMATS[name](Buffer.from(value))), input)
    }),
  conditional: () =>
    holds(number, (input) => {
      const conditional = { condition: 'value > 0', if_true: 'negate', if_false: { linear: { offset: 1 } } }
      assert.equal(of({ conditional }, input), input > 0 ? -input : input + 1)
    }),
  expression: () =>
    holds(number, number, (input, factor) => {
      assertNear(of({ expression: `value * ${factor.toFixed(3)} + 1` }, input), input * Number(factor.toFixed(3)) + 1)
      assertNear(of({ expression: 'value > 0 ? value : -value' }, input), Math.abs(input))
    }),
  chain: () =>
    holds(number, (input) => {
      const once = of({ chain: ['negate', { linear: { offset: 2 } }] }, input)
      assert.equal(once, 2 - input)
    }),
}
