import type { Value } from '../../firmware-protocol/wire/value.ts'
import { type Aggregator, aggregate, type Sample } from './aggregators.ts'
import { float, numberOf } from './numbers.ts'
import { RecentMap } from './recent-map.ts'
import type { Step } from './step.ts'

/** First steps of rules that make one value of several addresses. Source: bridges.md §18.2, §18.6. */

/** Addresses in one aggregate; the one that was quiet for the longest time gives way. */
const MAX_ADDRESSES = 1024

interface Joined {
  readonly values: (Value | undefined)[]
  readonly isFresh: boolean[]
}

/**
 * An Array of the values at `addresses`, in their order: when all are new, or `waitMs` after the first new one, as soon as
 * each address has a value.
 */
export function joinStep(addresses: readonly string[], waitMs: number): Step {
  const joined = ({ values, isFresh }: Joined) => {
    isFresh.fill(false)
    return { type: 'array', value: values.map((value) => value as Value) } as const
  }
  const step: Step<Joined> = {
    start: () => ({ values: addresses.map(() => undefined), isFresh: addresses.map(() => false) }),
    run(value, state, moment) {
      const at = addresses.indexOf(moment.address)
      const isFirst = !state.isFresh.includes(true)
      state.values[at] = value
      state.isFresh[at] = true
      if (state.values.includes(undefined)) return 'held'
      if (!state.isFresh.includes(false)) return joined(state)
      if (isFirst) moment.wake(waitMs)
      return 'held'
    },
    due(state) {
      const isReady = state.isFresh.includes(true) && !state.values.includes(undefined)
      return isReady ? joined(state) : 'held'
    },
  }
  return step as Step
}

/** One number of the newest ones of several addresses; those that are older than `staleMs` do not count (0: all do). */
export function crossAggregateStep({ type }: Aggregator, staleMs: number): Step {
  const step: Step<RecentMap<Sample>> = {
    start: () => new RecentMap<Sample>(MAX_ADDRESSES),
    run(value, newest, moment) {
      const number = numberOf(value, moment)
      if (number === undefined) return 'held'
      if (!Number.isFinite(number)) return 'failed'
      // Later than all others, in the order of the map, too.
      newest.set(moment.address, { value: number, atMs: moment.nowMs })
      const since = staleMs === 0 ? Number.NEGATIVE_INFINITY : moment.nowMs - staleMs
      const samples = [...newest.values()].filter(({ atMs }) => atMs >= since)
      const result = aggregate(type, samples)
      return Number.isFinite(result) ? float(result) : 'failed'
    },
  }
  return step as Step
}
