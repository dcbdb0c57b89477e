import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { array, bool, float, int, map, RuleScene, text } from './rule-scene.ts'

const bytes = (...value: number[]): Value => ({ type: 'bytes', value: Uint8Array.from(value) })
const nothing: Value = { type: 'null' }
const range = { from_min: 0, from_max: 10, to_min: 100, to_max: 200 }

type Vector = readonly [transform: unknown, input: Value, result: Value]

/** Formulas and edge cases of bridges.md §18.3, project column. */
const VECTORS: readonly Vector[] = [
  ['identity', int(3), int(3)],
  [{ type: 'scale', ...range }, int(5), float(150)],
  [{ type: 'scale', ...range }, float(20), float(300)],
  [{ type: 'scale', ...range, clamp: true }, float(20), float(200)],
  [{ type: 'scale', fromMin: 3, fromMax: 3, toMin: 7, toMax: 9 }, float(5), float(7)],
  [{ type: 'scale', from_min: 0, from_max: 1, to_min: 1, to_max: 0 }, float(0.25), float(0.75)],
  ['scale', float(0.5), float(63.5)],
  [{ Scale: { scale: 2, offset: 1 } }, int(4), float(9)],
  [{ type: 'clamp', min: -1, max: 1 }, int(9), float(1)],
  ['clamp', float(-3), float(0)],
  ['invert', float(0.25), float(0.75)],
  [{ Invert: { min: 10, max: 20 } }, int(12), float(18)],
  ['to_int', float(-2.7), int(-2)],
  ['to_int', float(Number.NaN), int(0)],
  ['to_int', float(1e30), int(2n ** 63n - 1n)],
  ['to_int', float(-1e30), int(-(2n ** 63n))],
  ['to_float', float(2.7), float(2.7)],
  ['to_float', int(2), float(2)],
  [{ type: 'lookup', table: { 1: 'one', true: 'yes', red: 3 } }, float(1), text('one')],
  [{ type: 'lookup', table: { 1: 'one', true: 'yes', red: 3 } }, bool(true), text('yes')],
  [{ type: 'lookup', table: { 1: 'one', true: 'yes', red: 3 } }, text('red'), int(3)],
  [{ type: 'lookup', table: { 1: 'one' } }, int(2), int(2)],
  [{ type: 'lookup', table: { 1: 'one' }, default: 0.5 }, array(), float(0.5)],
  [{ type: 'curve', curve_type: 'quad_in' }, float(0.5), float(0.25)],
  [{ type: 'curve', curve_type: 'ease-out' }, float(2), float(1)],
  [{ type: 'curve', curve_type: { bezier: { x1: 0.42, y1: 0, x2: 0.58, y2: 1 } } }, float(0.5), float(0.5)],
  [{ type: 'quantize', steps: 4 }, float(0.3), float(0.25)],
  [{ type: 'quantize', steps: 2 }, float(-0.25), float(-0.5)],
  [{ type: 'dead_zone', threshold: 0.1 }, float(-0.05), float(0)],
  [{ type: 'dead_zone', threshold: 1 }, int(3), int(3)],
  [{ type: 'dead_zone', threshold: 0.25, center: 0.5, rescale: true }, float(1), float(0.75)],
  ['deadzone', float(0.45), float(0)],
  [{ type: 'threshold', value: 5 }, int(5), float(0)],
  [{ type: 'threshold', value: 5, mode: 'below' }, float(4.9), float(1)],
  [{ type: 'threshold', value: 5, mode: 'equal' }, float(5.0009), float(1)],
  ['threshold', float(0.5), float(1)],
  [{ Threshold: { value: 5 } }, int(6), bool(true)],
  [{ type: 'modulo', divisor: 3 }, int(-4), float(-1)],
  [{ type: 'modulo', divisor: 3, positive: true }, int(-4), float(2)],
  ['abs', int(-4), float(4)],
  ['negate', int(4), float(-4)],
  [{ type: 'power', exponent: 3 }, int(2), float(8)],
  [{ type: 'power', exponent: 0.5 }, int(-2), int(-2)],
  [{ type: 'log', base: 10 }, int(1000), float(Math.log(1000) / Math.log(10))],
  ['log', int(0), int(0)],
  [{ type: 'round', decimals: 1 }, float(-0.25), float(-0.3)],
  ['toggle', float(0.5), float(0)],
  ['gate', float(0.01), float(1)],
  ['trigger', float(-1), float(1)],
  [{ type: 'chain', transforms: ['invert', { type: 'power', exponent: 2 }] }, float(0.5), float(0.25)],
  [
    { type: 'conditional', condition: { type: 'greater_than', value: 1 }, if_true: 'negate', if_false: 'to_int' },
    float(2.5),
    float(-2.5),
  ],
  [
    { type: 'conditional', condition: { type: 'greater_than', value: 1 }, if_true: 'negate', if_false: 'to_int' },
    float(0.5),
    int(0),
  ],
  [{ type: 'json_path', path: '$.a[0]' }, map({ a: array(int(4), int(5)) }), int(4)],
  [{ type: 'json_path', path: '$.a[*]' }, map({ a: array(int(4), int(5)) }), array(int(4), int(5))],
  [{ type: 'json_path', path: '$.b' }, map({ a: int(1) }), nothing],
  [{ type: 'json_path', path: '$..v' }, map({ a: map({ v: int(1) }), v: int(2) }), array(int(2), int(1))],
  [{ type: 'json_path', path: "$['a b'][-1:]" }, map({ 'a b': array(int(4), int(5)) }), int(5)],
  [{ type: 'json_path', path: '$.a' }, map({ a: bytes(1, 2, 3) }), text('AQID')],
  [{ type: 'json_path', path: '$.a' }, map({ a: map({ b: int(1) }) }), map({ b: int(1) })],
  [{ type: 'select', path: 'a.b' }, map({ a: map({ b: int(1) }) }), int(1)],
  [{ type: 'map_type', from_type: 'string', to_type: 'int' }, text('-12'), int(-12)],
  [{ type: 'map_type', to_type: 'int' }, text('1.5'), text('1.5')],
  [{ type: 'map_type', to_type: 'int' }, text('9223372036854775808'), text('9223372036854775808')],
  [{ type: 'map_type', to_type: 'float' }, float(2.7), float(2.7)],
  [{ type: 'map_type', to_type: 'float' }, text('1e2'), float(100)],
  [{ type: 'map_type', to_type: 'bool' }, text('off'), bool(false)],
  [{ type: 'map_type', to_type: 'bool' }, float(0.1), bool(true)],
  [{ type: 'map_type', to_type: 'string' }, float(5), text('5')],
  [{ type: 'map_type', to_type: 'string' }, float(1e21), text('1000000000000000000000')],
  [{ type: 'map_type', to_type: 'string' }, bool(true), text('true')],
  [{ type: 'bitwise', operation: 'and', operand: 6 }, float(12.9), int(4)],
  [{ type: 'bitwise', operation: 'not' }, int(0), int(-1)],
  [{ type: 'bitwise', operation: 'shift_left', operand: 63 }, int(1), int(-(2n ** 63n))],
  [{ type: 'bitwise', operation: 'shift_right' }, int(-3), int(-2)],
  [{ type: 'bitwise', operation: 'get_bit', operand: 62 }, int(2n ** 62n), int(1)],
  [{ type: 'bitwise', operation: 'clear_bit', operand: 0 }, int(2n ** 62n + 1n), int(2n ** 62n)],
  [{ type: 'unit', from: '[degF]', to: 'Cel' }, int(212), float(100)],
  [{ type: 'unit', from: 'hPa', to: 'Pa' }, int(10), float(1000)],
  [{ type: 'unit', from: 'ratio', to: 'dB' }, float(10), float(20)],
  [{ type: 'template', text: '{value} °C in $1' }, float(21.5), text('21.5 °C in a')],
  [{ unpack: { type: 'u16le', offset: 1 } }, bytes(0, 1, 2), int(513)],
  [{ type: 'unpack', format: 'i16be' }, bytes(0xff, 0xfe), int(-2)],
  [{ unpack: { type: 'f32be' } }, bytes(0x3f, 0x80, 0, 0), float(1)],
  [{ unpack: { type: 'u64le' } }, bytes(255, 255, 255, 255, 255, 255, 255, 255), float(2 ** 64)],
  [{ pack: { type: 'u16be' } }, int(258), bytes(1, 2)],
  [{ pack: { type: 'u8' } }, int(300), bytes(255)],
  [{ merge: { object: { b: 2 } } }, map({ a: int(1), b: int(1) }), map({ a: int(1), b: int(2) })],
  [{ type: 'expression', expr: 'value * 2' }, int(4), float(8)],
]

