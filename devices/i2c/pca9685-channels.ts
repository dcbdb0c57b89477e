import type { DeviceContext, OpenDevice, Plain, SignalSpec } from '../device.ts'
import { type FailSafeOptions, failSafeProblem, gradualFailSafeOptions } from '../fail-safe.ts'
import { maxOn, maxOnProblem, OnTimeLimit } from '../gpio/on-time-limit.ts'
import { choice, duration, number, required, whole } from '../options.ts'
import { rowName } from '../row-names.ts'
import { CHANNELS, STEPS } from './pca9685-chip.ts'

const FADE_STEP_MS = 10
const TURN_STEP_MS = 20
const LONGEST_FADE_MS = 3_600_000

/** One row of the table `channels`. Times are in ms. */
export interface ChannelRow extends FailSafeOptions {
  readonly channel: number
  readonly name: string
  readonly as: 'pwm' | 'servo'
  readonly min: number
  readonly max: number
  readonly safe: number
  readonly maxOn: number
  readonly minAngle: number
  readonly maxAngle: number
  readonly minPulse: number
  readonly maxPulse: number
  readonly slew: number
  readonly idle: number
}

/** Columns of the table `channels`. */
export const channelColumns = {
  channel: required(whole('Number of the channel.', 0, { min: 0, max: CHANNELS - 1 })),
  name: rowName,
  as: choice('What hangs on it: something that is dimmed, or a hobby servo.', 'pwm', ['pwm', 'servo']),
  min: number('Of pwm: lowest share of the time that it is on.', 0, { min: 0, max: 1 }),
  max: number('Of pwm: highest share.', 1, { min: 0, max: 1 }),
  safe: number('Of pwm: share at the start, at a stop, and when the router hangs or is gone. Servos let go.', 0, {
    min: 0,
    max: 1,
  }),
  minAngle: number('Of a servo: angle of the shortest pulse.', -90, { min: -1800, max: 1800, unit: 'degrees' }),
  maxAngle: number('Of a servo: angle of the longest pulse.', 90, { min: -1800, max: 1800, unit: 'degrees' }),
  minPulse: number('Of a servo: shortest pulse.', 500, { min: 100, max: 10_000, unit: 'µs' }),
  maxPulse: number('Of a servo: longest pulse.', 2500, { min: 100, max: 10_000, unit: 'µs' }),
  slew: number('Of a servo: fastest turn; 0 = as fast as it can.', 0, { min: 0, max: 100_000, unit: 'degrees/s' }),
  idle: duration('A servo lets go so long after it has arrived; 0s = never.', 0, { minMs: 0, maxMs: 3_600_000 }),
  maxOn: { ...maxOn, description: `Of pwm: ${maxOn.description}` },
  ...gradualFailSafeOptions,
}

/** What does not fit together; undefined: nothing. `periodUs`: that of the chip. */
export function channelConflict(row: ChannelRow, periodUs: number): string | undefined {
  const { name, as, min, max, minAngle, maxAngle, minPulse, maxPulse } = row
  const problem = failSafeProblem(row)
  if (problem !== undefined) return `${name}: ${problem}`
  if (as === 'pwm') {
    const limit = min > max ? 'min must not be more than max' : maxOnProblem(row)
    return limit === undefined ? undefined : `${name}: ${limit}`
  }
  if (minAngle >= maxAngle || minPulse >= maxPulse) return `${name}: the lower limits must be less than the upper ones`
  if (maxPulse >= periodUs) {
    return `${name}: a pulse of ${maxPulse} µs does not fit into a period of ${Math.round(periodUs)} µs`
  }
  return undefined
}

export function channelSignals(row: ChannelRow): Readonly<Record<string, SignalSpec>> {
  const common = { type: 'param', datatype: 'f64', access: 'rw', pace: { maxRateHz: 30 } } as const
  const { name, as, min, max, safe, minAngle, maxAngle } = row
  if (as === 'servo') {
    return { [name]: { ...common, unit: 'deg', range: [minAngle, maxAngle], description: 'Angle; safe=release' } }
  }
  const description = `Share of the time that it is on; safe=${safe}`
  return {
    [name]: { ...common, unit: 'normalized', range: [min, max], description },
    [`${name}/fade`]: {
      type: 'event',
      datatype: 'map',
      access: 'w',
      description: 'Goes to a share within a time: to, ms',
    },
  }
}

