import type { DeviceContext, OpenDevice, Plain, SafeReason, SignalSpec } from '../device.ts'
import { choice, duration, number, required, whole } from '../options.ts'
import { rowName } from '../row-names.ts'
import { CHANNELS, STEPS } from './pca9685-chip.ts'

const FADE_STEP_MS = 10
const TURN_STEP_MS = 20
const LONGEST_FADE_MS = 3_600_000
const DAY_MS = 86_400_000

/** One row of the table `channels`. Times are in ms. */
export interface ChannelRow {
  readonly channel: number
  readonly name: string
  readonly as: 'pwm' | 'servo'
  readonly min: number
  readonly max: number
  readonly safe: number
  readonly minAngle: number
  readonly maxAngle: number
  readonly minPulse: number
  readonly maxPulse: number
  readonly slew: number
  readonly idle: number
  readonly deadman: number
  readonly onHubLoss: 'hold' | 'safe'
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
  deadman: duration('Safe when nothing was written for so long; 0s = never.', 0, { minMs: 0, maxMs: DAY_MS }),
  onHubLoss: choice('What it does when the hub of this router is gone.', 'hold', ['hold', 'safe']),
}

/** What does not fit together; undefined: nothing. `periodUs`: that of the chip. */
export function channelConflict(row: ChannelRow, periodUs: number): string | undefined {
  const { name, as, min, max, minAngle, maxAngle, minPulse, maxPulse } = row
  if (as === 'pwm') return min > max ? `${name}: min must not be more than max` : undefined
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
  private timer: { cancel(): void } | null = null
  private deadman: { cancel(): void } | null = null

  constructor(row: ChannelRow, parts: ChannelParts) {
    this.row = row
    this.parts = parts
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

  safe(reason: SafeReason): void {
    if (reason === 'link' && this.row.onHubLoss === 'hold') return
    this.stop()
    this.letGo()
    this.tell()
    if (reason !== 'stop') this.report(`is in its safe state (${reason})`)
  }

  /** Somebody else has made it safe. */
  fallSafe(): void {
    this.stop()
    this.letGo()
    this.tell()
    this.report('is in its safe state: the router did not answer in time')
  }

  stop(): void {
    this.timer?.cancel()
    this.deadman?.cancel()
  }

  private written(act: () => void): void {
    this.stop()
    const { deadman } = this.row
    if (deadman > 0) this.deadman = this.parts.context.clock.timer(deadman, () => this.safe('deadman'))
    act()
  }

  private letGo(): void {
    this.at = this.row.as === 'servo' ? undefined : this.row.safe
    this.parts.put(safeCount(this.row))
  }

  private dim(to: number): void {
    this.at = to
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

  private report(what: string): void {
    const { context } = this.parts
    context.problem('failsafe', `${context.name}/${this.row.name} ${what}`)
  }
}

function member(value: Plain, name: string): number | undefined {
  const found = typeof value === 'object' && value !== null ? value[name] : undefined
  return typeof found === 'number' && Number.isFinite(found) ? found : undefined
}
