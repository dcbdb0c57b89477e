import type { Plain, SignalSpec } from '../../devices/device.ts'
import type { DeviceRouter } from './device-router.ts'
import type { DeviceSession } from './device-session.ts'
import { writtenValue } from './wire-value.ts'

/** What clients want a device to be: the params that they may set, as they are, or as the journal has them from before. */
export class Wishes {
  private readonly session: DeviceSession
  private readonly keys: readonly string[]
  private readonly restored = new Map<string, Plain>()
  private readonly writers = new Map<string, string>()

  /** Has to be made before the device tells anything. */
  constructor(specs: Readonly<Record<string, SignalSpec>>, session: DeviceSession, router: DeviceRouter) {
    this.session = session
    const params = Object.entries(specs).filter(([, { type }]) => type === 'param')
    this.keys = params.filter(([, { access }]) => access === 'rw').map(([key]) => key)
    for (const [key, spec] of params) {
      const found = router.paramAt(session.addressOf(key))
      this.writers.set(key, found?.writer ?? '')
      const value = found === undefined ? undefined : writtenValue(found.value, spec)
      if (value !== undefined && value !== null) this.restored.set(key, value)
    }
  }

  /** Who wrote a param before this run; '' = nobody. */
  formerWriter(key: string): string {
    return this.writers.get(key) ?? ''
  }

  /** Of one param; undefined: there is no value. */
  last(key: string): Plain | undefined {
    const value = this.session.valueOf(key)
    return value === undefined ? this.restored.get(key) : (value ?? undefined)
  }

  /** Those with a value, in the order in which the kind has them. */
  all(): (readonly [key: string, value: Plain])[] {
    return this.keys.flatMap((key) => {
      const value = this.last(key)
      return value === undefined ? [] : [[key, value] as const]
    })
  }
}
