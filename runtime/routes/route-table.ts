import { EncodeError } from '../../firmware-protocol/wire/errors.ts'
import type { Message, Publish } from '../../firmware-protocol/wire/message.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { Problem } from '../config/problem.ts'
import type { Clock, Timer } from '../router/clock.ts'
import type { LocalSession, LocalSessionOptions } from '../router/local-session.ts'
import type { Log } from '../router/log.ts'
import { compileRules } from './compile-rules.ts'
import { LoopGuard } from './loop-guard.ts'
import type { Passing, Trail } from './mapper.ts'
import { OwnWrites } from './own-writes.ts'
import { patternsOverlap } from './pattern-overlap.ts'
import { plainSource } from './plain-source.ts'
import { RuleMapper } from './rule-mapper.ts'

export interface RouteTableParts {
  router: { openLocal(options: LocalSessionOptions): LocalSession }
  clock: Clock
  log: Log
}

export interface RouteCounters {
  rules: number
  /** Values that a rule was for, and what was written. */
  in: number
  out: number
  /** Values without a result. */
  failures: number
  /** Values that were on their way back to where they came from, or that foreign gear sent round. */
  loops: number
  /** Writes that the router did not take. */
  refused: number
}

/** Routes through more addresses than this are taken for a loop. */
const MAX_TRAIL = 16
const TELL_AGAIN_MS = 60_000
/** What there is has arrived by then. */
const BEGINNING_MS = 1000
const NULL: Value = { type: 'null' }

/**
 * Rules between any two addresses of the router, without a bridge (bridges.md §18.2). A value that a route has written may
 * go on by other routes, but never to an address where it has been.
 */
export class RouteTable {
  private readonly parts: RouteTableParts
  private readonly session: LocalSession
  private readonly forward: RuleMapper
  private readonly backward: RuleMapper
  /** Whether some route reads what another one writes: only then values are followed. */
  private readonly isLinked: boolean
  private readonly own = new OwnWrites<Trail>()
  private readonly guard: LoopGuard
  private readonly counts = { rules: 0, in: 0, out: 0, loops: 0, refused: 0 }
  /** What routes in both directions wrote at the start: there the side of `match` counts. */
  private readonly begun = new Set<string>()
  private readonly beginning: Timer
  private toldMs = Number.NEGATIVE_INFINITY
  private isOpen = true

  /** `rules`: as the configuration has checked them. Throws a RangeError when they are wrong. */
  constructor(rules: readonly unknown[], parts: RouteTableParts) {
    this.parts = parts
    const problems: Problem[] = []
    const { forward, backward } = compileRules(plainSource(rules, 'routes'), 'routes', problems).routes
    if (problems.length > 0) throw new RangeError(problems.map(({ message }) => message).join('; '))
    this.counts.rules = forward.length
    this.forward = new RuleMapper(forward, parts)
    this.backward = new RuleMapper(backward, parts)
    const patterns = [...new Set([...this.forward.patterns, ...this.backward.patterns])]
    const targets = [...forward, ...backward].flatMap(({ targetPatterns }) => targetPatterns)
    this.isLinked = targets.some((target) => patterns.some((pattern) => patternsOverlap(pattern, target)))
    this.guard = new LoopGuard(parts.clock, (address) => this.tellLoop(address))
    this.session = parts.router.openLocal({
      name: 'routes',
      // Anybody's values go by routes.
      isForeign: true,
      onMessage: (message) => this.receive(message),
      onClose: () => {
        this.isOpen = false
      },
    })
    this.beginning = parts.clock.timer(BEGINNING_MS, () => this.begun.clear())
    for (const [at, pattern] of patterns.entries()) this.send({ type: 'SUBSCRIBE', id: at + 1, pattern, types: [] })
  }

  get counters(): RouteCounters {
    return { ...this.counts, failures: this.forward.failures + this.backward.failures }
  }

  stop(): void {
    this.isOpen = false
    this.beginning.cancel()
    this.guard.stop()
    this.forward.stop()
    this.backward.stop()
    this.session.close()
  }

