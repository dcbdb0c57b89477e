import { encodeFrame } from '../../../firmware-protocol/wire/frame.ts'
import type { U64 } from '../../../firmware-protocol/wire/message.ts'
import type { Clock } from '../../router/clock.ts'
import type { AnsweredRequest, ClockRequest, Note, Request, Sent, SetRequest, VectorRequest } from './hub-request.ts'
import type { Refusal, RequestAnswer } from './hub-session.ts'

interface Ping {
  seq: number
  sentAt: number
  /** Sent to find out what a 429 has cost. */
  isProbe: boolean
  /** The hub may have discarded it. */
  isUnsure: boolean
}

interface Waiter {
  seq: number
  settle: Settle
}

export interface PongOutcome {
  /** The hub may have discarded them: to be sent again, in this order. */
  again: (AnsweredRequest | VectorRequest | Note)[]
  /** Barriers that now wait for those as well: to be added again behind them. */
  barriers: Settle[]
}

type Settle = (answer: RequestAnswer) => void

const MAX_ATTEMPTS = 3
const PING_REPEAT_MS = 1000
/** A PING that may have been discarded has been by then. */
const PING_FORGOTTEN_MS = 3000
/** GET, SUBSCRIBE, UNSUBSCRIBE are closed by a PING by then. */
const NOTE_CLOSED_MS = 1000
/** An answer to REQUEST_SYNC may take so many time-outs as long as SNAPSHOTs go on coming. */
const MAX_SYNC_TIMEOUTS = 6

/**
 * What was sent to a hub and is not answered, and the matching of answers to it. The protocol has no request numbers:
 * ACK and ERROR of a SET name the address, an empty ACK is for the only DECLARE or BUNDLE that may be under way, and a
 * PONG proves that everything before its PING has been answered or discarded. Source: federation.md §5.9, §5.10, §13.5.4.
 *
 * A hub may discard PINGs as well, and a PONG does not say which PING it answers: it counts for the oldest, which may
 * prove too little but never too much. So one PING is under way at a time, several only after a 429, and one that may have
 * been discarded is forgotten after a while.
 */
export class Answers {
  private readonly clock: Clock
  private readonly answerTimeoutMs: number
  private readonly sets = new Map<string, SetRequest>()
  /** In the order of sending; a handful. */
  private readonly requests = new Set<AnsweredRequest | VectorRequest>()
  private readonly notes = new Set<Note>()
  private readonly clocks = new Map<number, ClockRequest>()
  private waiters: Waiter[] = []
  private pings: Ping[] = []
  private nextSeq = 1
  /** A PONG is needed for a PING of this place or a later one. */
  private wantedSeq = 0
  private provenSeq = 0
  private throttledAt = Number.NEGATIVE_INFINITY
  private lastT1 = 0
  private snapshotAt = Number.NEGATIVE_INFINITY
  private exclusive: AnsweredRequest | undefined
  /** A 429 is being dealt with: nothing but PINGs leaves. */
  isThrottled = false
  /** When the first PING since the last PONG was sent. */
  waitingSince: number | undefined

  constructor(clock: Clock, answerTimeoutMs: number) {
    this.clock = clock
    this.answerTimeoutMs = answerTimeoutMs
  }

  get setsUnderWay(): number {
    return this.sets.size
  }

  /** A DECLARE or BUNDLE is under way: no other may follow. */
  get isExclusiveTaken(): boolean {
    return this.exclusive !== undefined
  }

  /** The request is about to leave. */
  sent(request: Request): void {
    const now = this.clock.now()
    request.seq = this.nextSeq++
    request.sentAt = now
    request.attempts++
    switch (request.kind) {
      case 'set':
        // Two at once for an address cannot be told apart.
        this.sets.get(request.address)?.settle({ kind: 'lost' })
        this.sets.delete(request.address)
        this.sets.set(request.address, request)
        return
      case 'declare':
      case 'bundle':
        this.exclusive = request
        this.await(request)
        return
      case 'sync':
        this.await(request)
        return
      case 'vector':
        this.requests.add(request)
        this.wantPong()
        return
      case 'note':
        this.notes.add(request)
        return
      case 'clock':
        // What it waited for is no part of the round trip, and no two may be alike.
        this.lastT1 = Math.max(this.lastT1 + 1, this.clock.wallUs())
        request.t1 = this.lastT1
        request.frame = encodeFrame({ type: 'SYNC', t1: request.t1 })
        this.clocks.set(request.t1, request)
    }
  }