test('every transform has the results of its formula', () => {
  for (const [transform, input, result] of VECTORS) {
    assert.deepEqual(RuleScene.transform(transform).run(input), result, JSON.stringify(transform))
  }
})

test('what is no number passes numeric transforms unchanged; Bool is a number only where the rule says so', () => {
  for (const transform of ['scale', 'invert', 'to_int', 'negate', { type: 'smooth', factor: 0.5 }, 'threshold']) {
    for (const value of [text('a'), bool(true), nothing, array(int(1))]) {
      assert.deepEqual(RuleScene.transform(transform).run(value), value)
    }
  }
  assert.deepEqual(RuleScene.transform('invert', { bool_numeric: true }).run(bool(true)), float(0))
})

/** What a series of values becomes; a number before a value lets milliseconds pass. */
function series(transform: unknown, ...inputs: (number | [ms: number, value: number])[]): unknown[] {
  const scene = RuleScene.transform(transform)
  return inputs.map((input) => {
    const [ms, number] = typeof input === 'number' ? [0, input] : input
    scene.clock.advance(ms)
    const result = scene.run(float(number))
    return result !== undefined && 'value' in result ? result.value : 'held'
  })
}

test('filters remember: the first sample passes, later ones are drawn toward it', () => {
  assert.deepEqual(series({ type: 'smooth', factor: 0.5 }, 4, 8, 8), [4, 6, 7])
  assert.deepEqual(series({ type: 'lowpass', tau_ms: 10 }, 0, [10, 1]), [0, 1 - Math.exp(-1)])
  assert.deepEqual(series({ type: 'rate_limit', max_delta: 2 }, 0, 5, 5, -5), [0, 2, 4, 2])
  assert.deepEqual(series({ type: 'median', n: 3 }, 1, 9, 2, 3), [1, 1, 2, 3])
  assert.deepEqual(series({ type: 'moving_average', window: 2 }, 2, 4, 8), [2, 3, 6])
  assert.deepEqual(series('integrate', 0, [1000, 2], [500, 2]), [0, 1, 2])
  assert.deepEqual(series('differentiate', 1, [500, 2], [500, 2]), [0, 2, 0])
  assert.deepEqual(series({ type: 'hysteresis', low: 1, high: 3 }, 2, 3, 2, 1), [0, 1, 1, 0])
  assert.deepEqual(series({ type: 'threshold', value: 2, hysteresis: 1 }, 2.1, 1.5, 1, 2), [1, 1, 0, 0])
  assert.deepEqual(series('flip_flop', 1, 0, 1, 1), [1, 1, 0, 0])
  assert.deepEqual(series('counter', 1, 0, 1), [1, 1, 2])
  assert.deepEqual(series({ type: 'counter', modulo: 2 }, 1, 0, 1), [1, 1, 0])
  assert.deepEqual(series({ type: 'edge' }, 0, 1, 1, 0, 1), ['held', 1, 'held', 'held', 1])
  assert.deepEqual(series({ type: 'edge', edge: 'falling' }, 0, 1, 0), ['held', 'held', 0])
  assert.deepEqual(series({ type: 'deadband', abs: 0.5 }, 1, 1.4, 1.5, 0, -0.1), [1, 'held', 1.5, 0, 'held'])
  assert.deepEqual(series({ type: 'deadband', rel: 0.1 }, 100, 109, 110), [100, 'held', 110])
})

