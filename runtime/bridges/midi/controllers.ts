import type { Clock, Timer } from '../../router/clock.ts'
import { CHANNELS } from './midi-status.ts'

/** A lower half comes within this time, or not at all. */
const LSB_WINDOW_MS = 2
/** Values of parameters that steps up and down start from. */
const MAX_PARAMETERS = 1024
/** Upper halves that wait; more are told at once. */
const MAX_WAITING = 64
const NULL_SELECTION = 127

const DATA_UPPER = 6
const DATA_LOWER = 38
const DATA_UP = 96
const DATA_DOWN = 97
const NRPN_LOWER = 98
const NRPN_UPPER = 99
const RPN_UPPER = 101
/** From an upper half to its lower one. */
const LOWER_OFFSET = 32

export type ParameterKind = 'nrpn' | 'rpn'

export interface ControllerSink {
  onController(channel: number, controller: number, value: number): void
  /** A pair of controllers: 0 … 16 383. */
  onFineController(channel: number, controller: number, value: number): void
  /** `highest`: 16 383; 127 where `nrpn7` is set and no lower half came. */
  onParameter(channel: number, kind: ParameterKind, number: number, value: number, highest: number): void
}

/** 0 … 16 383 as the gear has it, whoever set it; undefined: it is not known. */
export type KnownValue = (kind: ParameterKind | 'cc14', channel: number, number: number) => number | undefined

export interface ControllerOptions {
  /** Upper halves of pairs. */
  readonly cc14: readonly number[]
  readonly nrpn: boolean
  readonly nrpn7: boolean
  readonly rawCc: boolean
}

interface Selection {
  kind: ParameterKind
  upper: number
  lower: number
}

interface Waiting {
  readonly channel: number
  readonly kind: ParameterKind | 'fine'
  readonly number: number
  readonly upper: number
  readonly dueAt: number
}

/**
 * Puts together what takes several controllers: pairs of 14 bits, and parameters (NRPN, RPN). An upper half sets the lower
 * one to 0 and waits 2 ms for it. Source: MIDI 1.0 Detailed Specification 4.2, "Control change"; bridges.md §4.4.
 */
export class Controllers {
  private readonly options: ControllerOptions
  private readonly sink: ControllerSink
  private readonly clock: Clock
  private readonly known: KnownValue
  private readonly fine: ReadonlySet<number>
  private readonly selections: Selection[] = Array.from({ length: CHANNELS }, () => nothingSelected())
  /** Upper halves as they came last, by channel and controller. */
  private readonly uppers = new Uint8Array(CHANNELS * LOWER_OFFSET)
  private readonly parameters = new Map<string, number>()
  private readonly waiting: Waiting[] = []
  private timer: Timer | null = null

  constructor(options: ControllerOptions, sink: ControllerSink, clock: Clock, known: KnownValue = () => undefined) {
    this.options = options
    this.known = known
    this.sink = sink
    this.clock = clock
    this.fine = new Set(options.cc14)
  }

  take(channel: number, controller: number, value: number): void {
    const isPart = this.partOfParameter(channel, controller, value) || this.partOfPair(channel, controller, value)
    if (!isPart || this.options.rawCc) this.sink.onController(channel, controller, value)
  }

  /** Another message follows in this channel: no lower half comes any more. */
  settle(channel: number): void {
    if (this.waiting.length > 0) this.tellWaiting((one) => one.channel === channel)
  }

  /** Forgets what waits. */
  stop(): void {
    this.timer?.cancel()
    this.waiting.length = 0
  }

  private partOfPair(channel: number, controller: number, value: number): boolean {
    if (this.fine.has(controller)) {
      this.tellWaiting((one) => one.channel === channel && one.kind === 'fine' && one.number === controller)
      this.uppers[channel * LOWER_OFFSET + controller] = value
      this.wait(channel, 'fine', controller, value)
      return true
    }
    const pair = controller - LOWER_OFFSET
    if (!this.fine.has(pair)) return false
    const cameNow = this.uppers[channel * LOWER_OFFSET + pair] << 7
    const before = this.forget(channel, 'fine', pair) ? cameNow : (this.known('cc14', channel, pair) ?? cameNow)
    this.sink.onFineController(channel, pair, (before & ~0x7f) | value)
    return true
  }