  /** The next PONG from behind all that was sent so far settles it. */
  addBarrier(settle: Settle): void {
    this.waiters.push({ seq: this.nextSeq, settle })
    this.wantPong()
  }

  /** A PONG is needed from behind all that was sent so far. */
  wantPong(): void {
    this.wantedSeq = this.nextSeq
  }

  /** Until the next PING is to be sent, ms; Infinity = none is needed, or one is under way. */
  pingInMs(): number {
    const now = this.clock.now()
    while (this.pings.length > 0 && this.pings[0].isUnsure && now - this.pings[0].sentAt >= PING_FORGOTTEN_MS)
      this.pings.shift()
    if (!this.isThrottled && this.wantedSeq <= this.provenSeq) return Number.POSITIVE_INFINITY
    const last = this.pings.at(-1)
    if (last === undefined) return 0
    if (this.isThrottled) return Math.max(0, last.sentAt + PING_REPEAT_MS - now)
    return last.isUnsure ? Math.max(0, last.sentAt + PING_FORGOTTEN_MS - now) : Number.POSITIVE_INFINITY
  }

  pingSent(): void {
    const isProbe = this.isThrottled
    const sentAt = this.clock.now()
    this.pings.push({ seq: this.nextSeq++, sentAt, isProbe, isUnsure: isProbe })
    this.waitingSince ??= sentAt
  }

  /** ERROR 429. */
  onThrottle(): void {
    this.throttledAt = this.clock.now()
    this.isThrottled = true
    for (const ping of this.pings) ping.isUnsure = true
  }

  onAck(address: string | undefined, revision: U64 | undefined): void {
    if (address === undefined) {
      if (this.exclusive !== undefined) this.finish(this.exclusive, { kind: 'done' })
      return
    }
    const set = this.sets.get(address)
    if (set === undefined) return
    this.sets.delete(address)
    set.settle({ kind: 'stored', revision: Number(revision ?? 0) })
  }

  /** False: it answers nothing that is under way. */
  onError(refusal: Refusal): boolean {
    const { address } = refusal
    if (address === undefined) {
      const [oldest] = this.requests
      if (oldest === undefined) return false
      this.finish(oldest, { kind: 'refused', refusal })
      return true
    }
    const set = this.sets.get(address)
    if (set !== undefined) {
      this.sets.delete(address)
      set.settle({ kind: 'refused', refusal })
      return true
    }
    for (const request of this.requests) {
      if (request.kind === 'vector' || !request.concerns.has(address)) continue
      this.finish(request, { kind: 'refused', refusal })
      return true
    }
    return false
  }

  /** A REQUEST_SYNC whose answer is coming does not time out. */
  onSnapshot(): void {
    this.snapshotAt = this.clock.now()
  }

  onSyncComplete(patterns: readonly string[]): void {
    for (const request of this.requests) {
      if (request.kind !== 'sync' || !patterns.some((pattern) => request.concerns.has(pattern))) continue
      this.finish(request, { kind: 'done' })
      return
    }
  }

  /** SYNC with the times of the hub. The round trip is measured by the monotonic clock: the other may be set meanwhile. */
  onClock(t1: U64, t2: U64, t3: U64): void {
    const request = this.clocks.get(Number(t1))
    if (request === undefined) return
    this.clocks.delete(request.t1)
    const t4 = request.t1 + (this.clock.now() - request.sentAt) * 1000
    const roundTripUs = Math.round(t4 - request.t1 - (Number(t3) - Number(t2)))
    const offsetUs = Math.round((Number(t2) - request.t1 + (Number(t3) - t4)) / 2)
    request.settle(roundTripUs < 0 ? undefined : { offsetUs, roundTripUs })
  }

  onPong(): PongOutcome {
    this.waitingSince = undefined
    const ping = this.pings.shift()
    if (ping === undefined) return { again: [], barriers: [] }
    this.provenSeq = ping.seq
    if (ping.isProbe) this.isThrottled = false
    this.discard(ping.seq)
    const again = this.repeated(ping.seq)
    if (again.length > 0) {
      // Whoever waits for an answer of these waits for the next one.
      const barriers = this.waiters.map(({ settle }) => settle)
      this.waiters = []
      return { again, barriers }
    }
    const reached = this.waiters.filter(({ seq }) => seq <= ping.seq)
    this.waiters = this.waiters.filter(({ seq }) => seq > ping.seq)
    for (const { settle } of reached) settle({ kind: 'done' })
    return { again, barriers: [] }
  }