test('the one-euro filter follows its formula', () => {
  const alpha = (cutoff: number) => 1 / (1 + 1 / (2 * Math.PI * cutoff * 0.1))
  const speed = alpha(1) * 10
  const expected = alpha(1 + 0.5 * speed)
  const [first, second] = series({ type: 'one_euro', beta: 0.5 }, 0, [100, 1])
  assert.equal(first, 0)
  assert.ok(Math.abs((second as number) - expected) < 1e-12)
})

test('the steps of a chain do not share what they remember', () => {
  const chain = {
    type: 'chain',
    transforms: [
      { type: 'smooth', factor: 0.5 },
      { type: 'rate_limit', max_delta: 1 },
    ],
  }
  assert.deepEqual(series(chain, 0, 8, 8), [0, 1, 2])
})

test('addresses do not share what a step remembers', () => {
  const scene = RuleScene.transform({ type: 'smooth', factor: 0.5 })
  scene.run(float(0), '/in/a')
  assert.deepEqual(scene.run(float(8), '/in/b'), float(8))
  assert.deepEqual(scene.run(float(8), '/in/a'), float(4))
})

test('aggregators go over the samples of an address, by number and by time', () => {
  const of = (type: string, more: object = {}) => ({ aggregate: { type, ...more } })
  assert.deepEqual(series(of('average'), 1, 2, 6), [1, 1.5, 3])
  assert.deepEqual(series(of('sum'), 1, 2), [1, 3])
  assert.deepEqual(series(of('min'), 2, 1, 3), [2, 1, 1])
  assert.deepEqual(series(of('max', { window_size: 2 }), 3, 1, 2), [3, 3, 2])
  assert.deepEqual(series(of('first'), 3, 1), [3, 3])
  assert.deepEqual(series(of('latest'), 3, 1), [3, 1])
  assert.deepEqual(series(of('std_dev'), 2, 4), [0, 1])
  assert.deepEqual(series(of('rate_of_change'), 1, [500, 2], 5), [0, 2, 0])
  assert.deepEqual(series(of('moving_average', { window_size: 2 }), 1, 3, 5), [1, 2, 4])
  assert.deepEqual(series(of('sum', { window_ms: 100 }), 1, [60, 2], [60, 4]), [1, 3, 6])
  assert.deepEqual(series(of('count'), ...new Array(102).fill(0)).slice(-1), [100])
})

