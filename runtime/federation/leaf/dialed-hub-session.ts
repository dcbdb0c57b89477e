import { ErrorCode } from '../../../firmware-protocol/wire/constants.ts'
import { DecodeError, EncodeError } from '../../../firmware-protocol/wire/errors.ts'
import { decodeFrame, encodeFrame, frameLength } from '../../../firmware-protocol/wire/frame.ts'
import type { ErrorMessage, Message, Publish, SetParam, Ttl, U64 } from '../../../firmware-protocol/wire/message.ts'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { ChannelHandler } from '../../client/channel.ts'
import { ClientError } from '../../client/client-error.ts'
import { parseRouterUrl } from '../../client/router-url.ts'
import type { Clock, Timer } from '../../router/clock.ts'
import { Answers } from './answers.ts'
import { FrameRate } from './frame-rate.ts'
import { type GreetedHub, greetHub } from './hub-greeting.ts'
import { HubLiveness } from './hub-liveness.ts'
import { type AnsweredRequest, unsent } from './hub-request.ts'
import type {
  ClockSample,
  HubSession,
  HubSessionCounters,
  HubSessionHandler,
  HubSessionOptions,
  LinkProblem,
  Refusal,
  RequestAnswer,
  SetAnswer,
} from './hub-session.ts'
import { closedByHub, closedHere, gibberish, urlProblem } from './link-words.ts'
import { Outgoing } from './outgoing.ts'

export interface HubSessionParts {
  clock: Clock
  /** Ends the attempt and, later, the session. */
  signal: AbortSignal
}

/** Longest frame that every transport carries: a prefixed unit has 65 536 bytes at most. */
const MAX_FRAME_BYTES = 65_535
const SWEEP_MS = 1000
/** PINGs of the hub are not answered beyond: it does not read. */
const MAX_UNSENT_FOR_PONG_BYTES = 65_536
/** An ERROR without an address tells why the connection was closed so soon after it. */
const CLOSE_REASON_MS = 2000
const PONG = encodeFrame({ type: 'PONG' })

/**
 * Opens a session at a hub. Never rejects: a problem has a `kind`, a session has none. The handler hears nothing before
 * the promise has resolved with the session.
 */
export async function dialHub(
  options: HubSessionOptions,
  handler: HubSessionHandler,
  parts: HubSessionParts,
): Promise<HubSession | LinkProblem> {
  let url: URL
  try {
    url = parseRouterUrl(options.url)
  } catch (error) {
    if (error instanceof ClientError) return urlProblem(error)
    throw error
  }
  const greeted = await greetHub(url, options, parts)
  return 'kind' in greeted ? greeted : new DialedHubSession(url, options, handler, parts, greeted)
}

class DialedHubSession implements HubSession, ChannelHandler {
  readonly id: string
  readonly hubName: string
  readonly isFederatingHub: boolean
  readonly counters: HubSessionCounters = { framesSent: 1, framesReceived: 1, throttled: 0 }
  private readonly url: URL
  private readonly options: HubSessionOptions
  private readonly handler: HubSessionHandler
  private readonly clock: Clock
  private readonly signal: AbortSignal
  private readonly hub: GreetedHub
  private readonly answers: Answers
  private readonly frameRate: FrameRate
  private readonly outgoing: Outgoing
  private isEnded = false
  private timer: Timer
  private readonly liveness: HubLiveness
  private lastError = { text: '', at: Number.NEGATIVE_INFINITY }

  constructor(
    url: URL,
    options: HubSessionOptions,
    handler: HubSessionHandler,
    { clock, signal }: HubSessionParts,
    hub: GreetedHub,
  ) {
    this.url = url
    this.options = options
    this.handler = handler
    this.clock = clock
    this.signal = signal
    this.hub = hub
    this.id = hub.welcome.session
    this.hubName = hub.welcome.name
    this.isFederatingHub = hub.isFederatingHub
    const now = clock.now()
    this.answers = new Answers(clock, options.answerTimeoutMs)
    this.liveness = new HubLiveness(this.answers, hub.channel, url, options.answerTimeoutMs, now)
    this.frameRate = new FrameRate(options.rate, now)
    // HELLO.
    this.frameRate.take(now)
    this.outgoing = new Outgoing({
      clock,
      channel: hub.channel,
      answers: this.answers,
      rate: this.frameRate,
      counters: this.counters,
      window: options.window,
      onRoom: () => handler.onRoom(),
    })
    this.timer = this.sweepSoon()
    signal.addEventListener('abort', this.onAbort, { once: true })
    hub.takeOver(this)
    if (signal.aborted) clock.afterTurn(this.onAbort)
  }

