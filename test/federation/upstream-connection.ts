import { DecodeError, EncodeError } from '../../firmware-protocol/wire/errors.ts'
import { decodeFrame, encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { Hello, Message } from '../../firmware-protocol/wire/message.ts'
import type { Timer } from '../../runtime/router/clock.ts'
import type { UpstreamHub } from './upstream-hub.ts'
import type { UpstreamLine, UpstreamLineOwner } from './upstream-line.ts'
import { UpstreamQueue } from './upstream-queue.ts'
import { type Fate, kindOf } from './upstream-record.ts'
import { refusal } from './upstream-refusal.ts'
import { answer } from './upstream-requests.ts'
import type { UpstreamScopes } from './upstream-scopes.ts'
import { UpstreamSession } from './upstream-session.ts'

const HANDSHAKE_MS = 10_000

/** One connection at the hub, from the first byte on: HELLO, the rate limit, and the order of frames in and out. */
export class UpstreamConnection implements UpstreamLineOwner {
  readonly hub: UpstreamHub
  readonly number: number
  readonly queue: UpstreamQueue
  /** Of the newest HELLO. */
  session: UpstreamSession | undefined
  isEnded = false
  /** Nothing is read or answered any more, although the transport is open. */
  isDead = false
  private isFrozen = false
  private readonly line: UpstreamLine
  private readonly arrived: Uint8Array[] = []
  private readonly late: { frame: Uint8Array; timer: Timer }[] = []
  /** When the last of the late frames is due. */
  private dueMs = 0
  private readonly handshake: Timer
  private second = Number.NaN
  private framesInSecond = 0

  constructor(hub: UpstreamHub, line: UpstreamLine, number: number) {
    this.hub = hub
    this.line = line
    this.number = number
    this.queue = new UpstreamQueue(line, () => this.work())
    this.handshake = hub.clock.timer(HANDSHAKE_MS, () => this.giveUp())
  }

  onFrame(frame: Uint8Array): void {
    this.arrived.push(frame)
    this.work()
  }

  onEnd(): void {
    if (this.isEnded) return
    this.isEnded = true
    this.stopTimers()
    // A task that died does not clean up behind itself (D18).
    if (!this.isDead) this.session?.unlist()
  }

  /** A direct answer: it waits for room, and so does everything that the peer sends meanwhile. */
  reply(message: Message): void {
    const { ackRevision } = this.hub.faults
    if (message.type === 'ACK' && message.revision !== undefined && ackRevision !== undefined) {
      this.send({ ...message, revision: ackRevision(message.address, Number(message.revision)) })
    } else this.send(message)
  }

  broadcast(message: Message, sessionId: string): Fate {
    if (!this.hub.faults.takeDrop(sessionId) && !this.queue.isFull) return this.send(message)
    this.hub.record(this, 'out', message, 'dropped')
    return 'dropped'
  }

  /** Bytes of the test's choice, past everything that waits for its delay. */
  sendRaw(bytes: Uint8Array): void {
    this.queue.push(bytes)
  }

  close(): void {
    this.line.close()
  }

  cut(): void {
    this.line.cut()
    this.onEnd()
  }

  /** As if the cable were pulled: nothing is read or sent, and nothing is closed, until `thaw`. */
  freeze(): void {
    this.isFrozen = true
    this.queue.hold()
    this.line.pause()
  }

  thaw(): void {
    this.isFrozen = false
    this.queue.release()
    this.work()
  }

  /** Nothing more is read: the connection is closed, or left hanging, as the hub is set. */
  giveUp(): void {
    this.handshake.cancel()
    this.isDead = true
    if (this.hub.closesRefused) this.close()
  }

  private work(): void {
    while (this.arrived.length > 0 && !this.queue.isFull && !this.isFrozen) {
      const frame = this.arrived.shift() as Uint8Array
      if (!this.isDead && !this.isEnded) this.take(frame)
    }
    if (this.isEnded) return
    if (this.isFrozen || this.arrived.length > 0) this.line.pause()
    else this.line.resume()
  }

  private take(frame: Uint8Array): void {
    const decoded = decodeFrame(frame)
    const message = decoded instanceof DecodeError ? undefined : decoded.message
    if (this.session !== undefined && this.isOverRate()) {
      this.note(message, 'limited')
      this.reply(refusal(429, `Rate limit exceeded: ${this.hub.rateLimit} messages/second`))
    } else if (message === undefined) {
      this.note(message, 'ignored')
      if (this.session === undefined) this.giveUp()
      else if (isTruncated(decoded)) this.isDead = true
    } else if (this.hub.faults.cutsOn.has(kindOf(message))) {
      this.note(message, 'ignored')
      this.cut()
    } else if (this.hub.faults.ignores.has(kindOf(message))) this.note(message, 'ignored')
    else if (message.type === 'HELLO') this.greet(message)
    else if (this.session === undefined) this.giveUp()
    else {
      this.note(message, 'handled')
      answer(this.session, message)
    }
  }

  /** The session before, if there is one, stays in the tables with its subscriptions (D25). */
  private greet(hello: Hello): void {
    const { tokens, clock } = this.hub
    const access = tokens === null ? null : tokens.check(hello.token, clock.wallUs())
    if (access !== null && 'code' in access) {
      this.note(hello, 'handled')
      this.reply(access)
      this.session?.unlist()
      this.giveUp()
    } else this.welcome(hello, access)
  }

  /** Scopes: null = open mode. */
  private welcome(hello: Hello, scopes: UpstreamScopes | null): void {
    const { hub } = this
    this.handshake.cancel()
    const session = new UpstreamSession(hub.newSessionId(), hello, scopes, this)
    this.session = session
    hub.sessions.push(session)
    this.note(hello, 'handled')
    this.reply({
      type: 'WELCOME',
      version: 1,
      features: ['param', 'event', 'stream', 'gesture', 'timeline'],
      time: hub.clock.wallUs(),
      session: session.id,
      name: hub.name,
    })
    session.sendSnapshot(hub.visibleParams(() => true, session))
  }

  /** Frames of one second of the wall clock are counted, whatever they are; the HELLO is not. */
  private isOverRate(): boolean {
    const second = Math.floor(this.hub.clock.wallUs() / 1e6)
    if (second !== this.second) this.framesInSecond = 0
    this.second = second
    this.framesInSecond++
    return this.hub.rateLimit > 0 && this.framesInSecond > this.hub.rateLimit
  }

  private send(message: Message): Fate {
    const { faults } = this.hub
    if (this.isEnded) return 'withheld'
    if (faults.cutsBefore.has(kindOf(message))) this.cut()
    const frame = frameOf(message)
    const fate =
      frame === undefined ? 'lost' : this.isEnded || faults.withholds.has(kindOf(message)) ? 'withheld' : 'sent'
    this.hub.record(this, 'out', message, fate)
    if (frame !== undefined && fate === 'sent') this.dispatch(faults.mangle?.(frame, message) ?? frame)
    return fate
  }

  /** A shorter delay does not let a frame overtake those before it. */
  private dispatch(frame: Uint8Array): void {
    const { faults, clock } = this.hub
    if (faults.delayMs === 0 && this.late.length === 0) {
      this.queue.push(frame)
      return
    }
    this.dueMs = Math.max(this.dueMs, clock.now() + faults.delayMs)
    const timer = clock.timer(this.dueMs - clock.now(), () => {
      const first = this.late.shift()
      if (first !== undefined) this.queue.push(first.frame)
    })
    this.late.push({ frame, timer })
  }

  private note(message: Message | undefined, fate: Fate): void {
    this.session?.seen.note(message, fate)
    this.hub.seen.note(message, fate)
    if (message !== undefined) this.hub.record(this, 'in', message, fate)
  }

  private stopTimers(): void {
    this.handshake.cancel()
    for (const { timer } of this.late.splice(0)) timer.cancel()
  }
}

/** Undefined when the message does not fit into a frame: the hub says so in its log and to nobody else. */
function frameOf(message: Message): Uint8Array | undefined {
  try {
    return encodeFrame(message)
  } catch (error) {
    if (error instanceof EncodeError) return undefined
    throw error
  }
}

/**
 * The payload ends within a field of fixed size: the task of the connection panics (federation.md §3.3, D18). Within a
 * string or bytes the hub notices and ignores the frame; but a string of 1, 2, 4 or 8 bytes counts as a field here.
 */
function isTruncated(error: unknown): boolean {
  return error instanceof DecodeError && / needs [1248] bytes/.test(error.reason)
}