test('a debounced value passes when nothing follows it for a while', () => {
  const scene = RuleScene.transform({ type: 'debounce', ms: 50 })
  scene.run(float(1))
  scene.clock.advance(30)
  scene.run(float(2))
  scene.clock.advance(49)
  assert.deepEqual(scene.values, [])
  scene.clock.advance(1)
  assert.deepEqual(scene.values, [float(2)])
  assert.equal(scene.clock.pendingTimers, 0)
})

test('a throttled series keeps its first and its last value', () => {
  const scene = RuleScene.transform({ type: 'throttle', hz: 10 })
  for (let i = 0; i < 25; i++) {
    scene.run(float(i))
    scene.clock.advance(10)
  }
  scene.clock.advance(1000)
  assert.deepEqual(scene.values, [float(0), float(9), float(19), float(24)])
  assert.equal(scene.clock.pendingTimers, 0)
})

test('a slewed value moves at its speed until it is there', () => {
  const scene = RuleScene.transform({ type: 'slew', units_per_s: 10 })
  scene.run(float(0))
  scene.run(float(0.5))
  scene.clock.advance(1000)
  const numbers = scene.values.map((value) => (value as { value: number }).value)
  assert.deepEqual(
    numbers.map((number) => Number(number.toFixed(6))),
    [0, 0.2, 0.4, 0.5],
  )
  assert.equal(scene.clock.pendingTimers, 0)
})

test('conditions hold for numbers only, and combine', () => {
  const holds = (when: unknown, value: Value) =>
    new RuleScene([{ match: '/in/*', to: '/out', when }]).run(value) !== undefined
  assert.equal(holds({ type: 'greater_than', value: 1 }, int(1)), false)
  assert.equal(holds({ type: 'less_than', value: 1 }, float(0.9)), true)
  assert.equal(holds({ type: 'equals', value: 1 }, float(1.0009)), true)
  assert.equal(holds({ type: 'equals', value: 1, tolerance: 0 }, float(1)), false)
  assert.equal(holds({ type: 'in_range', min: 1, max: 2 }, int(2)), true)
  assert.equal(holds({ type: 'in_range', min: 1, max: 2 }, text('2')), false)
  assert.equal(holds({ type: 'not', condition: { type: 'less_than', value: 5 } }, text('a')), true)
  assert.equal(holds({ type: 'and', conditions: [] }, nothing), true)
  assert.equal(holds({ type: 'or', conditions: [] }, int(1)), false)
  assert.equal(holds({ type: 'expression', expr: 'value * 2 == 4.0' }, int(2)), true)
  assert.equal(holds({ type: 'expression', expr: 'value' }, int(2)), false)
  assert.equal(holds('value > 0.01', float(0.02)), true)
})
