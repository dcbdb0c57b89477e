import type { DeviceClock, DeviceContext, SafeReason } from '../device.ts'
import type { ForcedReason, OutputLine, SafeState } from '../io/lines.ts'

/** In ms; 0 = no such rule. */
export interface OutputRules {
  minOnMs: number
  minOffMs: number
  minIntervalMs: number
  maxOnMs: number
  deadmanMs: number
  safe: SafeState
  hasInterlock: boolean
  isSafeWithoutHub: boolean
}

interface Timer {
  cancel(): void
}

const SHORTEST_BLINK_MS = 20
const FORCED_CODE = { maxOn: 'max_on', watchdog: 'failsafe', interlock: 'interlock' } as const
const FORCED_TEXT = {
  maxOn: 'was switched off: it has been on for as long as it may (maxOn)',
  watchdog: 'is in its safe state: the router did not answer in time. Set it again to go on',
  interlock: 'is off because another output of its interlock is on',
} as const

/**
 * What one output does: joins what was written, pulses and blinking with the rules of how often and how long it may
 * switch. The longest time on and interlocks are kept by whoever holds the line. Source: bridges.md §20.6, §20.8.
 */
export class OutputControl {
  private readonly rules: OutputRules
  private readonly clock: DeviceClock
  private readonly context: Pick<DeviceContext, 'name' | 'set' | 'problem' | 'lost'>
  private line: OutputLine | null = null
  private wanted = false
  private actual = false
  private changedAt = Number.NEGATIVE_INFINITY
  private delay: Timer | null = null
  private pattern: Timer | null = null
  private deadman: Timer | null = null

  constructor(
    rules: OutputRules,
    clock: DeviceClock,
    context: Pick<DeviceContext, 'name' | 'set' | 'problem' | 'lost'>,
  ) {
    this.rules = rules
    this.clock = clock
    this.context = context
  }

  begin(line: OutputLine, isOn: boolean): void {
    this.line = line
    this.wanted = isOn
    this.actual = isOn
    this.tell()
  }

  write(isOn: boolean): void {
    this.pattern?.cancel()
    this.feedDeadman()
    this.want(isOn)
  }

  toggle(): void {
    this.write(!this.wanted)
  }

  /** `ms` is cut to the longest time on. */
  pulse(ms: number): void {
    if (ms === 0) {
      this.context.problem('value', `${this.context.name}: a pulse takes its milliseconds, for example {ms: 500}`)
      return
    }
    const { maxOnMs } = this.rules
    this.write(true)
    this.pattern = this.clock.timer(maxOnMs > 0 ? Math.min(ms, maxOnMs) : ms, () => this.want(false))
  }

  blink(onMs: number, offMs: number, count: number): void {
    this.write(true)
    const on = Math.max(SHORTEST_BLINK_MS, onMs || 500)
    const off = Math.max(SHORTEST_BLINK_MS, offMs || on)
    const step = (left: number) => {
      this.pattern = this.clock.timer(this.wanted ? on : off, () => {
        const remaining = this.wanted ? left - 1 : left
        this.want(!this.wanted)
        if (remaining > 0) step(remaining)
      })
    }
    step(count)
  }

  safe(reason: SafeReason): void {
    const { safe, isSafeWithoutHub } = this.rules
    if (reason === 'link' && !isSafeWithoutHub) return
    this.cancel()
    if (safe === 'hold') return
    this.wanted = safe === 'on'
    this.switch(this.wanted)
    if (reason !== 'stop') this.context.problem('failsafe', `${this.context.name} is in its safe state (${reason})`)
  }

  /** The holder of the line changed it. */
  onForced(isOn: boolean, reason: ForcedReason): void {
    this.changed(isOn)
    // It had to wait for another one to go off.
    if (!(reason === 'interlock' && isOn)) {
      this.cancel()
      this.wanted = isOn
      this.context.problem(FORCED_CODE[reason], `${this.context.name} ${FORCED_TEXT[reason]}`)
    }
    this.tell()
  }

  stop(): void {
    this.cancel()
    this.line = null
  }

  private cancel(): void {
    this.delay?.cancel()
    this.delay = null
    this.pattern?.cancel()
    this.deadman?.cancel()
  }

  private want(isOn: boolean): void {
    this.wanted = isOn
    this.context.set('', isOn)
    const waitMs = this.allowedAt - this.clock.now()
    if (this.delay !== null) return
    if (isOn === this.actual || waitMs <= 0) this.switch(isOn)
    else {
      this.delay = this.clock.timer(waitMs, () => {
        this.delay = null
        this.switch(this.wanted)
      })
    }
  }

  private get allowedAt(): number {
    const { minOnMs, minOffMs, minIntervalMs } = this.rules
    return this.changedAt + Math.max(minIntervalMs, this.actual ? minOnMs : minOffMs)
  }

  private switch(isOn: boolean): void {
    const { line, rules, context } = this
    if (line === null) return
    line.set(isOn)
    if (rules.hasInterlock && isOn) {
      // It may have to wait.
      line.read().then(
        (level) => {
          if (this.line === null) return
          this.changed(level)
          this.tell()
        },
        (error) => context.lost(error),
      )
      return
    }
    this.changed(isOn)
    this.tell()
  }

  private changed(isOn: boolean): void {
    if (isOn !== this.actual) this.changedAt = this.clock.now()
    this.actual = isOn
  }

  private tell(): void {
    this.context.set('', this.wanted)
    this.context.set('actual', this.actual)
  }

  private feedDeadman(): void {
    const { deadmanMs } = this.rules
    this.deadman?.cancel()
    if (deadmanMs > 0) this.deadman = this.clock.timer(deadmanMs, () => this.safe('deadman'))
  }
}
