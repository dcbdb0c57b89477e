import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { clampedBezier, curveNames, curveOf, inverseCurve } from '../../runtime/routes/curves.ts'

/** At 0.25, 0.5 and 0.75, to six digits: bridges.md §18.4. */
const TABLE: Record<string, [number, number, number]> = {
  linear: [0.25, 0.5, 0.75],
  quad_in: [0.0625, 0.25, 0.5625],
  quad_out: [0.4375, 0.75, 0.9375],
  quad_in_out: [0.125, 0.5, 0.875],
  ease_in: [0.0625, 0.25, 0.5625],
  ease_out: [0.4375, 0.75, 0.9375],
  ease_in_out: [0.125, 0.5, 0.875],
  cubic_in: [0.015625, 0.125, 0.421875],
  cubic_out: [0.578125, 0.875, 0.984375],
  cubic_in_out: [0.0625, 0.5, 0.9375],
  expo_in: [0.005524, 0.03125, 0.176777],
  expo_out: [0.823223, 0.96875, 0.994476],
  expo_in_out: [0.015625, 0.5, 0.984375],
  sine_in: [0.07612, 0.292893, 0.617317],
  sine_out: [0.382683, Math.SQRT1_2, 0.92388],
  sine_in_out: [0.146447, 0.5, 0.853553],
  circ_in: [0.031754, 0.133975, 0.338562],
  circ_out: [0.661438, 0.866025, 0.968246],
  circ_in_out: [0.066987, 0.5, 0.933013],
  elastic_in: [-0.005524, -0.015625, 0.088388],
  elastic_out: [0.911612, 1.015625, 1.005524],
  bounce_out: [0.472656, 0.765625, 0.972656],
}

test('the curves go through the points of the table', () => {
  for (const [name, points] of Object.entries(TABLE)) {
    const curve = curveOf(name)
    for (const [at, t] of [0.25, 0.5, 0.75].entries()) {
      assert.ok(Math.abs(curve(t) - points[at]) < 1e-6, `${name}(${t}) is ${curve(t)}`)
    }
  }
})

test('every curve starts at 0, ends at 1, and takes what is beyond for its ends', () => {
  for (const name of curveNames) {
    const curve = curveOf(name)
    for (const t of [0, -5, Number.NEGATIVE_INFINITY]) assert.ok(Math.abs(curve(t)) < 1e-12, `${name}(${t})`)
    for (const t of [1, 7, Number.POSITIVE_INFINITY]) assert.ok(Math.abs(curve(t) - 1) < 1e-12, `${name}(${t})`)
  }
})

test('curves with a way back rise all the way, and the way back leads to the start', () => {
  const names = curveNames.filter((name) => inverseCurve(name) !== undefined)
  assert.equal(names.length, 21)
  const number = fc.double({ min: 0, max: 1, noNaN: true })
  fc.assert(
    fc.property(fc.constantFrom(...names), number, number, (name, a, b) => {
      const curve = curveOf(name)
      assert.ok(curve(Math.min(a, b)) <= curve(Math.max(a, b)) + 1e-12)
      const back = inverseCurve(name) as (y: number) => number
      assert.ok(Math.abs(curve(back(curve(a))) - curve(a)) < 1e-9, name)
    }),
    { numRuns: 500, seed: 1 },
  )
})

test('Bézier curves are exact at the known points and stay near wild control points', () => {
  const easeInOut = clampedBezier(0.42, 0, 0.58, 1)
  for (const [t, y] of [
    [0.25, 0.129162],
    [0.5, 0.5],
    [0.75, 0.870838],
  ]) {
    assert.ok(Math.abs(easeInOut(t) - y) < 1e-6)
  }
  assert.ok(Math.abs(clampedBezier(0.25, 0.1, 0.25, 1)(0.5) - 0.802403) < 1e-6)
  // Newton's method alone ends at -13 709 here.
  const steep = clampedBezier(0, 0, 0, 1)(0.001)
  assert.ok(steep >= 0 && steep <= 1, String(steep))
  const x = fc.double({ min: -3, max: 4, noNaN: true })
  const y = fc.double({ min: 0, max: 1, noNaN: true })
  fc.assert(
    fc.property(x, y, x, y, y, y, (x1, y1, x2, y2, a, b) => {
      const curve = clampedBezier(x1, y1, x2, y2)
      const [low, high] = [curve(Math.min(a, b)), curve(Math.max(a, b))]
      assert.ok(low >= 0 && high <= 1 && low <= high + 1e-6, `${low} ${high}`)
    }),
    { numRuns: 500, seed: 1 },
  )
})