/** What a channel needs of its surroundings. */
export interface ChannelParts {
  readonly context: Pick<DeviceContext, 'name' | 'clock' | 'set' | 'problem'>
  /** Length of one of the 4096 steps, µs. */
  readonly stepUs: number
  /** 0…4096 */
  put(count: number): void
}

/** Steps that a channel is on when it is safe. */
export function safeCount({ as, safe }: ChannelRow): number {
  return as === 'servo' ? 0 : Math.round(safe * STEPS)
}

/** One channel: how what is written becomes pulses. Source: bridges.md §20.7. */
export class Channel {
  private readonly row: ChannelRow
  private readonly parts: ChannelParts
  /** Share or angle; undefined: where a servo is nobody knows before it was told to go somewhere. */
  private at: number | undefined
  private readonly limit: OnTimeLimit
  private timer: { cancel(): void } | null = null

  constructor(row: ChannelRow, parts: ChannelParts) {
    const { context } = parts
    this.row = row
    this.parts = parts
    this.limit = new OnTimeLimit(row.as === 'pwm' ? row.maxOn : 0, context, `${context.name}/${row.name}`, () => {
      this.stop()
      this.dim(0)
    })
  }

  get writes(): Required<OpenDevice>['write'] {
    const { name, as } = this.row
    if (as === 'servo') return { [name]: (value) => this.written(() => this.turn(Number(value))) }
    return {
      [name]: (value) => this.written(() => this.dim(Number(value))),
      [`${name}/fade`]: (value) => this.written(() => this.fade(value)),
    }
  }

  /** Tells what it is at first. */
  begin(): void {
    this.letGo()
    this.tell()
  }

  /** `keepsWish`: the param stays what it is. */
  safe(keepsWish: boolean): void {
    this.stop()
    this.letGo()
    if (!keepsWish) this.tell()
  }

  /** Somebody else has made it safe. */
  fallSafe(): void {
    this.safe(false)
    const { context } = this.parts
    context.problem(
      'failsafe',
      `${context.name}/${this.row.name} is in its safe state: the router did not answer in time`,
    )
  }

  stop(): void {
    this.timer?.cancel()
  }

  private written(act: () => void): void {
    this.stop()
    act()
  }

  private letGo(): void {
    this.at = this.row.as === 'servo' ? undefined : this.row.safe
    this.limit.see(this.row.as === 'servo' ? 0 : this.row.safe)
    this.parts.put(safeCount(this.row))
  }

  private dim(to: number): void {
    this.at = to
    this.limit.see(to)
    this.parts.put(Math.round(to * STEPS))
    this.tell()
  }

  private fade(value: Plain): void {
    const { min, max, name } = this.row
    const { context } = this.parts
    const to = member(value, 'to')
    const ms = member(value, 'ms')
    if (to === undefined || ms === undefined || ms <= 0 || ms > LONGEST_FADE_MS) {
      context.problem('value', `${context.name}/${name}: a fade takes {to: 0…1, ms: 1…${LONGEST_FADE_MS}}`)
      return
    }
    const end = Math.min(max, Math.max(min, to))
    const from = this.at ?? 0
    const startedAt = context.clock.now()
    const step = () => {
      const share = Math.min(1, (context.clock.now() - startedAt) / ms)
      this.dim(from + (end - from) * share)
      if (share < 1) this.timer = context.clock.timer(FADE_STEP_MS, step)
    }
    this.timer = context.clock.timer(FADE_STEP_MS, step)
  }

  private turn(to: number): void {
    const { minAngle, maxAngle, minPulse, maxPulse, slew, idle } = this.row
    const { context, stepUs, put } = this.parts
    const from = this.at ?? to
    const most = slew === 0 ? Number.POSITIVE_INFINITY : (slew * TURN_STEP_MS) / 1000
    this.at = from + Math.min(most, Math.max(-most, to - from))
    const pulseUs = minPulse + ((this.at - minAngle) / (maxAngle - minAngle)) * (maxPulse - minPulse)
    put(Math.round(pulseUs / stepUs))
    if (this.at !== to) this.timer = context.clock.timer(TURN_STEP_MS, () => this.turn(to))
    else if (idle > 0) this.timer = context.clock.timer(idle, () => put(0))
  }

  private tell(): void {
    const value = this.at === undefined ? null : Math.round(this.at * 10_000) / 10_000
    this.parts.context.set(this.row.name, value)
  }
}

function member(value: Plain, name: string): number | undefined {
  const found = typeof value === 'object' && value !== null ? value[name] : undefined
  return typeof found === 'number' && Number.isFinite(found) ? found : undefined
}
