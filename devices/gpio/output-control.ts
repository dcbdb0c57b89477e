import type { DeviceClock, DeviceContext } from '../device.ts'
import type { ForcedReason, OutputLine, SafeState } from '../io/lines.ts'

/** In ms; 0 = no such rule. */
export interface OutputRules {
  minOnMs: number
  minOffMs: number
  minIntervalMs: number
  maxOnMs: number
  safe: SafeState
  hasInterlock: boolean
  /** The line tells its real level: it is looked at now and then. */
  isReadBack?: boolean
}

interface Timer {
  cancel(): void
}

/** Only GPIO lines can be released. */
type ControlledLine = Pick<OutputLine, 'set' | 'read'> & Partial<Pick<OutputLine, 'release'>>

const SHORTEST_BLINK_MS = 20
/** That `deadTime` can be. */
export const LONGEST_DEAD_TIME_MS = 60_000
const READ_BACK_MS = 5000
/** A level that differs so often in a row is no coincidence. */
const MISMATCHES = 2
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
  private line: ControlledLine | null = null
  /** Orders that it got; an answer to an older one is out of date. */
  private orders = 0
  private wanted = false
  private actual = false
  /** What the line was switched to; `actual` is otherwise when it reads otherwise. */
  private driven = false
  private changedAt = Number.NEGATIVE_INFINITY
  private delay: Timer | null = null
  private pattern: Timer | null = null
  /** Flashes that are still to come. */
  private flashes = 0
  /** Length of the pulse that was asked for last, ms; 0: it is over, or was given up. */
  private pulseMs = 0
  private readTimer: Timer | null = null
  private mismatches = 0
  /** Nobody drives the line. */
  private isReleased = false

  constructor(
    rules: OutputRules,
    clock: DeviceClock,
    context: Pick<DeviceContext, 'name' | 'set' | 'problem' | 'lost'>,
  ) {
    this.rules = rules
    this.clock = clock
    this.context = context
  }

  begin(line: ControlledLine, isOn: boolean): void {
    this.line = line
    this.isReleased = this.rules.safe === 'release'
    this.wanted = isOn
    this.actual = isOn
    this.driven = isOn
    this.tell()
    if (this.rules.isReadBack) this.readBackLater()
  }

  write(isOn: boolean): void {
    this.cancelPattern()
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
    const lengthMs = maxOnMs > 0 ? Math.min(ms, maxOnMs) : ms
    // One that has to stay off for a while yet begins later, and is as long.
    const waitMs = this.actual ? 0 : Math.max(0, this.allowedAt - this.clock.now())
    this.write(true)
    this.pulseMs = lengthMs
    const latestAt = this.clock.now() + waitMs + lengthMs + LONGEST_DEAD_TIME_MS
    const end = () => {
      // While it waits for its interlock it has not begun.
      const isWaiting = this.rules.hasInterlock && this.wanted && !this.driven
      if (!isWaiting || this.clock.now() >= latestAt) this.endPulse()
      else this.pattern = this.clock.timer(Math.max(SHORTEST_BLINK_MS, lengthMs), end)
    }
    this.pattern = this.clock.timer(waitMs + lengthMs, end)
  }

  blink(onMs: number, offMs: number, count: number): void {
    const on = Math.max(SHORTEST_BLINK_MS, onMs || 500)
    const off = Math.max(SHORTEST_BLINK_MS, offMs || on)
    const step = () => {
      // It may be kept off meanwhile.
      if (this.flashes === 0) return
      this.pattern = this.clock.timer(this.wanted ? on : off, () => {
        if (this.wanted) this.flashes--
        this.want(!this.wanted)
        step()
      })
    }
    this.cancelPattern()
    this.flashes = count
    this.want(true)
    step()
  }

  /** `keepsWish`: the param stays what it is. */
  safe(keepsWish = false): void {
    const { safe } = this.rules
    this.cancel()
    if (safe === 'hold') {
      // What had to wait for its time, or for its interlock, is given up.
      this.line?.set(this.driven)
      if (!keepsWish) this.wanted = this.actual
    } else if (safe === 'release') {
      if (!keepsWish) this.wanted = false
      this.release()
    } else {
      if (!keepsWish) this.wanted = safe === 'on'
      this.switch(safe === 'on')
    }
    this.tell()
  }

  /** The holder of the line changed it. */
  onForced(isOn: boolean, reason: ForcedReason): void {
    this.changed(isOn)
    this.isReleased = reason === 'watchdog' && this.rules.safe === 'release'
    // A command may have come through between that and this.
    if (this.isReleased) this.line?.release?.()
    else if (reason === 'watchdog' || !isOn) this.line?.set(isOn)
    // It had to wait for another one to go off.
    if (reason === 'interlock' && isOn) {
      if (this.pulseMs > 0) {
        this.pattern?.cancel()
        this.pattern = this.clock.timer(this.pulseMs, () => this.endPulse())
      }
    } else {
      this.cancel()
      this.wanted = isOn
      this.context.problem(FORCED_CODE[reason], `${this.context.name} ${FORCED_TEXT[reason]}`)
    }
    this.tell()
  }

  stop(): void {
    this.cancel()
    this.readTimer?.cancel()
    this.line = null
  }

  private cancel(): void {
    this.delay?.cancel()
    this.delay = null
    this.cancelPattern()
  }

  private cancelPattern(): void {
    this.pattern?.cancel()
    this.flashes = 0
    this.pulseMs = 0
  }

  private endPulse(): void {
    this.pulseMs = 0
    this.want(false)
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
    const order = ++this.orders
    line.set(isOn)
    this.isReleased = false
    if (rules.hasInterlock && isOn) {
      // It may have to wait.
      line.read().then(
        (level) => {
          if (this.line === null || order !== this.orders) return
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

  private release(): void {
    this.orders++
    this.line?.release?.()
    this.isReleased = true
    this.changed(false)
  }

  private changed(isOn: boolean): void {
    if (isOn !== this.actual) this.changedAt = this.clock.now()
    this.actual = isOn
    this.driven = isOn
  }

  private tell(): void {
    this.context.set('', this.wanted)
    this.context.set('actual', this.actual)
  }

  /** Source: bridges.md §20.4. */
  private readBackLater(): void {
    this.readTimer = this.clock.timer(READ_BACK_MS, () => {
      this.readBackLater()
      const { line, driven, changedAt } = this
      if (line === null || this.isReleased) return
      line.read().then(
        (level) => {
          // It may have been switched meanwhile.
          if (this.line !== null && driven === this.driven && changedAt === this.changedAt) this.compare(level)
        },
        // Who holds the line tells that it is lost.
        () => {},
      )
    })
  }

  private compare(level: boolean): void {
    this.mismatches = level === this.driven ? 0 : this.mismatches + 1
    if (level === this.actual || (level !== this.driven && this.mismatches < MISMATCHES)) return
    this.actual = level
    this.tell()
    if (level === this.driven) return
    const { name, problem } = this.context
    const [is, should] = level ? ['on', 'off'] : ['off', 'on']
    problem(
      'readback',
      `${name} reads ${is} although it was switched ${should}: look for a short circuit, or set it again`,
    )
  }
}
