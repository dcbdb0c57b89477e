import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { AddressMatch } from '../../runtime/routes/address-match.ts'
import { AddressTemplate } from '../../runtime/routes/address-template.ts'
import { curveNames } from '../../runtime/routes/curves.ts'
import { transformNames } from '../../runtime/routes/read-steps.ts'
import { array, bool, float, int, map, RuleScene, text } from './rule-scene.ts'

const limit = fc.double({ min: -1e6, max: 1e6, noNaN: true })
const positive = fc.double({ min: 1e-3, max: 1e3, noNaN: true })
const factor = fc.double({ min: 0, max: 1, noNaN: true })
const few = fc.integer({ min: 1, max: 20 })
const pair = fc.tuple(limit, limit).map(([a, b]) => ({ min: Math.min(a, b), max: Math.max(a, b) }))
const none = fc.constant({})

/** Settings that are allowed, of every transform that there is. */
const SETTINGS: Record<string, fc.Arbitrary<object>> = {
  scale: fc.record({ from_min: limit, from_max: limit, to_min: limit, to_max: limit, clamp: fc.boolean() }),
  linear: fc.record({ scale: limit, offset: limit }),
  clamp: pair,
  invert: pair,
  quantize: fc.record({ steps: positive }),
  modulo: fc.record({ divisor: positive, positive: fc.boolean() }),
  power: fc.record({ exponent: limit }),
  log: fc.record({ base: fc.double({ min: 1.1, max: 100, noNaN: true }) }),
  round: fc.record({ decimals: fc.integer({ min: 0, max: 15 }) }),
  curve: fc.oneof(
    fc.record({ curve_type: fc.constantFrom(...curveNames) }),
    fc.record({ bezier: fc.record({ x1: limit, y1: limit, x2: limit, y2: limit }) }).map((curve) => ({ curve })),
  ),
  dead_zone: fc.record({ threshold: positive, center: limit, rescale: fc.boolean() }),
  deadzone: none,
  threshold: fc.record({ value: limit, mode: fc.constantFrom('above', 'below', 'equal'), hysteresis: positive }),
  hysteresis: pair.map(({ min, max }) => ({ low: min, high: max })),
  lookup: fc.record({ table: fc.dictionary(fc.string({ maxLength: 5 }), limit), default: fc.string({ minLength: 1 }) }),
  map_type: fc.record({ to_type: fc.constantFrom('int', 'float', 'bool', 'string') }),
  unit: fc.constantFrom({ from: 'Cel', to: '[degF]' }, { from: 'ratio', to: 'dB' }, { from: 'dB', to: '%' }),
  bitwise: fc.record({
    operation: fc.constantFrom(
      'and',
      'or',
      'xor',
      'not',
      'shift_left',
      'shift_right',
      'get_bit',
      'set_bit',
      'clear_bit',
    ),
    operand: fc.integer({ min: 0, max: 63 }),
  }),
  smooth: fc.record({ factor }),
  lowpass: fc.record({ tau_ms: positive }),
  rate_limit: fc.record({ max_delta: positive }),
  one_euro: fc.record({ min_cutoff: positive, beta: positive, d_cutoff: positive }),
  median: fc.record({ n: few }),
  moving_average: fc.record({ window: few }),
  edge: fc.record({ edge: fc.constantFrom('rising', 'falling', 'both') }),
  counter: fc.record({ step: fc.integer({ min: -5, max: 5 }), modulo: few }),
  debounce: fc.record({ ms: few }),
  throttle: fc.record({ hz: few }),
  deadband: fc.record({ abs: positive, rel: factor }),
  slew: fc.record({ units_per_s: fc.double({ min: 1e8, max: 1e12, noNaN: true }) }),
  json_path: fc.record({ path: fc.constantFrom('$', '$.a', '$..*', '$[*]', '$[::-1]', '$.a[0, 1]') }),
  select: fc.record({ path: fc.constantFrom('a', 'a[0]', '[-1]') }),
  merge: fc.record({ object: fc.dictionary(fc.string(), limit) }),
  template: fc.record({ text: fc.string() }),
  unpack: fc.record({ format: fc.constantFrom('u8', 'i16le', 'f32be', 'f64le', 'u64be') }),
  pack: fc.record({ format: fc.constantFrom('u8', 'i16le', 'f32be', 'f64le', 'u64be') }),
  conditional: fc.record({
    condition: fc.record({ type: fc.constant('less_than'), value: limit }),
    if_true: fc.constant('negate'),
  }),
  expression: fc.record({
    expr: fc.constantFrom('value * 2', '1 / value', 'value ^ value', 'sqrt(value)', 'value + prev'),
  }),
  aggregate: fc.record({
    aggregator: fc.record({
      type: fc.constantFrom('average', 'sum', 'min', 'std_dev', 'rate_of_change', 'count'),
      window_size: few,
    }),
  }),
  chain: fc.record({ transforms: fc.constant(['invert', { type: 'smooth', factor: 0.5 }, 'to_int']) }),
}