  get canSend(): boolean {
    return this.outgoing.hasRoom(true)
  }

  get rate(): number {
    return this.frameRate.current
  }

  set(address: string, value: Value, ttl?: Ttl): Promise<SetAnswer> {
    return new Promise((settle) => {
      const frame = frameOf({ type: 'SET', address, value, ttl })
      if (this.isEnded) settle({ kind: 'lost' })
      else if (typeof frame === 'string') settle({ kind: 'refused', refusal: tooLarge(frame, address) })
      else this.outgoing.post({ kind: 'set', frame, ...unsent, address, settle })
    })
  }

  bundle(sets: SetParam[]): Promise<RequestAnswer> {
    const concerns = new Set(sets.map(({ address }) => address))
    return this.ask('bundle', { type: 'BUNDLE', messages: sets }, concerns, this.options.answerTimeoutMs)
  }

  publish(message: Publish): boolean {
    if (this.isEnded) return false
    const frame = frameOf(message)
    if (typeof frame !== 'string') return this.outgoing.publish(frame)
    this.handler.onRefused(tooLarge(frame, message.address))
    return true
  }

  declare(namespaces: string[], routerId: string, timeoutMs: number): Promise<RequestAnswer> {
    const message: Message = {
      type: 'FEDERATION_SYNC',
      op: 'declare_namespaces',
      patterns: namespaces,
      revisions: [],
      origin: routerId,
    }
    return this.ask('declare', message, new Set(namespaces), timeoutMs)
  }

  requestSync(pattern: string): Promise<RequestAnswer> {
    const message: Message = {
      type: 'FEDERATION_SYNC',
      op: 'request_sync',
      patterns: [pattern],
      revisions: [],
      origin: this.options.name,
    }
    return this.ask('sync', message, new Set([pattern]), this.options.answerTimeoutMs)
  }

  revisionVector(revisions: [string, U64][]): Promise<RequestAnswer> {
    return new Promise((settle) => {
      const frame = frameOf({
        type: 'FEDERATION_SYNC',
        op: 'revision_vector',
        patterns: [],
        revisions,
        origin: this.options.name,
      })
      if (this.isEnded) settle({ kind: 'lost' })
      else if (typeof frame === 'string') settle({ kind: 'refused', refusal: tooLarge(frame) })
      else this.outgoing.post({ kind: 'vector', frame, ...unsent, settle })
    })
  }

  get(address: string): void {
    this.note({ type: 'GET', address }, address)
  }

  subscribe(id: number, pattern: string): void {
    this.note({ type: 'SUBSCRIBE', id, pattern, types: [] }, pattern)
  }

  unsubscribe(id: number): void {
    this.note({ type: 'UNSUBSCRIBE', id })
  }

  barrier(): Promise<RequestAnswer> {
    return new Promise((settle) => {
      if (this.isEnded) settle({ kind: 'lost' })
      else this.outgoing.barrier(settle)
    })
  }

  sampleClock(): Promise<ClockSample | undefined> {
    return new Promise((settle) => {
      if (this.isEnded) settle(undefined)
      else this.outgoing.post({ kind: 'clock', frame: PONG, ...unsent, t1: 0, settle })
    })
  }

  close(): void {
    this.end(closedHere(this.url))
    this.hub.channel.close()
  }

  onAlive(): void {
    this.liveness.heard(this.clock.now())
  }

  onFrames(bytes: Uint8Array): void {
    this.liveness.heardFrames(this.clock.now())
    for (let at = 0; at < bytes.length && !this.isEnded; ) {
      const frame = decodeFrame(bytes, at)
      if (frame instanceof DecodeError) {
        this.fail(gibberish(frame.reason, true, this.url))
        return
      }
      this.counters.framesReceived++
      this.receive(frame.message)
      at += frameLength(bytes, at, bytes.length)
    }
    this.outgoing.pump()
  }

  onClose(reason: string, isViolation: boolean): void {
    if (isViolation) {
      this.end(gibberish(reason, true, this.url))
      return
    }
    const { text, at } = this.lastError
    const said = at >= this.clock.now() - CLOSE_REASON_MS ? text : ''
    this.end(closedByHub([said, reason].filter((part) => part !== '').join('; '), true, this.url))
  }