  private partOfParameter(channel: number, controller: number, value: number): boolean {
    if (!this.options.nrpn) return false
    const selection = this.selections[channel]
    if (isSelection(controller)) {
      this.tellWaiting((one) => one.channel === channel && one.kind !== 'fine')
      const kind = controller === NRPN_LOWER || controller === NRPN_UPPER ? 'nrpn' : 'rpn'
      if (selection.kind !== kind) Object.assign(selection, nothingSelected(), { kind })
      if (controller === NRPN_UPPER || controller === RPN_UPPER) selection.upper = value
      else selection.lower = value
      return true
    }
    const { kind, upper, lower } = selection
    if (upper === NULL_SELECTION && lower === NULL_SELECTION) return false
    const number = (upper << 7) | lower
    if (controller === DATA_UPPER) {
      this.tellWaiting((one) => one.channel === channel && one.kind === kind)
      this.remember(channel, kind, number, value << 7)
      this.wait(channel, kind, number, value)
    } else if (controller === DATA_LOWER) {
      const isPair = this.forget(channel, kind, number)
      const before = this.parameterAt(channel, kind, number, isPair)
      this.tellParameter(channel, kind, number, (before & ~0x7f) | value)
    } else if (controller === DATA_UP || controller === DATA_DOWN) {
      this.settle(channel)
      const before = this.parameterAt(channel, kind, number, false)
      const step = (this.options.nrpn7 ? 128 : 1) * (controller === DATA_UP ? 1 : -1)
      const next = Math.min(16_383, Math.max(0, before + step))
      if (this.options.nrpn7) this.tellUpper({ channel, kind, number, upper: next >> 7, dueAt: 0 })
      else this.tellParameter(channel, kind, number, next)
    } else {
      return false
    }
    return true
  }

  private wait(channel: number, kind: Waiting['kind'], number: number, upper: number): void {
    if (this.waiting.length >= MAX_WAITING) this.tellUpper(this.waiting.shift() as Waiting)
    this.waiting.push({ channel, kind, number, upper, dueAt: this.clock.now() + LSB_WINDOW_MS })
    this.timer ??= this.clock.timer(LSB_WINDOW_MS, this.onTimer)
  }

  private readonly onTimer = (): void => {
    this.timer = null
    const now = this.clock.now()
    this.tellWaiting(({ dueAt }) => dueAt <= now)
    const [next] = this.waiting
    if (next !== undefined) this.timer = this.clock.timer(next.dueAt - now, this.onTimer)
  }

  /** `isHere`: its upper half has just come. */
  private parameterAt(channel: number, kind: ParameterKind, number: number, isHere: boolean): number {
    const known = isHere || this.options.nrpn7 ? undefined : this.known(kind, channel, number)
    return known ?? this.parameters.get(`${channel} ${kind} ${number}`) ?? 0
  }

  /** Whether it waited. */
  private forget(channel: number, kind: Waiting['kind'], number: number): boolean {
    const at = this.waiting.findIndex((one) => one.channel === channel && one.kind === kind && one.number === number)
    if (at >= 0) this.waiting.splice(at, 1)
    return at >= 0
  }

  private tellWaiting(isDue: (one: Waiting) => boolean): void {
    for (let at = 0; at < this.waiting.length; ) {
      if (isDue(this.waiting[at])) this.tellUpper(this.waiting.splice(at, 1)[0])
      else at++
    }
  }

  private tellUpper({ channel, kind, number, upper }: Waiting): void {
    if (kind === 'fine') this.sink.onFineController(channel, number, upper << 7)
    else if (!this.options.nrpn7) this.tellParameter(channel, kind, number, upper << 7)
    else {
      this.remember(channel, kind, number, upper << 7)
      this.sink.onParameter(channel, kind, number, upper, 127)
    }
  }

  private tellParameter(channel: number, kind: ParameterKind, number: number, value: number): void {
    this.remember(channel, kind, number, value)
    this.sink.onParameter(channel, kind, number, value, 16_383)
  }

  private remember(channel: number, kind: ParameterKind, number: number, value: number): void {
    const key = `${channel} ${kind} ${number}`
    if (this.parameters.size >= MAX_PARAMETERS && !this.parameters.has(key)) {
      this.parameters.delete(this.parameters.keys().next().value as string)
    }
    this.parameters.set(key, value)
  }
}

function nothingSelected(): Selection {
  return { kind: 'rpn', upper: NULL_SELECTION, lower: NULL_SELECTION }
}

/** Controllers 98 to 101. */
function isSelection(controller: number): boolean {
  return controller >= NRPN_LOWER && controller <= RPN_UPPER
}