const scalar: fc.Arbitrary<Value> = fc.oneof(
  { weight: 4, arbitrary: fc.double().map(float) },
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((whole) => int(BigInt(whole))),
  fc.integer().map(int),
  fc.boolean().map(bool),
  fc.string({ maxLength: 10 }).map(text),
  fc.uint8Array({ maxLength: 10 }).map((value): Value => ({ type: 'bytes', value })),
  fc.constant<Value>({ type: 'null' }),
)
const values = fc.oneof(
  { weight: 5, arbitrary: scalar },
  fc.array(scalar, { maxLength: 4 }).map((items) => array(...items)),
  fc.dictionary(fc.constantFrom('a', 'b'), scalar).map(map),
)

/** What a finite value comes to is finite. */
function isBounded(value: Value): boolean {
  return value.type !== 'f64' || Number.isFinite(value.value)
}

test('no transform crashes on any value, and none makes NaN or an infinity of finite values', () => {
  const untold = transformNames.filter((name) => SETTINGS[name] === undefined)
  // Those that have no settings.
  const plain = ['identity', 'direct', 'negate', 'abs', 'toggle', 'gate', 'trigger', 'to_int', 'to_float', 'integrate']
  assert.deepEqual(untold.sort(), [...plain, 'differentiate', 'flip_flop'].sort())
  for (const name of transformNames) {
    fc.assert(
      fc.property(SETTINGS[name] ?? none, fc.array(values, { minLength: 1, maxLength: 6 }), (settings, inputs) => {
        const scene = RuleScene.transform({ type: name, ...settings }, { on_error: 'drop' })
        for (const input of inputs) {
          scene.pass('/in/a', input)
          scene.clock.advance(7)
        }
        scene.clock.advance(2000)
        const hasInfinite = inputs.some((input) => JSON.stringify(input, whole).includes('unbounded'))
        for (const value of scene.values) if (!hasInfinite) assert.ok(isBounded(value), JSON.stringify(value, whole))
        scene.mapper.stop()
        assert.equal(scene.clock.pendingTimers, 0)
      }),
      { numRuns: 12, seed: 3 },
    )
  }
})

function whole(_key: string, value: unknown): unknown {
  if (typeof value === 'number' && !Number.isFinite(value)) return 'unbounded'
  return typeof value === 'bigint' ? String(value) : value
}

test('what is scaled, inverted or converted comes back by the way back', () => {
  const range = fc.record({
    from_min: fc.integer({ min: -1000, max: 0 }),
    from_max: fc.integer({ min: 1, max: 1000 }),
    to_min: fc.integer({ min: -1000, max: 0 }),
    to_max: fc.integer({ min: 1, max: 1000 }),
  })
  const step = fc.oneof(
    range.map((limits) => ({ type: 'scale', ...limits })),
    fc
      .record({ scale: fc.integer({ min: 1, max: 50 }), offset: limit })
      .map((settings) => ({ type: 'linear', ...settings })),
    pair.map((limits) => ({ type: 'invert', ...limits })),
    fc.constantFrom({ type: 'negate' }, { type: 'unit', from: 'K', to: '[degF]' }, { type: 'identity' }),
  )
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 3 }),
      fc.double({ min: -100, max: 100, noNaN: true }),
      (transform, number) => {
        const rule = { direction: 'both', match: '/in/*', to: '/out/$1', transform }
        const there = new RuleScene([rule], 'in').run(float(number)) as { value: number }
        const back = new RuleScene([rule], 'out').run(float(there.value), '/out/a') as { value: number }
        const size = Math.max(1, Math.abs(there.value), 1e9)
        assert.ok(Math.abs(back.value - number) <= 1e-9 * size, `${number} came back as ${back.value}`)
      },
    ),
    { numRuns: 300, seed: 5 },
  )
})