  private receive(message: Message): void {
    const { handler, answers } = this
    switch (message.type) {
      case 'SET':
        handler.onSet(message)
        return
      case 'PUBLISH':
        handler.onPublish(message)
        return
      case 'SNAPSHOT':
        answers.onSnapshot()
        handler.onSnapshot(message.params)
        return
      case 'ACK':
        answers.onAck(message.address, message.revision)
        return
      case 'ERROR':
        this.onError(message)
        return
      case 'PONG':
        this.outgoing.repeat(answers.onPong())
        return
      case 'SYNC':
        if (message.t2 !== undefined && message.t3 !== undefined) answers.onClock(message.t1, message.t2, message.t3)
        return
      case 'FEDERATION_SYNC':
        if (message.op === 'sync_complete') answers.onSyncComplete(message.patterns)
        return
      case 'PING':
        if (this.hub.channel.unsentBytes < MAX_UNSENT_FOR_PONG_BYTES) this.hub.channel.send(PONG)
        return
      case 'BUNDLE':
        // A hub does not send bundles, but may.
        for (const inner of message.messages) if (!this.isEnded) this.receive(inner)
    }
  }

  private onError({ code, message, address }: ErrorMessage): void {
    const refusal: Refusal = { code, message, address }
    if (address === undefined) {
      this.lastError = { text: `${message} (${code})`, at: this.clock.now() }
      if (code === ErrorCode.tooMany) {
        this.counters.throttled++
        this.frameRate.throttle(this.clock.now())
        this.answers.onThrottle()
        return
      }
      // With another text it is the answer to a request that the hub could not store.
      if (code === ErrorCode.overflow && /^(Buffer overflow|Session closed)/.test(message)) {
        this.handler.onOverflow()
        return
      }
    }
    if (this.answers.onError(refusal)) return
    if (code === ErrorCode.overflow && address === undefined) this.handler.onOverflow()
    else this.handler.onRefused(refusal)
  }

  private ask(
    kind: AnsweredRequest['kind'],
    message: Message,
    concerns: ReadonlySet<string>,
    timeoutMs: number,
  ): Promise<RequestAnswer> {
    return new Promise((settle) => {
      const frame = frameOf(message)
      if (this.isEnded) settle({ kind: 'lost' })
      else if (typeof frame === 'string') settle({ kind: 'refused', refusal: tooLarge(frame) })
      else this.outgoing.post({ kind, frame, ...unsent, concerns, timeoutMs, isSpent: false, isPassed: false, settle })
    })
  }

  private note(message: Message, address?: string): void {
    if (this.isEnded) return
    const frame = frameOf(message)
    if (typeof frame === 'string') this.handler.onRefused(tooLarge(frame, address))
    else this.outgoing.post({ kind: 'note', frame, ...unsent })
  }

  private sweepSoon(): Timer {
    return this.clock.timer(Math.min(SWEEP_MS, this.options.answerTimeoutMs / 4), () => this.sweep())
  }

  private sweep(): void {
    const problem = this.liveness.look(this.clock.now())
    if (problem !== undefined) {
      this.fail(problem)
      return
    }
    this.outgoing.sweep()
    this.timer = this.sweepSoon()
  }

  private readonly onAbort = (): void => {
    this.end(closedHere(this.url))
  }

  /** Ends the session and the connection without a farewell. */
  private fail(problem: LinkProblem): void {
    this.end(problem)
    this.hub.cut()
  }

  private end(problem: LinkProblem): void {
    if (this.isEnded) return
    this.isEnded = true
    this.timer.cancel()
    this.signal.removeEventListener('abort', this.onAbort)
    this.answers.end()
    this.outgoing.stop()
    this.handler.onEnded(problem)
  }
}

/** The frame, or why there is none. */
function frameOf(message: Message): Uint8Array | string {
  try {
    const frame = encodeFrame(message)
    return frame.length <= MAX_FRAME_BYTES ? frame : `${message.type} takes a frame of ${frame.length} bytes`
  } catch (error) {
    if (error instanceof EncodeError) return error.message
    throw error
  }
}

/** What cannot be sent is refused in the hub's place. */
function tooLarge(message: string, address?: string): Refusal {
  return { code: ErrorCode.invalidValue, message, address }
}
