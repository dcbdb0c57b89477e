import { addressProblem } from '../../firmware-protocol/wire/address.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { Clock } from '../router/clock.ts'
import type { Log } from '../router/log.ts'
import type { Mapper, Passing } from './mapper.ts'
import { RecentMap } from './recent-map.ts'
import type { Rule } from './rule.ts'
import { Alarm, RuleState, type RuleWay } from './rule-way.ts'
import type { Moment, Outcome } from './step.ts'
import { isSameValue } from './value-text.ts'

export interface MapperParts {
  clock: Clock
  log: Log
}

/** Addresses that are remembered with what the rules keep of them; the one that is unused for the longest time gives way. */
const MAX_ADDRESSES = 4096
const TELL_AGAIN_MS = 60_000
const NULL: Value = { type: 'null' }
const FATES = { pass: 'passes unchanged', drop: 'is dropped', default: 'the default replaces' } as const

/** Where and when a step runs; there is one for all values. */
class CurrentMoment implements Moment {
  address = ''
  captures: readonly string[] = []
  input: Value = NULL
  nowMs = 0
  boolIsNumber = false
  wake: (delayMs: number) => void = () => {}
  private readonly clock: Clock

  constructor(clock: Clock) {
    this.clock = clock
  }

  get wallUs(): number {
    return this.clock.wallUs()
  }
}

/**
 * Rules at work. On the way of every value: what they know of an address is looked up once, and without pacing a value
 * costs the objects of its result.
 */
export class RuleMapper implements Mapper {
  readonly patterns: readonly string[]
  /** Values without a result, since the start. */
  failures = 0
  private readonly rules: readonly Rule[]
  private readonly parts: MapperParts
  private readonly moment: CurrentMoment
  private readonly ways = new RecentMap<readonly RuleWay[]>(MAX_ADDRESSES, forget)
  private readonly shared = new Map<Rule, RecentMap<RuleState>>()
  private readonly toldMs = new Map<Rule, number>()
  private running: { way: RuleWay; step: number; passing: Passing; emit: (result: Passing) => void } = {
    way: undefined as never,
    step: 0,
    passing: undefined as never,
    emit: () => {},
  }
  private isStopped = false

  constructor(rules: readonly Rule[], parts: MapperParts) {
    this.rules = rules
    this.parts = parts
    this.patterns = [...new Set(rules.flatMap(({ matcher }) => matcher.patterns))]
    this.moment = new CurrentMoment(parts.clock)
    this.moment.wake = (delayMs) => this.wake(delayMs)
  }

  pass(passing: Passing, emit: (result: Passing) => void): boolean {
    if (this.isStopped) return false
    const ways = this.ways.get(passing.address) ?? this.waysOf(passing.address)
    for (let at = 0; at < ways.length; at++) {
      const way = ways[at]
      const { rule } = way
      this.enter(way, passing)
      if (rule.when !== null && !rule.when(passing.value, this.moment)) continue
      this.advance(way, passing, emit, 0, passing.value)
      if (rule.stop) break
    }
    return ways.length > 0
  }

  stop(): void {
    this.isStopped = true
    for (const ways of this.ways.values())
      for (const { state } of ways) for (const alarm of state.alarms) alarm?.cancel()
    for (const states of this.shared.values()) {
      for (const { alarms } of states.values()) for (const alarm of alarms) alarm?.cancel()
    }
    this.ways.clear()
    this.shared.clear()
  }

  /** All rules that are for an address; where they lead to does not change any more. */
  private waysOf(address: string): readonly RuleWay[] {
    const ways: RuleWay[] = []
    for (const rule of this.rules) {
      const captures = rule.matcher.capturesOf(address)
      if (captures === null) continue
      const targets = rule.targets.map((target) => target.fill(captures))
      // Such as one that grew too long.
      if (targets.some((target) => addressProblem(target) !== undefined)) continue
      const state = rule.isShared ? this.sharedState(rule, targets[0]) : new RuleState(rule)
      ways.push({ rule, captures, targets, state })
    }
    this.ways.set(address, ways)
    return ways
  }

  private sharedState(rule: Rule, target: string): RuleState {
    const states = this.shared.get(rule) ?? new RecentMap<RuleState>(MAX_ADDRESSES, hurry)
    this.shared.set(rule, states)
    const state = states.get(target) ?? new RuleState(rule)
    states.set(target, state)
    return state
  }

