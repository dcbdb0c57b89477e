import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { Clock, Timer } from '../router/clock.ts'
import type { Passing } from './mapper.ts'
import type { Rule } from './rule.ts'

/** What a rule remembers of one address, or of those that share a target. */
export class RuleState {
  /** By step. */
  readonly steps: unknown[]
  /** Whom to call when a step wants to go on: made when one does for the first time. */
  readonly alarms: (Alarm | undefined)[]
  /** The newest value, for steps that go on later. */
  passing: Passing | undefined
  emit: ((result: Passing) => void) | undefined
  /** Of a param that becomes an event. */
  told: Value | undefined

  constructor(rule: Rule) {
    this.steps = rule.steps.map((step) => step.start?.())
    this.alarms = []
  }
}

/** A rule and one address that it is for. */
export interface RuleWay {
  readonly rule: Rule
  readonly captures: readonly string[]
  readonly targets: readonly string[]
  readonly state: RuleState
}

/** One wish at a time to be called later. A later wish costs no new timer: the one that runs is looked at again. */
export class Alarm {
  private readonly clock: Clock
  private readonly ring: () => void
  private timer: Timer | null = null
  private dueMs = 0
  private timerMs = 0

  constructor(clock: Clock, ring: () => void) {
    this.clock = clock
    this.ring = ring
  }

  set(delayMs: number): void {
    this.dueMs = this.clock.now() + delayMs
    if (this.timer !== null && this.timerMs <= this.dueMs) return
    this.timer?.cancel()
    this.start(delayMs)
  }

  /** Rings at once if it was to ring. */
  hurry(): void {
    if (this.timer === null) return
    this.cancel()
    this.ring()
  }

  cancel(): void {
    this.timer?.cancel()
    this.timer = null
  }

  private start(delayMs: number): void {
    this.timerMs = this.clock.now() + delayMs
    this.timer = this.clock.timer(delayMs, () => {
      this.timer = null
      const leftMs = this.dueMs - this.clock.now()
      if (leftMs > 0) this.start(leftMs)
      else this.ring()
    })
  }
}
