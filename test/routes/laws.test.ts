import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { aggregatorTypes } from '../../runtime/routes/aggregators.ts'
import { curveOf } from '../../runtime/routes/curves.ts'
import { transformNames } from '../../runtime/routes/read-steps.ts'
import { bool, float, int, RuleScene, text } from './rule-scene.ts'
import { AGGREGATOR_LAWS, SERIES_LAWS } from './series-laws.ts'
import { assertNear, holds, number, TRANSFORM_LAWS } from './transform-laws.ts'

test('every transform keeps the law of its formula for any values', () => {
  const laws = { ...TRANSFORM_LAWS, ...SERIES_LAWS }
  const known = ['aggregate', ...Object.keys(laws)].filter((name) => name !== 'bool_threshold')
  assert.deepEqual(known.sort(), [...new Set(transformNames)].sort())
  for (const law of Object.values(laws)) law()
})

test('every aggregator is what it says of the samples of its window', () => {
  assert.deepEqual(Object.keys(AGGREGATOR_LAWS).sort(), [...aggregatorTypes].sort())
  for (const law of Object.values(AGGREGATOR_LAWS)) law()
})

test('every condition holds just where its formula does, and for no value that is no number', () => {
  const passes = (when: unknown, value: Parameters<RuleScene['run']>[0]) =>
    new RuleScene([{ match: '/in/*', to: '/out', when }]).run(value) !== undefined
  const near = fc.oneof(number, fc.integer({ min: -3, max: 3 }))
  holds(near, near, near, (value, a, b) => {
    const [min, max] = [Math.min(a, b), Math.max(a, b)]
    const formulas: [when: object | string, holds: boolean][] = [
      [{ greater_than: a }, value > a],
      [{ less_than: a }, value < a],
      [{ equals: a }, Math.abs(value - a) < 0.001],
      [{ type: 'equals', value: a, tolerance: 2 }, Math.abs(value - a) < 2],
      [{ in_range: { min, max } }, value >= min && value <= max],
      ['value * 2 > 1', value * 2 > 1],
      [{ expression: 'value <= 0' }, value <= 0],
      [{ and: [{ greater_than: min }, { less_than: max }] }, value > min && value < max],
      [{ or: [{ less_than: min }, { greater_than: max }] }, value < min || value > max],
      [{ not: 'value > 1' }, !(value > 1)],
      [{ not: { less_than: a } }, !(value < a)],
      [{ type: 'not', condition: { lessThan: a } }, !(value < a)],
    ]
    for (const [when, expected] of formulas) assert.equal(passes(when, float(value)), expected, JSON.stringify(when))
  })
  const others = fc.oneof(fc.boolean().map(bool), fc.string().map(text), fc.constant({ type: 'null' } as const))
  holds(others, (value) => {
    const numeric = [{ greater_than: -1e9 }, { less_than: 1e9 }, { equals: 0 }, { in_range: { min: -1e9, max: 1e9 } }]
    for (const when of numeric) assert.equal(passes(when, value), false)
  })
  assert.equal(passes({ in_range: { min: 0, max: 1 } }, int(1)), true)
})

const c = (2 * Math.PI) / 3
const bounceOut = (t: number) => {
  const piece = t < 4 / 11 ? 0 : t < 8 / 11 ? 1.5 : t < 10 / 11 ? 2.25 : 2.625
  const floor = { 0: 0, 1.5: 0.75, 2.25: 0.9375, 2.625: 0.984375 }[piece] as number
  return 7.5625 * (t - piece / 2.75) ** 2 + floor
}

/** As bridges.md §18.4 writes them; those that it leaves out are those of easings.net. */
const FORMULAS: Record<string, (t: number) => number> = {
  linear: (t) => t,
  quad_in: (t) => t ** 2,
  quad_out: (t) => 1 - (1 - t) ** 2,
  quad_in_out: (t) => (t < 0.5 ? 2 * t ** 2 : 1 - (2 - 2 * t) ** 2 / 2),
  cubic_in: (t) => t ** 3,
  cubic_out: (t) => 1 - (1 - t) ** 3,
  cubic_in_out: (t) => (t < 0.5 ? 4 * t ** 3 : 1 - (2 - 2 * t) ** 3 / 2),
  expo_in: (t) => (t === 0 ? 0 : 2 ** (10 * t - 10)),
  expo_out: (t) => (t === 1 ? 1 : 1 - 2 ** (-10 * t)),
  expo_in_out: (t) => (t === 0 || t === 1 ? t : t < 0.5 ? 2 ** (20 * t - 10) / 2 : (2 - 2 ** (10 - 20 * t)) / 2),
  sine_in: (t) => 1 - Math.cos((Math.PI * t) / 2),
  sine_out: (t) => Math.sin((Math.PI * t) / 2),
  sine_in_out: (t) => (1 - Math.cos(Math.PI * t)) / 2,
  circ_in: (t) => 1 - Math.sqrt(1 - t ** 2),
  circ_out: (t) => Math.sqrt(1 - (t - 1) ** 2),
  circ_in_out: (t) => (t < 0.5 ? (1 - Math.sqrt(1 - 4 * t ** 2)) / 2 : (Math.sqrt(1 - (2 - 2 * t) ** 2) + 1) / 2),
  elastic_in: (t) => (t === 0 || t === 1 ? t : -(2 ** (10 * t - 10)) * Math.sin((10 * t - 10.75) * c)),
  elastic_out: (t) => (t === 0 || t === 1 ? t : 2 ** (-10 * t) * Math.sin((10 * t - 0.75) * c) + 1),
  back_in: (t) => 2.70158 * t ** 3 - 1.70158 * t ** 2,
  back_out: (t) => 1 + 2.70158 * (t - 1) ** 3 + 1.70158 * (t - 1) ** 2,
  bounce_in: (t) => 1 - bounceOut(1 - t),
  bounce_out: bounceOut,
  bounce_in_out: (t) => (t < 0.5 ? (1 - bounceOut(1 - 2 * t)) / 2 : (1 + bounceOut(2 * t - 1)) / 2),
  logarithmic: (t) => Math.log(1 + t * (Math.E - 1)),
}

test('the curves follow their formulas everywhere', () => {
  const t = fc.double({ min: 0, max: 1, noNaN: true })
  for (const [name, formula] of Object.entries(FORMULAS)) {
    const curve = curveOf(name)
    holds(t, (at) => assertNear(curve(at), formula(at)))
  }
})
