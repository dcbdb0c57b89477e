import type { DeviceClock, OpenDevice, Plain, SignalSpec } from '../../devices/device.ts'

const PERIOD_MS = 60_000
/** Share of the range that made-up readings wander through. */
const SWING = 0.05
const DIGITS = 3

/**
 * The twin of any sensor: its readings wander slowly around the middle of their range, until a client plays them. Text
 * and the like have no value then.
 */
export class SimulatedReadings implements OpenDevice {
  private readonly specs: Readonly<Record<string, SignalSpec>>
  private readonly clock: DeviceClock
  /** 0…1, so that not all wander in step. */
  private readonly phase: number
  private readonly played = new Map<string, Plain>()

  constructor(specs: Readonly<Record<string, SignalSpec>>, clock: DeviceClock, phase: number) {
    this.specs = specs
    this.clock = clock
    this.phase = phase
  }

  /** From now on the reading of this signal is what the client says. */
  pretend(key: string, value: Plain): void {
    this.played.set(key, value)
  }

  async read(): Promise<Readonly<Record<string, Plain>>> {
    const sensed = Object.entries(this.specs).filter(([, { type, access }]) => type === 'param' && access === 'r')
    return Object.fromEntries(sensed.map(([key, spec]) => [key, this.reading(key, spec)]))
  }

  close(): void {}

  private reading(key: string, { range, datatype }: SignalSpec): Plain {
    const played = this.played.get(key)
    if (played !== undefined) return played
    if (datatype === 'bool') return false
    if (range === undefined || (datatype !== 'f64' && datatype !== 'i64')) return null
    const [min, max] = range
    const wave = Math.sin(2 * Math.PI * (this.clock.now() / PERIOD_MS + this.phase))
    const value = (min + max) / 2 + ((max - min) / 2) * SWING * wave
    return datatype === 'i64' ? Math.round(value) : Number(value.toFixed(DIGITS))
  }
}
