import { numberOf, numericStep, rounded } from '../numbers.ts'
import type { Settings } from '../settings.ts'
import type { Step } from '../step.ts'
import type { TransformTable } from './transform.ts'

/** Arithmetic on one number. Source: bridges.md §18.3. */

const identity: Step = { run: (value) => value, inverse: () => identity }

interface Range {
  readonly min: number
  readonly max: number
}

/** A whole range that starts at its minimum where it has no width. */
function scale(from: Range, to: Range, isClamped: boolean): Step {
  const width = from.max - from.min
  const factor = (to.max - to.min) / width
  const [least, most] = to.min < to.max ? [to.min, to.max] : [to.max, to.min]
  const calculate = (number: number) => {
    if (width === 0) return to.min
    const result = to.min + (number - from.min) * factor
    return isClamped ? Math.min(most, Math.max(least, result)) : result
  }
  const hasInverse = width !== 0 && to.max !== to.min
  return numericStep(calculate, hasInverse ? () => scale(to, from, isClamped) : undefined)
}

/** v · factor + offset. */
function linear(factor: number, offset: number): Step {
  const inverse = () =>
    numericStep(
      (number) => (number - offset) / factor,
      () => linear(factor, offset),
    )
  return numericStep((number) => number * factor + offset, factor === 0 ? undefined : inverse)
}

/** The other end of a range: `sum` is that of both ends. */
function mirror(sum: number): Step {
  const step: Step = numericStep(
    (number) => sum - number,
    () => step,
  )
  return step
}

function readScale(settings: Settings): Step {
  if (settings.has('scale') || settings.has('offset')) {
    return linear(settings.number('scale', 1), settings.number('offset', 0))
  }
  const hasFrom = settings.has('fromMin') || settings.has('fromMax')
  const hasTo = settings.has('toMin') || settings.has('toMax')
  const from = hasFrom
    ? { min: settings.number('fromMin', 0), max: settings.number('fromMax') }
    : { min: settings.number('inMin', 0), max: settings.number('inMax', 1) }
  // Without any range those of the desktop application count: 0…1 to 0…127.
  const to =
    hasTo || hasFrom
      ? { min: settings.number('toMin', 0), max: settings.number('toMax') }
      : { min: settings.number('outMin', 0), max: settings.number('outMax', 127) }
  return scale(from, to, settings.flag('clamp', false))
}

/** `min` and `max` in order. */
function readRange(settings: Settings, fallback?: Range): Range {
  const min = settings.number('min', fallback?.min)
  const max = settings.number('max', fallback?.max)
  if (min > max) settings.problem(settings.node, `min ${min} is above max ${max}`, 'swap them')
  return { min, max }
}

function readRound(settings: Settings): Step {
  const factor = 10 ** settings.number('decimals', 0, { isWhole: true, min: 0, max: 15 })
  return numericStep((number) => {
    const scaled = number * factor
    // Numbers too large for that have no decimals.
    return Number.isFinite(scaled) ? rounded(scaled) / factor : number
  })
}

export const scaling: TransformTable = {
  identity: () => identity,
  direct: () => identity,
  scale: readScale,
  linear: (settings) => linear(settings.number('scale', 1), settings.number('offset', 0)),
  clamp: (settings) => {
    const { min, max } = readRange(settings, { min: 0, max: 1 })
    return numericStep((number) => (number < min ? min : number > max ? max : number))
  },
  invert: (settings) => {
    const { min, max } = readRange(settings, { min: 0, max: 1 })
    return mirror(max + min)
  },
  negate: () => mirror(0),
  abs: () => numericStep(Math.abs),
  quantize: (settings) => {
    const steps = settings.number('steps', 8, { above: 0 })
    return numericStep((number) => {
      const scaled = number * steps
      return Number.isFinite(scaled) ? rounded(scaled) / steps : number
    })
  },
  modulo: (settings) => {
    const divisor = settings.number('divisor', 1)
    if (divisor === 0) settings.problem(settings.node, 'divisor is 0', 'expected another number')
    if (!settings.flag('positive', false)) return numericStep((number) => number % divisor)
    const size = Math.abs(divisor)
    return numericStep((number) => {
      const rest = number % size
      return rest < 0 ? rest + size : rest
    })
  },
  power: (settings) => {
    const exponent = settings.number('exponent', 2)
    return numericStep((number) => number ** exponent)
  },
  log: (settings) => {
    const base = settings.optionalNumber('base', { above: 0 })
    if (base === 1) settings.problem(settings.node, 'base is 1', 'expected another number above 0')
    const divisor = base === undefined ? 1 : Math.log(base)
    const step = numericStep((number) => Math.log(number) / divisor)
    return {
      run: (value, state, moment) => ((numberOf(value, moment) ?? 0) <= 0 ? value : step.run(value, state, moment)),
    }
  },
  round: readRound,
}
