import assert from 'node:assert/strict'
import fc from 'fast-check'
import { float, RuleScene } from './rule-scene.ts'
import { assertNear, holds, type Law, number, positive } from './transform-laws.ts'

/** So many milliseconds after the one before. */
interface Sample {
  readonly afterMs: number
  readonly input: number
}

interface Output {
  readonly atMs: number
  readonly value: number
}

const sample = fc.record({ afterMs: fc.integer({ min: 1, max: 60 }), input: number })
const samples = fc.array(sample, { minLength: 1, maxLength: 12 })
/** On and off. */
const levels = fc.array(fc.constantFrom(0, 0.5, 0.6, 1), { minLength: 1, maxLength: 12 })
const size = fc.integer({ min: 1, max: 5 })
const factor = fc.double({ min: 0, max: 1, noNaN: true })

/** What comes out at once for each sample; undefined: nothing. */
function answers(transform: unknown, series: readonly Sample[]): (number | undefined)[] {
  const scene = RuleScene.transform(transform, { on_error: 'drop' })
  return series.map(({ afterMs, input }) => {
    scene.clock.advance(afterMs)
    return (scene.run(float(input)) as { value: number } | undefined)?.value
  })
}

/** What comes out in the course of time, until long after the last sample. */
function outputs(transform: unknown, series: readonly Sample[]): Output[] {
  const scene = RuleScene.transform(transform, { on_error: 'drop' })
  const result: Output[] = []
  const startMs = scene.clock.now()
  const note = (value: number) => result.push({ atMs: scene.clock.now() - startMs, value })
  const emit = ({ value }: { value: unknown }) => note((value as { value: number }).value)
  for (const { afterMs, input } of series) {
    scene.clock.advance(afterMs)
    scene.mapper.pass({ address: '/in/a', value: float(input), signal: 'param' }, emit)
  }
  scene.clock.advance(10_000)
  assert.equal(scene.clock.pendingTimers, 0)
  return result
}

const plain = (inputs: readonly number[]): Sample[] => inputs.map((input) => ({ afterMs: 1, input }))

/** Filters that come nearer and never go beyond. */
const approaches =
  (settings: fc.Arbitrary<object>): Law =>
  () =>
    holds(settings, samples, (transform, series) => {
      const results = answers(transform, series) as number[]
      assert.equal(results[0], series[0].input)
      for (let i = 1; i < results.length; i++) {
        const [low, high] = [results[i - 1], series[i].input].sort((a, b) => a - b)
        const slack = 1e-9 * Math.max(1, Math.abs(low), Math.abs(high))
        assert.ok(results[i] >= low - slack && results[i] <= high + slack, `${results[i]} is not in ${low}…${high}`)
      }
    })

/** Each answer is a function of the last `n` inputs. */
const windowed =
  (transformOf: (n: number) => unknown, expected: (window: readonly number[]) => number): Law =>
  () =>
    holds(size, samples, (n, series) => {
      const results = answers(transformOf(n), series) as number[]
      for (const [i, result] of results.entries()) {
        assertNear(result, expected(series.slice(Math.max(0, i + 1 - n), i + 1).map(({ input }) => input)))
      }
    })

/** How often a series went on, up to and with each of its members. */
function rises(series: readonly number[]): number[] {
  let count = 0
  return series.map((level, i) => {
    if (level > 0.5 && (i === 0 || series[i - 1] <= 0.5)) count++
    return count
  })
}

