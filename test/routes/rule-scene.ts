import type { Signal } from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { silentLog } from '../../runtime/router/log.ts'
import { compileMapper } from '../../runtime/routes/compile-mapper.ts'
import type { Mapper, Passing } from '../../runtime/routes/mapper.ts'
import { SteppedClock } from '../router/stepped-clock.ts'

export const int = (value: number | bigint): Value => ({ type: 'i64', value })
export const float = (value: number): Value => ({ type: 'f64', value })
export const text = (value: string): Value => ({ type: 'string', value })
export const bool = (value: boolean): Value => ({ type: 'bool', value })
export const array = (...value: Value[]): Value => ({ type: 'array', value })
export const map = (members: Record<string, Value>): Value => ({ type: 'map', value: Object.entries(members) })

/** Rules as a bridge has them, with values put in by hand. */
export class RuleScene {
  readonly clock = new SteppedClock()
  readonly mapper: Mapper
  readonly results: Passing[] = []

  constructor(rules: readonly object[], direction: 'in' | 'out' = 'in') {
    this.mapper = compileMapper(rules, direction, { clock: this.clock, log: silentLog })
  }

  /** One rule from /in/… to /out/… with these transforms. */
  static transform(transform: unknown, more: object = {}): RuleScene {
    return new RuleScene([{ match: '/in/*', to: '/out/$1', transform, ...more }])
  }

  pass(address: string, value: Value, signal: Signal = 'param', more: Partial<Passing> = {}): boolean {
    return this.mapper.pass({ address, value, signal, ...more }, (result) => this.results.push(result))
  }

  /** What comes out at once; undefined: nothing. */
  run(value: Value, address = '/in/a'): Value | undefined {
    const before = this.results.length
    this.pass(address, value)
    return this.results[before]?.value
  }

  get values(): Value[] {
    return this.results.map(({ value }) => value)
  }

  get addresses(): string[] {
    return this.results.map(({ address }) => address)
  }
}