  /** Now and then: asks for a PONG when an answer is overdue. */
  sweep(): void {
    const now = this.clock.now()
    const overdue = now - this.answerTimeoutMs / 2
    const [set] = this.sets.values()
    const [clock] = this.clocks.values()
    const [note] = this.notes
    const isLate = (request: Request | undefined, before: number) =>
      request !== undefined && request.seq >= this.wantedSeq && request.sentAt <= before
    if (isLate(set, overdue) || isLate(clock, overdue) || isLate(note, now - NOTE_CLOSED_MS)) this.wantPong()
  }

  /** The session has ended: everything settles. */
  end(): void {
    for (const set of this.sets.values()) set.settle({ kind: 'lost' })
    for (const request of this.requests) {
      if (request.kind !== 'vector') request.timer?.cancel()
      request.settle({ kind: 'lost' })
    }
    for (const { settle } of this.waiters) settle({ kind: 'lost' })
    for (const clock of this.clocks.values()) clock.settle(undefined)
    this.sets.clear()
    this.requests.clear()
    this.notes.clear()
    this.clocks.clear()
    this.waiters = []
    this.pings = []
  }

  private await(request: AnsweredRequest): void {
    this.requests.add(request)
    request.isPassed = false
    request.timer = this.clock.timer(request.timeoutMs, () => this.expire(request))
  }

  private expire(request: AnsweredRequest): void {
    const { timeoutMs } = request
    const now = this.clock.now()
    if (
      request.kind === 'sync' &&
      this.snapshotAt > now - timeoutMs &&
      now - request.sentAt < MAX_SYNC_TIMEOUTS * timeoutMs
    ) {
      request.timer = this.clock.timer(timeoutMs, () => this.expire(request))
      return
    }
    if (request.isPassed) {
      this.finish(request, { kind: 'unanswered' })
      return
    }
    request.isSpent = true
    request.settle({ kind: 'unanswered' })
    this.wantPong()
  }

  private finish(request: AnsweredRequest | VectorRequest, answer: RequestAnswer): void {
    this.requests.delete(request)
    if (this.exclusive === request) this.exclusive = undefined
    if (request.kind !== 'vector') {
      request.timer?.cancel()
      if (request.isSpent) return
    }
    request.settle(answer)
  }

  /** What was sent before and has no answer now was discarded. */
  private discard(before: number): void {
    for (const set of this.sets.values()) {
      if (set.seq > before) break
      this.sets.delete(set.address)
      set.settle({ kind: 'discarded' })
    }
    for (const clock of this.clocks.values()) {
      if (clock.seq > before) break
      this.clocks.delete(clock.t1)
      clock.settle(undefined)
    }
  }

  private repeated(before: number): (AnsweredRequest | VectorRequest | Note)[] {
    const again: (AnsweredRequest | VectorRequest | Note)[] = []
    for (const note of this.notes) {
      if (note.seq > before) break
      this.notes.delete(note)
      if (this.isDoubtful(note) && note.attempts < MAX_ATTEMPTS) again.push(note)
    }
    for (const request of this.requests) {
      if (request.seq > before) break
      const isDoubtful = this.isDoubtful(request)
      const isSpent = request.kind !== 'vector' && request.isSpent
      if (isDoubtful && !isSpent && request.attempts < MAX_ATTEMPTS) {
        this.withdraw(request)
        again.push(request)
      } else if (isDoubtful || isSpent) this.finish(request, { kind: 'unanswered' })
      else if (request.kind === 'vector') this.finish(request, { kind: 'done' })
      else request.isPassed = true
    }
    return again.sort((a, b) => a.seq - b.seq)
  }

  private withdraw(request: AnsweredRequest | VectorRequest): void {
    this.requests.delete(request)
    if (this.exclusive === request) this.exclusive = undefined
    if (request.kind !== 'vector') request.timer?.cancel()
  }

  /** A 429 may have been meant for it: what leaves after one is paused for and gets its own. */
  private isDoubtful({ sentAt }: Sent): boolean {
    return this.throttledAt >= sentAt
  }
}
