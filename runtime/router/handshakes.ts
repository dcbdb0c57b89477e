import { randomUUID } from 'node:crypto'
import type { Feature, Hello } from '../../firmware-protocol/wire/message.ts'
import { type Authorizer, isRefusal } from './access.ts'
import type { Timer } from './clock.ts'
import type { Core } from './core.ts'
import { CloseCode } from './link.ts'
import { Writer } from './param.ts'
import { RateLimit } from './rate-limit.ts'
import type { Session } from './session.ts'
import type { Snapshots } from './snapshots.ts'

/** What a client may use; the same for everybody, whatever HELLO asks for. */
export const FEATURES: Feature[] = ['param', 'event', 'stream', 'gesture', 'timeline']
/** A hub says so, which upstream peers overlook and ours need not find out. Federation reference §14. */
const HUB_FEATURES: Feature[] = [...FEATURES, 'federation']
/** Longer timers are taken in steps: a timer holds 24 days at most. */
const LONGEST_TIMER_MS = 86_400_000

/** From the first byte of a connection to its session: HELLO in time, permission, WELCOME, and the whole state. */
export class Handshakes {
  private readonly core: Core
  private readonly authorizer: Authorizer | undefined
  private readonly snapshots: Snapshots
  /** Lets go of everything that hangs on a session's id. */
  private readonly forgetIdentity: (session: Session) => void
  /** Until HELLO: when it must have come; after it: when the permission ends. */
  private readonly deadlines = new Map<Session, Timer>()

  constructor(
    core: Core,
    authorizer: Authorizer | undefined,
    snapshots: Snapshots,
    forgetIdentity: (session: Session) => void,
  ) {
    this.core = core
    this.authorizer = authorizer
    this.snapshots = snapshots
    this.forgetIdentity = forgetIdentity
  }

  /** Gives a new connection its time to say HELLO. */
  expect(session: Session): void {
    const { clock, log, options } = this.core
    const deadline = clock.timer(options.handshakeTimeoutMs, () => {
      log.info('connection closed: no HELLO in time', { remote: session.link.remote })
      session.close(CloseCode.policy, 'no HELLO in time')
    })
    this.deadlines.set(session, deadline)
  }

  /** A session's first HELLO, or a further one, which makes a new session of the same connection (D-13). */
  hello(session: Session, { token, name, features }: Hello): void {
    const { core } = this
    const access = this.authorizer?.authorize(token, name) ?? null
    if (access !== null && isRefusal(access)) {
      core.log.warn('HELLO refused', { remote: session.link.remote, name, reason: access.message })
      core.refuse(session, access.code, access.message)
      session.close(CloseCode.policy, access.message)
      return
    }
    this.forget(session)
    if (session.isOpen) this.forgetIdentity(session)
    session.writer = new Writer(randomUUID())
    session.name = name
    session.isFederationPeer = features.includes('federation')
    session.access = access
    session.isRestricted = access !== null || (session.isFederationPeer && core.peers !== null)
    const { maxMessagesPerSecond } = core.options
    session.rate = maxMessagesPerSecond > 0 && !session.isLocal ? new RateLimit(maxMessagesPerSecond, core.now) : null
    session.connectedAtUs = core.wallUs
    session.opened()
    core.sessions.set(session.id, session)
    if (access !== null && access.expiresAtUs !== Number.POSITIVE_INFINITY)
      this.watchExpiry(session, access.expiresAtUs)
    core.log[session.isLocal ? 'debug' : 'info']('session started', {
      session: session.id,
      name,
      remote: session.link.remote,
    })
    session.reply({
      type: 'WELCOME',
      version: 1,
      features: core.peers === null ? FEATURES : HUB_FEATURES,
      time: core.clock.wallUs(),
      session: session.id,
      name: core.options.name,
    })
    // A part of the router asks for what it wants by subscribing.
    if (!session.isLocal) this.snapshots.send(session, null, true)
    for (const observer of core.sessionObservers) observer.onSessionStart(session.id, name)
  }

  forget(session: Session): void {
    this.deadlines.get(session)?.cancel()
    this.deadlines.delete(session)
  }

  private watchExpiry(session: Session, expiresAtUs: number): void {
    const { core } = this
    const delayMs = (expiresAtUs - core.clock.wallUs()) / 1000
    const timer = core.clock.timer(Math.min(delayMs, LONGEST_TIMER_MS), () => {
      core.beginTurn()
      if (core.clock.wallUs() < expiresAtUs) {
        this.watchExpiry(session, expiresAtUs)
        return
      }
      core.refuse(session, 302, 'Token has expired')
      session.close(CloseCode.policy, 'Token has expired')
    })
    this.deadlines.set(session, timer)
  }
}
