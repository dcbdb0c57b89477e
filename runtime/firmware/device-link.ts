import { ByeReason } from '../../firmware-protocol/link/constants.ts'
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
const DATAGRAM_WINDOW = 8

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
  private readonly waiting = new Map<number, (nowMs: number) => void>()
  private isFlushScheduled = false
  /** A link that is down is looked at by nobody. */
  private isDescribed = false
  private speedTried = false
  /** The speed that was agreed on beyond the line's first; 0: none. */
  fasterBaud = 0
  speedChangedAtMs = 0

  constructor(hub: FirmwareHub, line: Line) {
    this.hub = hub
    this.line = line
    const { carrier } = line
    this.link = new HostLink(
      {
        mru: carrier.mru,
        setSession: (session) => carrier.setSession(session),
        busyMs: (nowMs) => carrier.busyMs(nowMs),
        send: (frame, length) => {
          if (hub.taps.size > 0) hub.tap(this, 'out', frame, 0, length)
          carrier.send(frame, length)
        },
        ...(carrier.setBaud !== undefined && { setBaud: (baud: number) => carrier.setBaud?.(baud) }),
      },
      {
        window: line.transport === 'udp' ? DATAGRAM_WINDOW : WINDOW,
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
    this.scheduleFlush()
  }

  /** Resolves with the round trip in ms; rejects when the device does not answer in time. */
  ping(timeoutMs: number): Promise<number> {
    const { clock } = this.hub
    const id = ++this.pings
    return new Promise((resolve, reject) => {
      const sentAt = clock.now()
      const timer = clock.timer(timeoutMs, () => {
        this.waiting.delete(id)
        reject(new Error(`no answer within ${timeoutMs} ms`))
      })
      this.waiting.set(id, (nowMs) => {
        timer.cancel()
        resolve(nowMs - sentAt)
      })
      this.link.ping(id, sentAt)
    })
  }

  onPong(id: number, nowMs: number): void {
    const done = this.waiting.get(id)
    this.waiting.delete(id)
    done?.(nowMs)
  }

  /** The line has room again. */
  onDrain(): void {
    this.scheduleFlush()
  }

  /** The line is gone, or serves another kind of peer. */
  close(reason: string): void {
    // The line itself went: that says nothing about its speed.
    this.fasterBaud = 0
    this.link.cut(reason)
    this.hub.ticker.remove(this)
  }

  /** The router stops: the device is told, so that it falls back at once. */
  bye(reason: number): void {
    if (this.link.isLinked) this.link.bye(reason, this.hub.clock.now())
  }

  onAnnounce(announce: Announce): Admission {
    const { hub } = this
    const refusal = hub.admit(announce, this)
    if (refusal !== null) return { bye: refusal }
    this.uid = announce.uid
    this.isDescribed = false
    this.isAsleep = false
    this.speedTried = false
    const session = hub.sessionOf(announce, this)
    this.session = session
    session.relink()
    const known = hub.descriptors.get(announce.uid, announce.descriptorHash)
    session.onDescribed = (descriptor) => {
      if (typeof descriptor === 'string') {
        hub.log.warn('the descriptor of a device is not right', { device: session.remote, reason: descriptor })
        this.link.bye(ByeReason.protocolError, hub.clock.now())
        this.onLost(descriptor)
        return
      }
      hub.descriptors.put(announce.uid, descriptor)
      session.describe(descriptor)
      this.described()
    }
    if (known !== undefined) {
      session.describe(known)
      this.described()
    }
    return { isDescriptorKnown: known !== undefined }
  }

  onStranger(reason: string): void {
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

  private described(): void {
    const { hub, session } = this
    this.isDescribed = true
    this.linkedAtMs = hub.clock.now()
    if (session === null) return
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
