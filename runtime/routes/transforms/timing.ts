import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { float, numberOf } from '../numbers.ts'
import type { Settings } from '../settings.ts'
import type { Step } from '../step.ts'
import type { TransformTable } from './transform.ts'

/** Steps that hold values back, and let go the last one in the end. Source: bridges.md §2.9, §18.3. */

const SLEW_EVERY_MS = 20

interface Held {
  value: Value | null
  nextMs: number
}

const held = (): Held => ({ value: null, nextMs: Number.NEGATIVE_INFINITY })

/** Passes the last value when there was no other for so long. */
function debounce(ms: number): Step {
  const step: Step<Held> = {
    start: held,
    run(value, state, moment) {
      state.value = value
      moment.wake(ms)
      return 'held'
    },
    due(state) {
      const { value } = state
      state.value = null
      return value ?? 'held'
    },
  }
  return step as Step
}

/** Passes so many values a second at the most. The last one is never lost. */
export function throttle(hz: number): Step {
  const intervalMs = 1000 / hz
  const step: Step<Held> = {
    start: held,
    run(value, state, moment) {
      const { nowMs } = moment
      if (state.value === null && nowMs >= state.nextMs) {
        state.nextMs = nowMs + intervalMs
        return value
      }
      state.value = value
      moment.wake(state.nextMs - nowMs)
      return 'held'
    },
    due(state, { nowMs }) {
      const { value } = state
      state.value = null
      state.nextMs = nowMs + intervalMs
      return value ?? 'held'
    },
  }
  return step as Step
}

interface LastPassed {
  value: number | undefined
}

/** Holds back numbers that differ too little from the last one that passed. What reaches or crosses zero always passes. */
export function deadband(absolute: number, relative: number): Step {
  const step: Step<LastPassed> = {
    start: () => ({ value: undefined }),
    run(value, state, moment) {
      const number = numberOf(value, moment)
      if (number === undefined) return value
      const last = state.value
      if (last !== undefined && (last === 0 || Math.sign(last) === Math.sign(number))) {
        const change = Math.abs(number - last)
        const isLarge = (absolute > 0 && change >= absolute) || (relative > 0 && change >= relative * Math.abs(last))
        if (!isLarge) return 'held'
      }
      state.value = number
      return value
    },
  }
  return step as Step
}

function readDeadband(settings: Settings): Step {
  const absolute = settings.number('abs', 0, { min: 0 })
  const relative = settings.number('rel', 0, { min: 0 })
  if (absolute === 0 && relative === 0) settings.problem(settings.node, 'abs or rel is missing', 'add one of them')
  return deadband(absolute, relative)
}

interface Slewing {
  isFirst: boolean
  isMoving: boolean
  value: number
  target: number
  atMs: number
}

/** Goes to where the value is at a limited speed, in steps of 20 ms. */
function slew(unitsPerS: number): Step {
  const step: Step<Slewing> = {
    start: () => ({ isFirst: true, isMoving: false, value: 0, target: 0, atMs: 0 }),
    run(value, state, moment) {
      const number = numberOf(value, moment)
      if (number === undefined) return value
      if (!Number.isFinite(number)) return 'failed'
      state.target = number
      if (state.isFirst) state.value = number
      state.isFirst = false
      if (state.isMoving) return 'held'
      if (state.value === number) return float(number)
      state.isMoving = true
      state.atMs = moment.nowMs
      moment.wake(SLEW_EVERY_MS)
      return 'held'
    },
    due(state, moment) {
      const most = (unitsPerS * (moment.nowMs - state.atMs)) / 1000
      const distance = state.target - state.value
      state.atMs = moment.nowMs
      state.isMoving = Math.abs(distance) > most
      state.value = state.isMoving ? state.value + Math.sign(distance) * most : state.target
      if (state.isMoving) moment.wake(SLEW_EVERY_MS)
      return float(state.value)
    },
  }
  return step as Step
}

export const timing: TransformTable = {
  debounce: (settings) => debounce(settings.number('ms', undefined, { min: 0, max: 86_400_000 })),
  throttle: (settings) => throttle(settings.number('hz', undefined, { above: 0, max: 1000 })),
  deadband: readDeadband,
  slew: (settings) => slew(settings.number('unitsPerS', undefined, { above: 0 })),
}
