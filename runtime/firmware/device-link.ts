import { ByeReason } from '../../firmware-protocol/link/constants.ts'
import type { Descriptor } from '../../firmware-protocol/link/descriptor.ts'
import type { Announce } from '../../firmware-protocol/link/handshake.ts'
import { type Admission, type Carrier, HostLink, type HostLinkOwner } from '../../firmware-protocol/link/host-link.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import type { DeviceSession } from './device-session.ts'
import type { FirmwareHub } from './firmware-hub.ts'
import type { Ticking } from './link-ticker.ts'

/** What a device link needs to know of the line that it runs over. */
export interface Line {
  readonly transport: 'serial' | 'udp'
  /** For logs: device path, address and port. */
  readonly remote: string
  readonly carrier: Carrier
  /** Speed of the line; 0: it has none. */
  readonly baud: number
  /** The fastest that it may be switched to; undefined: it stays as it is. */
  readonly maxBaud?: number
  /** Counters of the line itself, to be shown with the link's. */
  counters(): Readonly<Record<string, number>>
  /** A token that its devices use where they bring none. */
  readonly token?: string
  /** Instead of /dev/<name>/. */
  readonly prefix?: string
  /** The link is down, or the device announced itself again. */
  onState?(isLinked: boolean): void
}

const WINDOW = 4
/** On a line nothing overtakes: see firmware-protocol/README.md, "Reliable frames". */
const SERIAL_RECEIVE_WINDOW = 8

/** One line with one device at its end: joins the link (frames, order, keep-alive) to the device's session. */
export class DeviceLink implements HostLinkOwner, Ticking {
  readonly line: Line
  readonly link: HostLink
  /** The session of the device that is linked, or was last. */
  session: DeviceSession | null = null
  uid = ''
  linkedAtMs = 0
  isAsleep = false
  private readonly hub: FirmwareHub
  private pings = 0
  private readonly waiting = new Map<number, { answered(nowMs: number): void; failed(reason: string): void }>()
  private isFlushScheduled = false
  /** A link that is down is looked at by nobody. */
  private isDescribed = false
  /** What a device that has just announced itself is known to have; taken up when it has been welcomed. */
  private known: Descriptor | undefined
  private speedTried = false
  /** The speed that was agreed on beyond the line's first; 0: none. */
  fasterBaud = 0
  speedChangedAtMs = 0
  /** When a device was last told to go: to ask who is there would bring it back at once. */
  sentAwayAtMs = Number.NEGATIVE_INFINITY

  constructor(hub: FirmwareHub, line: Line) {
    this.hub = hub
    this.line = line
    const { carrier } = line
    this.link = new HostLink(
      {
        mru: carrier.mru,
        setSession: (session) => carrier.setSession(session),
        busyMs: (nowMs) => carrier.busyMs(nowMs),
        lineMs: (bytes) => carrier.lineMs(bytes),
        send: (frame, length) => {
          if (hub.taps.size > 0) hub.tap(this, 'out', frame, 0, length)
          carrier.send(frame, length)
        },
        ...(carrier.setBaud !== undefined && { setBaud: (baud: number) => carrier.setBaud?.(baud) }),
      },
      {
        window: WINDOW,
        receiveWindow: line.transport === 'udp' ? WINDOW : SERIAL_RECEIVE_WINDOW,
        keepaliveMs: hub.options.keepaliveMs,
        baud: line.baud,
        random: hub.options.random,
        wallUs: () => hub.clock.wallUs(),
      },
      this,
    )
    hub.ticker.add(this)
  }

  get dueAt(): number {
    return this.link.dueAt
  }

  get isRunning(): boolean {
    return this.link.isLinked && this.isDescribed
  }

  poll(nowMs: number): void {
    this.link.poll(nowMs)
  }

  /** One checked frame from the line. */
  receive(bytes: Uint8Array, start: number, end: number): void {
    const { hub } = this
    if (hub.taps.size > 0) hub.tap(this, 'in', bytes, start, end)
    this.link.receive(bytes, start, end, hub.clock.now())
    const { known } = this
    this.known = undefined
    if (known !== undefined) this.described(known)
    this.scheduleFlush()
  }

  /** Resolves with the round trip in ms; rejects when the device does not answer in time. */
  ping(timeoutMs: number): Promise<number> {
    const { clock } = this.hub
    const id = ++this.pings
    return new Promise((resolve, reject) => {
      const sentAt = clock.now()
      const failed = (reason: string) => {
        this.waiting.delete(id)
        timer.cancel()
        reject(new Error(reason))
      }
      const timer = clock.timer(timeoutMs, () => failed(`no answer within ${timeoutMs} ms`))
      const answered = (nowMs: number) => {
        this.waiting.delete(id)
        timer.cancel()
        resolve(nowMs - sentAt)
      }
      this.waiting.set(id, { answered, failed })
      this.link.ping(id, sentAt)
    })
  }

  onPong(id: number, nowMs: number): void {
    this.waiting.get(id)?.answered(nowMs)
  }

  private abandonPings(reason: string): void {
    for (const { failed } of this.waiting.values()) failed(reason)
  }

  /** The line has room again. */
  onDrain(): void {
    this.scheduleFlush()
  }

  /** The line is gone, or serves another kind of peer. */
  close(reason: string): void {
    this.abandonPings(reason)
    // The line itself went: that says nothing about its speed.
    this.fasterBaud = 0
    this.link.cut(reason)
    this.hub.ticker.remove(this)
  }

