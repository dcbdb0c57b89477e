import { isDeepStrictEqual } from 'node:util'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { Clock } from '../../router/clock.ts'
import { jsonFromValue } from '../json-value.ts'

const ENTRIES = 256
const TOLERANCE = 1e-6

/** Stands for an address. */
export interface EchoKey {
  /** Those of different addresses differ as a rule. */
  readonly number: number
}

/**
 * What one host was told lately. A value that comes back from it is an echo, unless it came from the very peer that set it:
 * programs on one host share its address, and a fader may return to where it was. Source: bridges.md §2.8.
 *
 * A ring, because it is written for every value that is sent: at most the last 256 are known. Those of addresses whose numbers
 * end alike are chained, the newest first: with texts as keys the search took 0.8 µs a message at 35 000 a second; going
 * through the whole ring took 1.0 µs, the chains take 0.13 µs.
 */
export class OscEcho<P> {
  private readonly windowMs: number
  private readonly clock: Clock
  private readonly keys = new Array<EchoKey | undefined>(ENTRIES).fill(undefined)
  private readonly values = new Array<Value | undefined>(ENTRIES).fill(undefined)
  private readonly origins = new Array<P | undefined>(ENTRIES).fill(undefined)
  private readonly times = new Float64Array(ENTRIES)
  /** Tellings are counted; one is at its count modulo the size. The last one by the end of its key's number, −1: none. */
  private readonly last = new Float64Array(ENTRIES).fill(-1)
  /** The one before it with such a number. */
  private readonly previous = new Float64Array(ENTRIES).fill(-1)
  private count = 0

  constructor(windowMs: number, clock: Clock) {
    this.windowMs = windowMs
    this.clock = clock
  }

  /** `origin`: who set it; undefined: nobody on this side. */
  remember(key: EchoKey, value: Value, origin: P | undefined): void {
    const at = this.count % ENTRIES
    const chain = key.number % ENTRIES
    this.keys[at] = key
    this.values[at] = value
    this.origins[at] = origin
    this.times[at] = this.clock.now()
    this.previous[at] = this.last[chain]
    this.last[chain] = this.count++
  }

  /** Whether `source` only repeats what was told; true once for each time it was told. */
  takes(key: EchoKey, value: Value, source: P): boolean {
    const oldest = this.clock.now() - this.windowMs
    const gone = this.count - ENTRIES
    for (let told = this.last[key.number % ENTRIES]; told >= 0 && told >= gone; ) {
      const at = told % ENTRIES
      if (this.times[at] < oldest) return false
      told = this.previous[at]
      if (this.keys[at] !== key || this.origins[at] === source) continue
      const known = this.values[at]
      if (known === undefined || !isSameOnWire(known, value)) continue
      this.values[at] = undefined
      return true
    }
    return false
  }
}

/** Equal as far as OSC keeps them apart: numbers as float32 and not by their type, truth as 1 and 0. */
export function isSameOnWire(a: Value, b: Value): boolean {
  const left = numberOf(a)
  const right = numberOf(b)
  if (left !== undefined && right !== undefined) {
    const isClose = Math.abs(left - right) <= TOLERANCE * Math.max(1, Math.abs(left))
    // NaN, and what is beyond float32.
    return isClose || Object.is(Math.fround(left), Math.fround(right))
  }
  if (a.type === 'array' || b.type === 'array') {
    const [ours, theirs] = [argumentsOf(a), argumentsOf(b)]
    return ours.length === theirs.length && ours.every((item, i) => isSameOnWire(item, theirs[i]))
  }
  if (a.type === 'map' && b.type === 'string') return jsonFromValue(a) === b.value
  if (a.type === 'null' || b.type === 'null') return a.type === b.type
  return a.type === b.type && (a.value === b.value || isDeepStrictEqual(a.value, b.value))
}

/** Lists within lists are arguments in a row, and a list of one is that one. */
function argumentsOf(value: Value): readonly Value[] {
  return value.type === 'array' ? value.value.flatMap(argumentsOf) : [value]
}

function numberOf(value: Value): number | undefined {
  switch (value.type) {
    case 'bool':
      return value.value ? 1 : 0
    case 'i8':
    case 'i16':
    case 'i32':
    case 'i64':
    case 'f32':
    case 'f64':
      return Number(value.value)
    default:
      return undefined
  }
}
