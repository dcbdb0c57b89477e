import type { DeviceClock, OpenDevice, Plain, SignalSpec, SimulatedStream } from '../../devices/device.ts'
import { repeat } from '../../devices/repeat.ts'

const PERIOD_MS = 60_000
/** Share of the range that made-up readings wander through. */
const SWING = 0.05
/** Of three digits. */
const STEPS = 1000

interface Sensed {
  readonly key: string
  readonly datatype: SignalSpec['datatype']
  /** Undefined: there is nothing to make up. */
  readonly middle: number | undefined
  readonly swing: number
}

/**
 * The twin of any sensor: its readings wander slowly around the middle of their range, until a client plays them. Text
 * and the like have no value then.
 */
export class SimulatedReadings implements OpenDevice {
  private readonly sensed: readonly Sensed[]
  private readonly stream: SimulatedStream | undefined
  private readonly clock: DeviceClock
  /** 0…1, so that not all wander in step. */
  private readonly phase: number
  private readonly played = new Map<string, Plain>()

  constructor(
    specs: Readonly<Record<string, SignalSpec>>,
    stream: SimulatedStream | undefined,
    clock: DeviceClock,
    phase: number,
  ) {
    this.sensed = Object.entries(specs)
      .filter(([, { type, access }]) => type === 'param' && access === 'r')
      .map(([key, spec]) => sensedOf(key, spec))
    this.stream = stream
    this.clock = clock
    this.phase = phase
  }

  /** From now on samples of its stream go out, if it has one, until `signal`. */
  begin(signal: AbortSignal, emit: (key: string, sample: Plain) => void): void {
    const { stream } = this
    if (stream === undefined) return
    repeat(1000 / stream.rateHz, this.clock, signal, () => emit(stream.key, stream.sample(this.readings())))
  }

  /** From now on the reading of this signal is what the client says. */
  pretend(key: string, value: Plain): void {
    this.played.set(key, value)
  }

  async read(): Promise<Readonly<Record<string, Plain>>> {
    return this.readings()
  }

  close(): void {}

  private readings(): Readonly<Record<string, Plain>> {
    const wave = Math.sin(2 * Math.PI * (this.clock.now() / PERIOD_MS + this.phase))
    const readings: Record<string, Plain> = {}
    for (const one of this.sensed) {
      const played = this.played.get(one.key)
      readings[one.key] = played === undefined ? madeUp(one, wave) : played
    }
    return readings
  }
}

function sensedOf(key: string, { datatype, range }: SignalSpec): Sensed {
  if (range === undefined || (datatype !== 'f64' && datatype !== 'i64')) {
    return { key, datatype, middle: undefined, swing: 0 }
  }
  const [min, max] = range
  return { key, datatype, middle: (min + max) / 2, swing: ((max - min) / 2) * SWING }
}

function madeUp({ datatype, middle, swing }: Sensed, wave: number): Plain {
  if (datatype === 'bool') return false
  if (middle === undefined) return null
  const value = middle + swing * wave
  return datatype === 'i64' ? Math.round(value) : Math.round(value * STEPS) / STEPS
}