  /** Sends the device away: it falls back at once. Its session is not touched. */
  bye(reason: number): void {
    const now = this.hub.clock.now()
    this.sentAwayAtMs = now
    if (!this.link.isLinked) return
    this.link.bye(reason, now)
    this.isDescribed = false
    this.abandonPings('it was sent away')
    this.line.onState?.(false)
  }

  onAnnounce(announce: Announce): Admission {
    const { hub } = this
    const refusal = hub.admit(announce, this)
    if (refusal !== null) {
      this.sentAwayAtMs = hub.clock.now()
      return { bye: refusal }
    }
    this.uid = announce.uid
    this.isDescribed = false
    this.isAsleep = false
    this.speedTried = false
    const session = hub.sessionOf(announce, this)
    if (!session.isOpen) {
      this.sentAwayAtMs = hub.clock.now()
      return { bye: ByeReason.unauthorized }
    }
    this.session = session
    session.relink()
    const known = hub.descriptors.get(announce.uid, announce.descriptorHash)
    session.onDescribed = (descriptor) => {
      if (typeof descriptor === 'string') {
        hub.log.warn('the descriptor of a device is not right', { device: session.remote, reason: descriptor })
        this.sentAwayAtMs = hub.clock.now()
        this.link.bye(ByeReason.protocolError, this.sentAwayAtMs)
        this.onLost(descriptor)
        return
      }
      hub.descriptors.put(announce.uid, descriptor)
      this.described(descriptor)
    }
    this.known = known
    return { isDescriptorKnown: known !== undefined }
  }

  onStranger(reason: string): void {
    this.sentAwayAtMs = this.hub.clock.now()
    this.hub.log.warn('a device cannot be linked', { port: this.line.remote, reason })
  }

  onRecords(bytes: Uint8Array, start: number, end: number, isReliable: boolean): void {
    this.session?.onRecords(bytes, start, end, isReliable)
  }

  pull(out: Uint8Array, at: number, limit: number, isReliable: boolean): number {
    // Nothing is sent before the device has been described: it would not know what the ids mean to us.
    if (this.session === null || !this.isDescribed) return at
    return this.session.outbox.pull(out, at, limit, isReliable)
  }

  onLost(reason: string, sleepSeconds?: number): void {
    const { session, hub } = this
    this.isDescribed = false
    this.isAsleep = sleepSeconds !== undefined
    this.abandonPings(reason)
    if (session !== null) {
      hub.log.info(this.isAsleep ? 'device sleeps' : 'device lost', { device: session.remote, reason })
      this.tell()
      hub.onLost(this, session, sleepSeconds)
    }
    this.fasterBaud = 0
    this.line.onState?.(false)
  }

  onLog(level: number, text: string): void {
    const name = (['debug', 'info', 'warn', 'error'] as const)[Math.min(3, level)]
    this.hub.deviceLog(name, this.session?.remote ?? this.line.remote, text)
  }

  onSpeed(baud: number, isChanged: boolean): void {
    // A link that is lost while its speed changes says nothing about the speed, which is tried again.
    if (!this.link.isLinked) return
    this.hub.onSpeed(this, baud, isChanged)
    if (isChanged) {
      this.speedChangedAtMs = this.hub.clock.now()
      this.fasterBaud = baud
    } else if (this.isRunning) this.hub.wantSpeed(this)
  }

  /** Sends what the session has collected, at the end of this turn of the event loop. */
  scheduleFlush(): void {
    if (this.isFlushScheduled) return
    this.isFlushScheduled = true
    this.hub.clock.afterTurn(this.flush)
  }

  /** The link's state, as a param below the device's prefix. */
  tell(): void {
    const { session, link, hub } = this
    if (session === null || !session.isOpen) return
    const { device } = link
    const text = (value: string): Value => ({ type: 'string', value })
    const count = (value: number): Value => ({ type: 'i64', value: Math.round(value) })
    const line = this.line.counters()
    session.say({
      type: 'SET',
      address: `${session.prefix}$link`,
      value: {
        type: 'map',
        value: [
          ['online', { type: 'bool', value: this.isRunning }],
          ['asleep', { type: 'bool', value: this.isAsleep }],
          ['uid', text(device?.uid ?? '')],
          ['port', text(this.line.remote)],
          ['firmware', text(session.descriptor?.firmware ?? '')],
          ['rttMs', { type: 'f64', value: Math.round(link.roundTripMs * 100) / 100 }],
          ['crcErrors', count(line.crcErrors ?? 0)],
          ['retransmits', count(link.retransmissions)],
          ['lost', count(link.counters.lostUnreliable)],
          ['losses', count(link.counters.losses)],
          ['lastSeen', count(hub.clock.wallUs() - (hub.clock.now() - link.heardAt) * 1000)],
        ],
      },
    })
  }

  private readonly flush = (): void => {
    this.isFlushScheduled = false
    this.link.send(this.hub.clock.now())
    this.hub.ticker.changed(this)
  }

  private described(descriptor: Descriptor): void {
    const { hub, session } = this
    if (session === null) return
    const problems = session.describe(descriptor)
    if (problems.length > 0)
      hub.log.warn('signals of a device are not taken', {
        device: session.remote,
        count: problems.length,
        first: problems[0],
      })
    this.isDescribed = true
    this.linkedAtMs = hub.clock.now()
    hub.log.info('device online', { device: session.remote, signals: session.prefix })
    this.tell()
    this.line.onState?.(true)
    if (!this.speedTried) {
      this.speedTried = true
      hub.wantSpeed(this)
    }
    this.scheduleFlush()
  }
}
