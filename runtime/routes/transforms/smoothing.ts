import { recallingStep } from '../numbers.ts'
import type { Settings } from '../settings.ts'
import type { Step } from '../step.ts'
import type { TransformTable } from './transform.ts'

/** Filters over time: the first sample passes as it is. Source: bridges.md §18.3. */

interface Recent {
  isFirst: boolean
  value: number
  atMs: number
}

const recent = (): Recent => ({ isFirst: true, value: 0, atMs: 0 })

/** `next` gets the last result and the seconds since. */
function filter(next: (number: number, last: number, seconds: number) => number): Step {
  return recallingStep(recent, (number, state, moment) => {
    const seconds = Math.max(0, moment.nowMs - state.atMs) / 1000
    const result = state.isFirst ? number : next(number, state.value, seconds)
    state.atMs = moment.nowMs
    // What is not finite would stay for ever.
    if (Number.isFinite(result)) {
      state.value = result
      state.isFirst = false
    }
    return result
  })
}

/** By a share of the distance: `factor` of it at each sample, or as much as the time constant says. */
function approach(factor: number, tauMs: number | undefined): Step {
  if (tauMs === undefined) return filter((number, last) => last + factor * (number - last))
  return filter((number, last, seconds) => last + (1 - Math.exp((-seconds * 1000) / tauMs)) * (number - last))
}

function readSmooth(settings: Settings): Step {
  const tauMs = settings.optionalNumber('tauMs', { above: 0 })
  return approach(settings.number('factor', 0.3, { min: 0, max: 1 }), tauMs)
}

function readLowpass(settings: Settings): Step {
  const tauMs = settings.optionalNumber('tauMs', { above: 0 })
  if (tauMs !== undefined) return approach(1, tauMs)
  return approach(settings.number('alpha', undefined, { min: 0, max: 1 }), undefined)
}

/** Share of the distance that a low pass of this cut-off frequency (Hz) goes in `seconds`. */
function share(cutoff: number, seconds: number): number {
  return 1 / (1 + 1 / (2 * Math.PI * cutoff * seconds))
}

/** The faster the value moves, the less it is smoothed (Casiez et al. 2012). Frequencies in Hz. */
function readOneEuro(settings: Settings): Step {
  const minCutoff = settings.number('minCutoff', 1, { above: 0 })
  const beta = settings.number('beta', 0.007, { min: 0 })
  const derivativeCutoff = settings.number('dCutoff', 1, { above: 0 })
  return recallingStep(
    () => ({ ...recent(), speed: 0 }),
    (number, state, moment) => {
      const seconds = (moment.nowMs - state.atMs) / 1000
      if (!state.isFirst && seconds <= 0) return state.value
      if (state.isFirst) {
        state.value = number
        state.isFirst = false
      } else {
        const speed = (number - state.value) / seconds
        state.speed += share(derivativeCutoff, seconds) * (speed - state.speed)
        state.value += share(minCutoff + beta * Math.abs(state.speed), seconds) * (number - state.value)
        if (!Number.isFinite(state.value + state.speed)) {
          state.isFirst = true
          state.speed = 0
          return Number.NaN
        }
      }
      state.atMs = moment.nowMs
      return state.value
    },
  )
}

/** The middle one of the last `n`; of an even number of them the lower. */
function readMedian(settings: Settings): Step {
  const size = settings.number('n', 3, { isWhole: true, min: 1, max: 999 })
  return recallingStep(
    (): number[] => [],
    (number, samples) => {
      samples.push(number)
      if (samples.length > size) samples.shift()
      return [...samples].sort((a, b) => a - b)[(samples.length - 1) >> 1]
    },
  )
}

function readMovingAverage(settings: Settings): Step {
  const name = settings.has('windowSize') ? 'windowSize' : 'window'
  const size = settings.number(name, undefined, { isWhole: true, min: 1, max: 10_000 })
  return recallingStep(
    (): number[] => [],
    (number, samples) => {
      samples.push(number)
      if (samples.length > size) samples.shift()
      // Added up each time: a running sum would collect errors for ever.
      let sum = 0
      for (const sample of samples) sum += sample / samples.length
      return sum
    },
  )
}

/** In value seconds. */
function integrate(): Step {
  return recallingStep(
    () => ({ ...recent(), sum: 0 }),
    (number, state, moment) => {
      if (!state.isFirst) {
        const sum = state.sum + ((state.value + number) / 2) * ((moment.nowMs - state.atMs) / 1000)
        if (!Number.isFinite(sum)) return sum
        state.sum = sum
      }
      state.isFirst = false
      state.value = number
      state.atMs = moment.nowMs
      return state.sum
    },
  )
}

/** Change per second. */
function differentiate(): Step {
  return recallingStep(recent, (number, state, moment) => {
    const seconds = (moment.nowMs - state.atMs) / 1000
    const result = state.isFirst || seconds <= 0 ? 0 : (number - state.value) / seconds
    state.isFirst = false
    state.value = number
    state.atMs = moment.nowMs
    return result
  })
}

export const smoothing: TransformTable = {
  smooth: readSmooth,
  lowpass: readLowpass,
  rate_limit: (settings) => {
    const most = settings.number('maxDelta', undefined, { min: 0 })
    return filter((number, last) => last + Math.min(most, Math.max(-most, number - last)))
  },
  one_euro: readOneEuro,
  median: readMedian,
  moving_average: readMovingAverage,
  integrate,
  differentiate,
}