test('clamps hold, quantized values are on the grid, and a limited rate is kept', () => {
  fc.assert(
    fc.property(pair, fc.double({ noNaN: true }), (limits, number) => {
      const { value } = RuleScene.transform({ type: 'clamp', ...limits }).run(float(number)) as { value: number }
      assert.ok(value >= limits.min && value <= limits.max)
    }),
    { numRuns: 200, seed: 1 },
  )
  fc.assert(
    fc.property(few, limit, (steps, number) => {
      const { value } = RuleScene.transform({ type: 'quantize', steps }).run(float(number)) as { value: number }
      assert.ok(Math.abs(value * steps - Math.round(value * steps)) < 1e-6)
      assert.ok(Math.abs(value - number) <= 0.5 / steps + 1e-9)
    }),
    { numRuns: 200, seed: 1 },
  )
  fc.assert(
    fc.property(positive, fc.array(limit, { minLength: 2, maxLength: 10 }), (most, numbers) => {
      const scene = RuleScene.transform({ type: 'rate_limit', max_delta: most })
      const results = numbers.map((number) => (scene.run(float(number)) as { value: number }).value)
      for (let i = 1; i < results.length; i++)
        assert.ok(Math.abs(results[i] - results[i - 1]) <= most * (1 + 1e-9) + 1e-6)
    }),
    { numRuns: 200, seed: 1 },
  )
})

test('aggregates stay between the smallest and the largest of their samples', () => {
  const types = fc.constantFrom('average', 'min', 'max', 'latest', 'first')
  fc.assert(
    fc.property(types, fc.array(limit, { minLength: 1, maxLength: 20 }), few, (type, numbers, size) => {
      const scene = RuleScene.transform({ aggregate: { type, window_size: size } })
      let result = Number.NaN
      for (const number of numbers) result = (scene.run(float(number)) as { value: number }).value
      const window = numbers.slice(-size)
      const slack = 1e-9 * 1e6
      assert.ok(result >= Math.min(...window) - slack && result <= Math.max(...window) + slack)
    }),
    { numRuns: 200, seed: 1 },
  )
})

test('whatever is written as rules is refused or works: nothing throws', () => {
  const names = [
    ...transformNames,
    'wasm',
    'moving_average',
    'value',
    'expr',
    'min',
    'table',
    'condition',
    'conditions',
  ]
  const words = fc.oneof(
    fc.constantFrom(...names, '/a/*', '/b/$1', '/**', '/{1-3}/x', '$0', 'both', 'sliding:5'),
    fc.string(),
  )
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof({ maxDepth: 4 }, words, fc.double(), fc.boolean(), fc.constant(null), tie('list'), tie('table')),
    list: fc.array(tie('tree'), { maxLength: 3 }),
    table: fc.dictionary(fc.constantFrom('type', 'transforms', 'transform', ...names), tie('tree'), { maxKeys: 3 }),
  }))
  const rule = fc.record(
    {
      match: fc.constantFrom('/a/*', '/**', '/{1-3}/x', '/a/**/{x,y}'),
      to: fc.constantFrom('/b/$1', '/b', '/b/*', '$0'),
      direction: fc.constantFrom('in', 'out', 'both'),
      transform: tree,
      when: tree,
      reverse: tree,
      default: tree,
      ttl: tree,
      aggregate: tree,
      fan: tree,
      join: tree,
      rate: tree,
      signal: tree,
    },
    { requiredKeys: ['match', 'to'] },
  )
  let accepted = 0
  fc.assert(
    fc.property(
      fc.array(rule, { maxLength: 2 }),
      fc.constantFrom('/a/b', '/3/x', '/a/1/2/y', '/'),
      scalar,
      (rules, address, value) => {
        try {
          const scene = new RuleScene(rules)
          scene.pass(address, value)
          scene.mapper.stop()
          accepted++
        } catch (error) {
          assert.ok(error instanceof RangeError && error.message.startsWith('map['), String((error as Error).stack))
        }
      },
    ),
    { numRuns: 500, seed: 11 },
  )
  assert.ok(accepted > 50, `only ${accepted} were rules`)
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('/', '*', '{', '}', ',', '-', '1', 'a', '$', '(', '.') }),
      (pattern) => {
        const match = AddressMatch.parse(`/${pattern}`)
        if (match instanceof AddressMatch) match.capturesOf('/a/1/a-a/(.')
        AddressTemplate.parse(`/${pattern}`, 3)
      },
    ),
    { numRuns: 500, seed: 2 },
  )
})