  private receive(message: Message): void {
    if (message.type === 'SET') {
      const { address, value } = message
      const trail = this.isLinked ? this.own.take(address, value) : undefined
      this.enter({ address, value, signal: 'param', trail: this.trailAt(address, trail) }, trail !== undefined)
    } else if (message.type === 'PUBLISH') {
      this.published(message)
    } else if (message.type === 'SNAPSHOT') {
      for (const { address, value } of message.params) {
        const trail = this.isLinked ? this.own.take(address, value) : undefined
        this.pass({ address, value, signal: 'param', isInitial: true, trail: this.trailAt(address, trail) })
      }
    } else if (message.type === 'ACK' && message.address !== undefined) {
      this.own.answered(message.address)
    } else if (message.type === 'ERROR') {
      this.counts.refused++
      if (message.address !== undefined) this.own.answered(message.address)
    }
  }

  private published({ address, signal = 'event', value, payload, samples, phase, id }: Publish): void {
    if (signal === 'timeline') return
    const trail = this.trailAt(address, undefined)
    if (samples === undefined) {
      this.enter({ address, value: value ?? payload ?? NULL, signal, phase, id, trail }, false)
      return
    }
    for (const sample of samples) this.enter({ address, value: { type: 'f64', value: sample }, signal, trail }, false)
  }

  private trailAt(address: string, before: Trail | undefined): Trail | undefined {
    return this.isLinked ? { address, before, length: (before?.length ?? 0) + 1 } : undefined
  }

  private enter(passing: Passing, isOwn: boolean): void {
    if (this.isLinked && !isOwn && !this.guard.allows(passing.address, false)) this.counts.loops++
    else this.pass(passing)
  }

  private pass(passing: Passing): void {
    const isForward = this.forward.pass(passing, this.write)
    const isBackward =
      (passing.isInitial !== true || !this.begun.has(passing.address)) && this.backward.pass(passing, this.write)
    if (isForward || isBackward) this.counts.in++
  }

  private readonly write = (result: Passing): void => {
    if (!this.isOpen) return
    const { address, value, signal, ttl, trail } = result
    if (this.isLinked) {
      if (result.isInitial === true) this.begun.add(address)
      if (trail !== undefined && hasBeen(trail, address)) {
        // A route in both directions always comes back to its start: that is no fault.
        if (trail.before?.address !== address) this.tellLoop(address)
        return
      }
      if (!this.guard.allows(address, true)) {
        this.counts.loops++
        return
      }
    }
    this.counts.out++
    if (signal === 'param') {
      if (trail !== undefined) {
        this.own.expect(address, value, trail)
        this.own.sent(address)
      }
      this.send({ type: 'SET', address, value, ttl })
    } else {
      this.publish(result)
    }
  }

  private publish({ address, value, signal, phase, id, trail }: Passing): void {
    if (signal === 'event') {
      this.send({ type: 'PUBLISH', address, signal, payload: value, timestamp: this.parts.clock.wallUs() })
    } else if (signal === 'gesture') {
      this.send({ type: 'PUBLISH', address, signal, phase, id, payload: value })
    } else {
      this.send({ type: 'PUBLISH', address, signal, value })
    }
    // The router does not tell a sender what it published.
    if (trail !== undefined) this.pass({ address, value, signal, phase, id, trail: this.trailAt(address, trail) })
  }

  private tellLoop(address: string): void {
    this.counts.loops++
    const now = this.parts.clock.now()
    if (now - this.toldMs < TELL_AGAIN_MS) return
    this.toldMs = now
    this.parts.log.warn('routes go round in circles; the value is not passed on', { address })
  }

  private send(message: Message): void {
    if (!this.isOpen) return
    try {
      this.session.send(message)
    } catch (error) {
      // Such as a joined Array that is too large.
      if (!(error instanceof EncodeError)) throw error
      this.counts.refused++
    }
  }
}

/** Whether a value was at an address, or came through too many. */
function hasBeen(trail: Trail, address: string): boolean {
  if (trail.length > MAX_TRAIL) return true
  for (let at: Trail | undefined = trail; at !== undefined; at = at.before) if (at.address === address) return true
  return false
}
