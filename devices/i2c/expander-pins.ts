import { type FailSafeOptions, failSafeOptions, failSafeProblem } from '../fail-safe.ts'
import { LONGEST_ON_MS } from '../gpio/on-time-limit.ts'
import { LONGEST_DEAD_TIME_MS, type OutputRules } from '../gpio/output-control.ts'
import { choice, duration, flag, name, number } from '../options.ts'
import { rowName } from '../row-names.ts'

const DAY_MS = 86_400_000

/** One row of the table `pins`. Times are in ms. */
export interface PinRow extends FailSafeOptions {
  readonly pin: string | number
  readonly name: string
  readonly direction: 'in' | 'out'
  readonly activeLow: boolean
  readonly pullUp?: boolean
  readonly debounce: number
  readonly safe: 'off' | 'on' | 'hold'
  readonly maxOn: number
  readonly minOn: number
  readonly minOff: number
  readonly maxSwitchHz: number
  readonly interlock: string | undefined
  readonly interlockMode: 'exclusive' | 'reject'
  readonly deadTime: number
}

/** Of every kind of expander. Times are in ms. */
export interface ExpanderOptions {
  readonly bus: string
  readonly chipAddress: number
  readonly poll: number
  readonly interrupt: string | undefined
  readonly pins: readonly PinRow[]
}

/** Columns of the table `pins`, but that of the pin itself. Source of the rules for outputs: bridges.md §20.6, §20.8. */
export function pinColumns(isActiveLow: boolean) {
  return {
    name: rowName,
    direction: choice('What the pin is.', 'in', ['in', 'out']),
    activeLow: flag('A low level means on.', isActiveLow),
    debounce: duration('Changes of an input that last shorter are ignored.', 5, { minMs: 0, maxMs: 1000 }),
    safe: choice(
      'State of an output at the start, at a stop, and when the router hangs or is gone; hold leaves it as it is.',
      'off',
      ['off', 'on', 'hold'],
    ),
    maxOn: duration('Off after so long, whatever it is told; 0s = no limit.', 0, { minMs: 0, maxMs: LONGEST_ON_MS }),
    minOn: duration('On for so long at least.', 0, { minMs: 0, maxMs: DAY_MS }),
    minOff: duration('Off for so long at least, as compressors need it.', 0, { minMs: 0, maxMs: DAY_MS }),
    maxSwitchHz: number('Changes a second; the last one counts. 0 = no limit.', 0, { min: 0, max: 1000 }),
    ...failSafeOptions,
    interlock: name('Outputs of this chip with the same interlock are never on together.'),
    interlockMode: choice('When another one is on: that one goes off first, or this one stays off.', 'exclusive', [
      'exclusive',
      'reject',
    ]),
    deadTime: duration('Between the one going off and this one going on.', 100, {
      minMs: 0,
      maxMs: LONGEST_DEAD_TIME_MS,
    }),
  }
}

/** What does not fit together in a row; undefined: nothing. */
export function rowConflict(row: PinRow): string | undefined {
  const { name, direction, safe, maxOn, interlock } = row
  if (direction === 'in') return undefined
  if (safe !== 'off' && maxOn > 0) return `${name}: safe: ${safe} and maxOn contradict each other`
  if (safe !== 'off' && interlock !== undefined) return `${name}: safe: ${safe} and interlock contradict each other`
  const problem = failSafeProblem(row)
  return problem === undefined ? undefined : `${name}: ${problem}`
}

export function outputRules(row: PinRow): OutputRules {
  return {
    minOnMs: row.minOn,
    minOffMs: row.minOff,
    minIntervalMs: row.maxSwitchHz > 0 ? 1000 / row.maxSwitchHz : 0,
    maxOnMs: row.maxOn,
    safe: row.safe,
    hasInterlock: row.interlock !== undefined,
  }
}
