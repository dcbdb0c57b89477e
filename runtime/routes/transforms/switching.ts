import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { float, int, numberOf } from '../numbers.ts'
import type { Settings } from '../settings.ts'
import type { Step } from '../step.ts'
import type { TransformTable } from './transform.ts'

/** What happens when a value goes on or off: a Bool, or a number that is above ½. Source: bridges.md §18.3. */

interface Switch {
  wasOn: boolean
  count: number
}

const start = (): Switch => ({ wasOn: false, count: 0 })

/** Undefined for what is neither on nor off. */
function isOn(value: Value): boolean | undefined {
  if (value.type === 'bool') return value.value
  const number = numberOf(value)
  return number === undefined ? undefined : number > 0.5
}

/** `counts` is told whether the value rose. */
function rising(result: (state: Switch) => Value, counts: (state: Switch) => void): Step {
  const step: Step<Switch> = {
    start,
    run(value, state) {
      const on = isOn(value)
      if (on === undefined) return value
      if (on && !state.wasOn) counts(state)
      state.wasOn = on
      return result(state)
    },
  }
  return step as Step
}

/** Passes only values at which it goes on, off, or either. */
function readEdge(settings: Settings): Step {
  const edge = settings.choice('edge', ['rising', 'falling', 'both'], 'rising')
  const step: Step<Switch> = {
    start,
    run(value, state) {
      const on = isOn(value)
      if (on === undefined) return value
      const isEdge = on !== state.wasOn && edge !== (on ? 'falling' : 'rising')
      state.wasOn = on
      return isEdge ? value : 'held'
    },
  }
  return step as Step
}

/** Every time it goes on is `step` more, starting again from 0 at `modulo`. */
function readCounter(settings: Settings): Step {
  const width = settings.number('step', 1, { isWhole: true, min: -1e9, max: 1e9 })
  const modulo = settings.number('modulo', 2 ** 53, { isWhole: true, min: 1, max: 2 ** 53 })
  return rising(
    ({ count }) => int(count),
    (state) => {
      const rest = (state.count + width) % modulo
      state.count = rest < 0 ? rest + modulo : rest
    },
  )
}

export const switching: TransformTable = {
  flip_flop: () =>
    rising(
      ({ count }) => float(count),
      (state) => {
        state.count = 1 - state.count
      },
    ),
  edge: readEdge,
  counter: readCounter,
}