  private enter(way: RuleWay, passing: Passing): void {
    const { moment } = this
    moment.address = passing.address
    moment.captures = way.captures
    moment.input = passing.value
    moment.nowMs = this.parts.clock.now()
    moment.boolIsNumber = way.rule.boolIsNumber
  }

  /** Takes a value through the steps from `from` on. */
  private advance(way: RuleWay, passing: Passing, emit: (result: Passing) => void, from: number, value: Outcome): void {
    const { rule, state } = way
    const { steps } = rule
    const { running } = this
    running.way = way
    running.passing = passing
    running.emit = emit
    let outcome = value
    let step = from
    for (;;) {
      if (outcome === 'held') return
      if (outcome === 'failed') {
        const instead = this.instead(rule, passing)
        if (instead === undefined || step > rule.pacingFrom) return
        outcome = instead
        step = rule.pacingFrom
      }
      if (step >= steps.length) break
      running.step = step
      outcome = steps[step].run(outcome, state.steps[step], this.moment)
      step++
    }
    this.finish(way, passing, emit, outcome)
  }

  /** What takes the place of a result that there is not; undefined: nothing. */
  private instead(rule: Rule, passing: Passing): Value | undefined {
    this.fail(rule, passing, `a rule has no result for a value, which ${FATES[rule.onError]} (onError)`)
    if (rule.onError === 'drop') return undefined
    return rule.onError === 'pass' ? passing.value : rule.fallback
  }

  /** Counted, and told at most once a minute for each rule. */
  private fail(rule: Rule, { address, value }: Passing, message: string): void {
    this.failures++
    const now = this.parts.clock.now()
    if (now - (this.toldMs.get(rule) ?? Number.NEGATIVE_INFINITY) < TELL_AGAIN_MS) return
    this.toldMs.set(rule, now)
    this.parts.log.warn(message, { rule: rule.name, address, type: value.type })
  }

  private wake(delayMs: number): void {
    const { way, step, passing, emit } = this.running
    const { state } = way
    state.passing = passing
    state.emit = emit
    state.alarms[step] ??= new Alarm(this.parts.clock, () => this.due(way, step))
    state.alarms[step].set(delayMs)
  }

  private due(way: RuleWay, step: number): void {
    const { rule, state } = way
    const { passing, emit } = state
    if (this.isStopped || passing === undefined || emit === undefined) return
    this.enter(way, passing)
    this.running.way = way
    this.running.passing = passing
    this.running.emit = emit
    this.running.step = step
    const outcome = rule.steps[step].due?.(state.steps[step], this.moment) ?? 'held'
    this.advance(way, passing, emit, step + 1, outcome)
  }

  private finish(
    { rule, targets, state }: RuleWay,
    passing: Passing,
    emit: (result: Passing) => void,
    value: Value,
  ): void {
    const signal = rule.signal === 'keep' ? passing.signal : rule.signal
    if (signal === 'event' && passing.signal === 'param') {
      // An event is what changes: not what is there, and not what is said again.
      const isNews = passing.isInitial !== true && (state.told === undefined || !isSameValue(state.told, value))
      state.told = value
      if (!isNews) return
    }
    const isNewGesture = signal === 'gesture' && passing.signal !== 'gesture'
    const phase = isNewGesture ? 'move' : passing.phase
    const id = isNewGesture ? 1 : passing.id
    const ttl = rule.ttl ?? passing.ttl
    const { isInitial, writtenUs, trail } = passing
    if (!rule.isFan) {
      emit({ address: targets[0], value, signal, phase, id, ttl, isInitial, writtenUs, trail })
      return
    }
    if (value.type !== 'array') {
      this.fail(rule, passing, 'fan needs an Array: the value goes nowhere')
      return
    }
    for (let at = 0; at < targets.length && at < value.value.length; at++) {
      emit({ address: targets[at], value: value.value[at], signal, phase, id, ttl, isInitial, writtenUs, trail })
    }
  }
}

/** What was held back goes out before the state is forgotten. Shared states outlive single addresses. */
function forget(ways: readonly RuleWay[]): void {
  for (const { rule, state } of ways) if (!rule.isShared) hurry(state)
}

function hurry({ alarms }: RuleState): void {
  for (const alarm of alarms) alarm?.hurry()
}