/** Of steps that remember: bridges.md §18.3. */
export const SERIES_LAWS: Record<string, Law> = {
  smooth: () => {
    approaches(factor.map((smooth) => ({ smooth })))()
    holds(samples, (series) =>
      assert.deepEqual(
        answers({ smooth: 0 }, series),
        series.map(() => series[0].input),
      ),
    )
    holds(samples, (series) => {
      for (const [i, one] of answers({ smooth: 1 }, series).entries()) assertNear(one as number, series[i].input)
    })
  },
  lowpass: approaches(
    fc.oneof(
      factor.map((alpha) => ({ lowpass: { alpha } })),
      positive.map((tauMs) => ({ lowpass: { tauMs } })),
    ),
  ),
  one_euro: approaches(fc.record({ minCutoff: positive, beta: positive }).map((one_euro) => ({ one_euro }))),
  rate_limit: () => {
    approaches(positive.map((rate_limit) => ({ rate_limit })))()
    holds(positive, samples, (most, series) => {
      const results = answers({ rate_limit: most }, series) as number[]
      for (let i = 1; i < results.length; i++) {
        const way = series[i].input - results[i - 1]
        assertNear(results[i] - results[i - 1], Math.sign(way) * Math.min(most, Math.abs(way)))
      }
    })
  },
  median: windowed(
    (n) => ({ median: n }),
    (window) => window.toSorted((a, b) => a - b)[(window.length - 1) >> 1],
  ),
  moving_average: windowed(
    (n) => ({ moving_average: n }),
    (window) => window.reduce((sum, one) => sum + one) / window.length,
  ),
  integrate: () =>
    holds(number, fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 1, maxLength: 8 }), (input, pauses) => {
      const level = pauses.map((afterMs) => ({ afterMs, input }))
      const seconds = pauses.slice(1).reduce((sum, ms) => sum + ms, 0) / 1000
      assertNear(answers('integrate', level).at(-1) as number, input * seconds)
      let atMs = -pauses[0]
      const ramp = pauses.map((afterMs) => {
        atMs += afterMs
        return { afterMs, input: (input * atMs) / 1000 }
      })
      assertNear(answers('integrate', ramp).at(-1) as number, (input * seconds ** 2) / 2)
    }),
  differentiate: () =>
    holds(number, fc.integer({ min: -50, max: 50 }), fc.integer({ min: 1, max: 500 }), (start, slope, afterMs) => {
      const series = [0, 1, 2, 3].map((i) => ({ afterMs, input: start + (slope * i * afterMs) / 1000 }))
      const [first, ...others] = answers('differentiate', series) as number[]
      assert.equal(first, 0)
      for (const one of others) assert.ok(Math.abs(one - slope) < 1e-3, `${one} instead of ${slope}`)
    }),
  flip_flop: () =>
    holds(levels, (series) =>
      assert.deepEqual(
        answers('flip_flop', plain(series)),
        rises(series).map((count) => count % 2),
      ),
    ),
  counter: () =>
    holds(levels, size, (series, modulo) => {
      assert.deepEqual(answers('counter', plain(series)), rises(series))
      assert.deepEqual(
        answers({ counter: { modulo } }, plain(series)),
        rises(series).map((count) => count % modulo),
      )
    }),
  edge: () =>
    holds(levels, (series) => {
      const isOn = (i: number) => i >= 0 && series[i] > 0.5
      const at = (passes: (was: boolean, is: boolean) => boolean) =>
        series.map((level, i) => (passes(isOn(i - 1), isOn(i)) ? level : undefined))
      assert.deepEqual(
        answers({ edge: 'rising' }, plain(series)),
        at((was, is) => is && !was),
      )
      assert.deepEqual(
        answers({ edge: 'falling' }, plain(series)),
        at((was, is) => was && !is),
      )
      assert.deepEqual(
        answers({ edge: 'both' }, plain(series)),
        at((was, is) => was !== is),
      )
    }),
  hysteresis: () =>
    holds(fc.array(fc.integer({ min: -5, max: 5 }), { minLength: 1, maxLength: 20 }), (series) => {
      let isOn = false
      const expected = series.map((input) => {
        isOn = input >= 2 || (isOn && input > -2)
        return isOn ? 1 : 0
      })
      assert.deepEqual(answers({ hysteresis: { low: -2, high: 2 } }, plain(series)), expected)
    }),
  deadband: () =>
    holds(fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 1, maxLength: 20 }), size, (series, abs) => {
      let last: number | undefined
      const expected = series.map((input) => {
        const crosses = last !== undefined && last !== 0 && Math.sign(last) !== Math.sign(input)
        if (last !== undefined && !crosses && Math.abs(input - last) < abs) return undefined
        last = input
        return input
      })
      assert.deepEqual(answers({ deadband: abs }, plain(series)), expected)
    }),
  debounce: () =>
    holds(samples, fc.integer({ min: 1, max: 60 }), (series, ms) => {
      const lasts = series.filter((_, i) => i === series.length - 1 || series[i + 1].afterMs > ms)
      // At exactly the limit either may come first.
      if (series.some(({ afterMs }, i) => i > 0 && afterMs === ms)) return
      assert.deepEqual(
        outputs({ debounce: ms }, series).map(({ value }) => value),
        lasts.map(({ input }) => input),
      )
    }),
  throttle: () =>
    holds(samples, fc.integer({ min: 10, max: 200 }), (series, hz) => {
      const results = outputs({ throttle: hz }, series)
      assert.equal(results[0].value, series[0].input)
      assert.equal(results.at(-1)?.value, series.at(-1)?.input)
      for (let i = 1; i < results.length; i++) assert.ok(results[i].atMs - results[i - 1].atMs >= 1000 / hz - 1e-6)
    }),
  slew: () =>
    holds(samples, fc.integer({ min: 500, max: 20_000 }), (series, speed) => {
      const results = outputs(
        { slew: speed },
        series.map(({ afterMs, input }) => ({ afterMs, input: input / 1000 })),
      )
      assert.equal(results.at(-1)?.value, (series.at(-1) as Sample).input / 1000)
      for (let i = 1; i < results.length; i++) {
        const most = (speed * (results[i].atMs - results[i - 1].atMs)) / 1000
        assert.ok(Math.abs(results[i].value - results[i - 1].value) <= most + 1e-6)
      }
    }),
}

/** Over the window of the samples: bridges.md §18.6. */
const sum = (window: readonly number[]) => window.reduce((total, one) => total + one, 0)
const mean = (window: readonly number[]) => sum(window) / window.length
const aggregated = (type: string, expected: (window: readonly number[]) => number) =>
  windowed((n) => ({ aggregate: { type, windowSize: n } }), expected)

export const AGGREGATOR_LAWS: Record<string, Law> = {
  average: aggregated('average', mean),
  sum: aggregated('sum', sum),
  min: aggregated('min', (window) => Math.min(...window)),
  max: aggregated('max', (window) => Math.max(...window)),
  latest: aggregated('latest', (window) => window[window.length - 1]),
  first: aggregated('first', (window) => window[0]),
  count: aggregated('count', (window) => window.length),
  moving_average: aggregated('moving_average', mean),
  std_dev: aggregated('std_dev', (window) => Math.sqrt(mean(window.map((one) => (one - mean(window)) ** 2)))),
  rate_of_change: () =>
    holds(samples, (series) => {
      const results = answers({ aggregate: 'rate_of_change' }, series) as number[]
      for (const [i, result] of results.entries()) {
        const before = i === 0 ? series[0] : series[i - 1]
        assertNear(result, i === 0 ? 0 : ((series[i].input - before.input) / series[i].afterMs) * 1000)
      }
    }),
}
