import type { DeviceContext } from '../device.ts'
import { ButtonMachine } from '../gpio/button-machine.ts'
import { axisCode, keyCode, keyName } from './key-names.ts'
import { type AxisRow, axisName, type KeypadOptions, rowName } from './keypad-options.ts'
import { TypedText } from './typed-text.ts'

/** Older events have a clock of their own, or it was set meanwhile. */
const OLDEST_MS = 10_000
const KEY_EVENTS = ['release', 'press', 'repeat'] as const

/** Makes signals of what the keys and axes of a keypad do. */
export class KeypadSignals {
  private readonly context: Pick<DeviceContext, 'set' | 'emit' | 'clock'>
  private readonly machines = new Map<number, { name: string; machine: ButtonMachine }>()
  private readonly axes: ReadonlyMap<number, AxisRow>
  private readonly ranges = new Map<number, { min: number; max: number }>()
  private readonly text: TypedText | null
  /** Of the event that is being told; 0: it follows by itself. */
  private atUs = 0

  constructor(options: KeypadOptions, context: Pick<DeviceContext, 'set' | 'emit' | 'clock'>) {
    this.context = context
    const { clock, emit } = context
    const times = { longMs: options.long, repeatMs: options.repeat, doubleMs: options.double }
    for (const row of options.keys) {
      const name = rowName(row)
      const machine = new ButtonMachine(times, clock, (type, count, held_ms) =>
        emit(`${name}/event`, { type, count, held_ms, t: this.atUs || clock.wallUs() }),
      )
      this.machines.set(keyCode(row.key) ?? 0, { name, machine })
    }
    this.axes = new Map(options.axes.map((row) => [axisCode(row.axis) ?? 0, row]))
    this.text = options.mode === 'text' ? new TypedText(options.idle, clock, (typed) => this.typed(typed)) : null
  }

  /** No key is down. */
  begin(): void {
    for (const { name } of this.machines.values()) this.context.set(name, false)
  }

  stop(): void {
    for (const { machine } of this.machines.values()) machine.stop()
    this.text?.stop()
  }

  /** `value`: 0 release, 1 press, 2 repeat. `us`: when, since the Unix epoch; 0: now. */
  key(code: number, value: number, us: number): void {
    const type = KEY_EVENTS[value]
    if (type === undefined) return
    const { clock, set, emit } = this.context
    const ageMs = us === 0 ? 0 : (clock.wallUs() - us) / 1000
    const isTrusted = ageMs >= 0 && ageMs < OLDEST_MS
    this.atUs = isTrusted && us > 0 ? us : clock.wallUs()
    if (this.text === null) emit('key', { type, key: keyName(code), code, t: this.atUs })
    else this.text.key(code, value > 0)
    const own = this.machines.get(code)
    if (own !== undefined && type !== 'repeat') {
      set(own.name, type === 'press')
      own.machine.change(type === 'press', clock.now() - (isTrusted ? ageMs : 0))
    }
    this.atUs = 0
  }

  typed(code: string): void {
    this.context.emit('text', { code, t: this.atUs || this.context.clock.wallUs() })
  }

  setAxisMin(code: number, min: number): void {
    this.ranges.set(code, { max: min, ...this.ranges.get(code), min })
  }

  setAxisMax(code: number, max: number): void {
    this.ranges.set(code, { min: max, ...this.ranges.get(code), max })
  }

  /** `value`: in counts of the device. */
  axis(code: number, value: number): void {
    const row = this.axes.get(code)
    const range = this.ranges.get(code)
    if (row === undefined || range === undefined || range.max <= range.min) return
    this.place(row, (2 * (value - range.min)) / (range.max - range.min) - 1)
  }

  /** `place`: -1…1. */
  place(row: AxisRow, place: number): void {
    const inside = Math.min(1, Math.max(-1, place))
    this.context.set(axisName(row), Math.round(inside * 1000) / 1000)
  }
}
