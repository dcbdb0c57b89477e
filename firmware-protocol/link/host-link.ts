/** Hot path: `receive`, `send`. */

import {
  ByeReason,
  Control,
  CRC_BYTES,
  CtrlBit,
  FrameClass,
  HEAD_BYTES,
  LARGEST_MRU,
  LINK_VERSION,
  SMALLEST_MRU,
} from './constants.ts'
import { type Announce, decodeAnnounce, encodeWelcome } from './handshake.ts'
import { ReliableChannel } from './reliable-channel.ts'
import { SpeedChange } from './speed-change.ts'

/** What takes frames to the device: a serial line or datagrams. */
export interface Carrier {
  /** Largest frame, CTRL … CRC, that we take. */
  readonly mru: number
  /** Seed of the CRC of what is sent and received from now on. */
  setSession(session: number): void
  /** 0: a frame can leave now. Else milliseconds until it is worth asking again. */
  busyMs(nowMs: number): number
  /** How long so many bytes take on the line, ms; 0 where it has no speed of its own. */
  lineMs(bytes: number): number
  /** Sends CTRL SEQ BODY; the bytes are the caller's again afterwards. */
  send(frame: Uint8Array, length: number): void
  /** Switches the line; only where `maxBaud` is above 0. */
  setBaud?(baud: number): void
}

export interface HostLinkOptions {
  /** Reliable frames under way to the device: 1, 2, 4 or 8; at most 4 where frames may overtake each other. */
  window: number
  /** The same for frames from the device. */
  receiveWindow: number
  keepaliveMs: number
  /** Speeds that the line can do, for `changeSpeed`; 0: it has none. */
  baud: number
  /** A number of that many bits. */
  random(bits: number): number
  wallUs(): number
}

/** What becomes of a device that announces itself. */
export type Admission = { isDescriptorKnown: boolean } | { bye: number }

/** The owner of a link: the session that the device has at the router. Called within `receive` and `poll`. */
export interface HostLinkOwner {
  /** A device announces itself, also again after a reboot: everything from the session before is void. */
  onAnnounce(announce: Announce): Admission
  /** A link version that we do not speak, or a malformed ANNOUNCE. */
  onStranger(reason: string): void
  /** The records of one data frame, in order, each once. The bytes are the link's again afterwards. */
  onRecords(bytes: Uint8Array, start: number, end: number, isReliable: boolean): void
  /**
   * The line is free: write the records that are to go next into `out[at, limit)` and return the offset behind them, or
   * `at` when there are none. Reliable ones arrive once and in order; of the others the newest counts.
   */
  pull(out: Uint8Array, at: number, limit: number, isReliable: boolean): number
  /** The link is down; it waits for the next ANNOUNCE. `sleepSeconds` when the device said that it goes to sleep. */
  onLost(reason: string, sleepSeconds?: number): void
  onLog(level: number, text: string): void
  /** The answer to `ping`, with its number. */
  onPong(id: number, nowMs: number): void
  /** Another baud rate is in use, or was tried in vain. */
  onSpeed(baud: number, isChanged: boolean): void
}

/** Counters only grow. */
export interface LinkCounters {
  framesIn: number
  framesOut: number
  /** Frames with reserved bits, or of no session, and ANNOUNCEs that come too often. */
  ignored: number
  naks: number
  /** Times that the device held back what may be lost. */
  stalls: number
  /** Frames missing between unreliable ones. */
  lostUnreliable: number
  announces: number
  losses: number
}

type State = 'silent' | 'linked'

const WELCOME_REPEAT_MS = 200
const NOT_READY_MS = 1000
/** Sessions that may begin in a second: each costs the router some work. */
const MAX_STARTS_PER_SECOND = 10
/** Missed keep-alives until the link is lost. */
const PATIENCE = 3.5

/**
 * The router's end of one link: handshake, order, acknowledgement, resending, keep-alive, time and speed. It is given
 * whole frames and the time, and writes to a carrier; it has no timer of its own but says when it is due.
 */
export class HostLink {
  readonly counters: LinkCounters = {
    framesIn: 0,
    framesOut: 0,
    ignored: 0,
    naks: 0,
    stalls: 0,
    lostUnreliable: 0,
    announces: 0,
    losses: 0,
  }
  /** Monotonic ms at which `poll` is to be called; Infinity: not before something happens. */
  dueAt = Infinity
  heardAt = 0
  private state: State = 'silent'
  private readonly carrier: Carrier
  private readonly options: HostLinkOptions
  private readonly owner: HostLinkOwner
  private readonly control = new Uint8Array(64)
  private readonly frame = new Uint8Array(LARGEST_MRU)
  private channel: ReliableChannel
  private speed: SpeedChange | null = null
  private announce: Announce | null = null
  private peerMru = SMALLEST_MRU
  private session = 0
  private welcomedAt = 0
  private isConfirmed = false
  private sentAt = 0
  /** Until when the device takes nothing that may be lost. */
  private stalledUntil = 0
  private nextUnreliable = 0
  private expectedUnreliable = -1
  private isHolding = false

  constructor(carrier: Carrier, options: HostLinkOptions, owner: HostLinkOwner) {
    this.carrier = carrier
    this.options = options
    this.owner = owner
    this.channel = new ReliableChannel(1, SMALLEST_MRU)
  }

  get isLinked(): boolean {
    return this.state === 'linked'
  }

  /** The device that is linked, or was last. */
  get device(): Announce | null {
    return this.announce
  }

  get roundTripMs(): number {
    return this.channel.roundTripMs
  }

  get retransmissions(): number {
    return this.pastRetransmissions + this.channel.retransmissions
  }

  private pastRetransmissions = 0

  /** Asks whoever is there to announce itself. */
  probe(nowMs: number): void {
    this.sendControl(Control.probe, nowMs, LINK_VERSION)
  }

  /** Tells the device to hold back what may be lost, until it is told to go on. */
  hold(isHolding: boolean): void {
    this.isHolding = isHolding
  }

  /** One checked frame: CTRL SEQ BODY at `bytes[start, end)`. */
  receive(bytes: Uint8Array, start: number, end: number, nowMs: number): void {
    const ctrl = bytes[start]
    const seq = bytes[start + 1]
    const kind = ctrl & FrameClass.mask
    const { counters, channel } = this
    if (kind === FrameClass.mask || end - start < HEAD_BYTES) {
      counters.ignored++
      return
    }
    if (kind === FrameClass.control) {
      counters.framesIn++
      this.receiveControl(ctrl, seq, bytes, start + HEAD_BYTES, end, nowMs)
    } else if (this.state !== 'linked' || (ctrl & CtrlBit.subtype) !== 0) {
      counters.ignored++
      return
    } else {
      counters.framesIn++
      this.heard(ctrl, seq, nowMs)
      if (kind === FrameClass.reliable) {
        if (channel.accept(seq >>> 4, nowMs)) this.owner.onRecords(bytes, start + HEAD_BYTES, end, true)
      } else {
        this.countUnreliable(seq >>> 4)
        this.owner.onRecords(bytes, start + HEAD_BYTES, end, false)
      }
    }
    if (this.state === 'linked') this.due(nowMs)
  }

  /** The owner has something to send, or the line has room again: at the end of a turn, not for every value. */
  send(nowMs: number): void {
    if (this.state !== 'linked') return
    const { carrier, channel } = this
    for (;;) {
      const busyMs = carrier.busyMs(nowMs)
      if (busyMs > 0) {
        this.dueAt = Math.min(this.dueAt, nowMs + busyMs)
        return
      }
      if (channel.isGap) {
        channel.isGap = false
        this.sendControl(Control.nak, nowMs)
      } else if (this.speed !== null) {
        break
      } else if (channel.isDue || this.buildReliable()) {
        const frame = channel.take(nowMs)
        this.put(frame, channel.takenLength, nowMs)
      } else if (!this.sendUnreliable(nowMs)) {
        break
      }
    }
    // The second frame in a row is acknowledged at once: a device with a small window waits for it.
    if (channel.ackAt <= nowMs && this.speed === null) this.sendControl(Control.ack, nowMs)
    this.due(nowMs)
  }

  /** What time brings: acknowledgements, resending, keep-alive, loss. */
  poll(nowMs: number): void {
    this.dueAt = Infinity
    if (this.state !== 'linked') return
    const { channel, options } = this
    if (nowMs - this.heardAt > options.keepaliveMs * PATIENCE) {
      this.lose(`nothing was heard for ${Math.round(nowMs - this.heardAt)} ms`)
      return
    }
    if (channel.retryAt <= nowMs && !channel.retry()) {
      this.lose('what was sent is not acknowledged')
      return
    }
    if (this.speed !== null && !this.speed.poll(nowMs)) {
      const { speed } = this
      this.speed = null
      this.owner.onSpeed(speed.baud, false)
    }
    this.send(nowMs)
    if (channel.ackAt <= nowMs && this.speed === null) this.sendControl(Control.ack, nowMs)
    else if (nowMs - this.sentAt >= options.keepaliveMs && this.speed === null) this.sendControl(Control.ping, nowMs)
    this.due(nowMs)
  }

  /** Asks the device for a sign of life; the owner gets it with this number (u32). */
  ping(id: number, nowMs: number): void {
    this.sendBody(Control.ping, [id >>> 24, (id >>> 16) & 0xff, (id >>> 8) & 0xff, id & 0xff], nowMs)
  }

  /** Asks the device to go on at another speed; the owner hears of the outcome. */
  changeSpeed(baud: number, nowMs: number): void {
    const { carrier } = this
    if (this.state !== 'linked' || this.speed !== null || carrier.setBaud === undefined) return
    this.speed = new SpeedChange(baud, this.options.baud, {
      send: (subtype, body) => this.sendBody(subtype, body, nowMs),
      setBaud: (rate) => carrier.setBaud?.(rate),
    })
    this.speed.start(nowMs)
    this.due(nowMs)
  }

  /** Ends the session from our side. */
  bye(reason: number, nowMs: number): void {
    this.sendControl(Control.bye, nowMs, reason)
    this.forget()
  }

  /** The line is gone: nothing is sent any more. */
  cut(reason: string): void {
    this.lose(reason)
  }

  private receiveControl(ctrl: number, seq: number, bytes: Uint8Array, at: number, end: number, nowMs: number): void {
    const subtype = ctrl & CtrlBit.subtype
    if (subtype === Control.announce) {
      this.receiveAnnounce(bytes, at, end, nowMs)
      return
    }
    if (this.state !== 'linked') return
    switch (subtype) {
      case Control.bye: {
        const reason = bytes[at] ?? ByeReason.normal
        if (reason === ByeReason.sleep && end - at >= 3) this.lose('it sleeps', (bytes[at + 1] << 8) | bytes[at + 2])
        else this.lose(`it said goodbye (reason ${reason})`)
        return
      }
      case Control.nak:
        this.heard(ctrl, seq, nowMs)
        this.counters.naks++
        this.channel.rewind()
        return
      case Control.ping:
        this.heard(ctrl, seq, nowMs)
        this.sendBody(Control.pong, bytes.subarray(at, Math.min(end, at + 4)), nowMs)
        return
      case Control.pong:
        this.heard(ctrl, seq, nowMs)
        if (end - at >= 4) {
          const id = ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0
          this.owner.onPong(id, nowMs)
        }
        return
      case Control.timeRequest:
        this.heard(ctrl, seq, nowMs)
        if (end - at >= 4) this.answerTime(bytes, at, nowMs)
        return
      case Control.log:
        this.heard(ctrl, seq, nowMs)
        if (end > at) this.owner.onLog(bytes[at], new TextDecoder().decode(bytes.subarray(at + 1, end)))
        return
      case Control.baudOk:
      case Control.baudTest:
        this.heard(ctrl, seq, nowMs)
        if (this.speed?.receive(subtype, nowMs) === true) {
          const { baud } = this.speed
          this.speed = null
          this.owner.onSpeed(baud, true)
        }
        return
      default:
        this.heard(ctrl, seq, nowMs)
    }
  }

  private receiveAnnounce(bytes: Uint8Array, at: number, end: number, nowMs: number): void {
    const announce = decodeAnnounce(bytes, at, end)
    this.counters.announces++
    if (typeof announce === 'string') {
      this.owner.onStranger(announce)
      this.sendControl(Control.bye, nowMs, ByeReason.version)
      return
    }
    const isRepeated =
      this.state === 'linked' &&
      !this.isConfirmed &&
      announce.bootNonce === this.announce?.bootNonce &&
      announce.uid === this.announce.uid &&
      nowMs - this.welcomedAt < WELCOME_REPEAT_MS
    if (!isRepeated) {
      if (!this.mayStart(nowMs)) {
        this.counters.ignored++
        return
      }
      const admission = this.owner.onAnnounce(announce)
      if ('bye' in admission) {
        this.sendControl(Control.bye, nowMs, admission.bye)
        this.lose('it was sent away')
        return
      }
      this.begin(announce, admission.isDescriptorKnown, nowMs)
    }
    this.sendBody(Control.welcome, this.welcomeBody, nowMs)
    this.heardAt = nowMs
  }

  private mayStart(nowMs: number): boolean {
    if (nowMs - this.startsSince >= 1000) {
      this.startsSince = nowMs
      this.starts = 0
    }
    return ++this.starts <= MAX_STARTS_PER_SECOND
  }

  private starts = 0
  private startsSince = Number.NEGATIVE_INFINITY
  private welcomeBody: Uint8Array = new Uint8Array(0)

  private begin(announce: Announce, isDescriptorKnown: boolean, nowMs: number): void {
    const { carrier, options } = this
    // A session number of its own each time: frames of the session before fail their check.
    let session = 0
    while (session === 0 || session === this.session) session = options.random(16)
    const mru = Math.min(announce.mru, LARGEST_MRU)
    this.pastRetransmissions += this.channel.retransmissions
    const window = Math.min(options.window, announce.window)
    // A frame, what is under way in front of it, and the way back.
    this.channel = new ReliableChannel(window, mru, carrier.lineMs((window + 3) * mru))
    this.announce = announce
    this.peerMru = mru
    this.session = session
    this.state = 'linked'
    this.speed = null
    this.nextUnreliable = 0
    this.expectedUnreliable = -1
    this.stalledUntil = 0
    this.isConfirmed = false
    this.welcomedAt = nowMs
    carrier.setSession(session)
    this.welcomeBody = encodeWelcome({
      isDescriptorKnown,
      session,
      mru: carrier.mru,
      window: options.receiveWindow,
      keepaliveMs: options.keepaliveMs,
      bootNonce: announce.bootNonce,
      timeUs: options.wallUs(),
    })
  }

  /** Every frame of a session tells what the device has and whether it takes more. */
  private heard(ctrl: number, seq: number, nowMs: number): void {
    this.heardAt = nowMs
    this.isConfirmed = true
    if ((ctrl & CtrlBit.notReady) !== 0) {
      if (this.stalledUntil <= nowMs) this.counters.stalls++
      this.stalledUntil = nowMs + NOT_READY_MS
    } else this.stalledUntil = 0
    this.channel.acknowledged(seq & 15, nowMs)
  }

  private countUnreliable(number: number): void {
    if (this.expectedUnreliable >= 0) this.counters.lostUnreliable += (number - this.expectedUnreliable) & 15
    this.expectedUnreliable = (number + 1) & 15
  }

  private buildReliable(): boolean {
    const { channel } = this
    if (!channel.hasRoom) return false
    const frame = channel.open()
    const end = this.owner.pull(frame, HEAD_BYTES, this.peerMru - CRC_BYTES, true)
    if (end === HEAD_BYTES) return false
    frame[0] = FrameClass.reliable
    channel.seal(end)
    return true
  }

  private sendUnreliable(nowMs: number): boolean {
    if (this.stalledUntil > nowMs) return false
    const { frame } = this
    const end = this.owner.pull(frame, HEAD_BYTES, this.peerMru - CRC_BYTES, false)
    if (end === HEAD_BYTES) return false
    frame[0] = FrameClass.unreliable
    frame[1] = this.nextUnreliable << 4
    this.nextUnreliable = (this.nextUnreliable + 1) & 15
    this.put(frame, end, nowMs)
    return true
  }

  private sendControl(subtype: number, nowMs: number, ...body: number[]): void {
    this.sendBody(subtype, body, nowMs)
  }

  private sendBody(subtype: number, body: ArrayLike<number>, nowMs: number): void {
    const { control } = this
    control[0] = FrameClass.control | subtype
    control[1] = 0
    control.set(body, HEAD_BYTES)
    this.put(control, HEAD_BYTES + body.length, nowMs)
  }

  private put(frame: Uint8Array, length: number, nowMs: number): void {
    frame[1] = (frame[1] & 0xf0) | this.channel.expected
    if (this.isHolding) frame[0] |= CtrlBit.notReady
    else frame[0] &= ~CtrlBit.notReady
    this.channel.carried()
    this.sentAt = nowMs
    this.counters.framesOut++
    this.carrier.send(frame, length)
  }

  /** TIME: t1 u32 as asked, t2 and t3 u64 µs of our wall clock. Both are taken here: nothing waits in between. */
  private answerTime(bytes: Uint8Array, at: number, nowMs: number): void {
    const body = this.timeBody
    body.set(bytes.subarray(at, at + 4))
    const view = new DataView(body.buffer)
    const wallUs = BigInt(this.options.wallUs())
    view.setBigUint64(4, wallUs)
    view.setBigUint64(12, wallUs)
    this.sendBody(Control.timeAnswer, body, nowMs)
  }

  private readonly timeBody = new Uint8Array(20)

  private due(nowMs: number): void {
    const { channel, options } = this
    const { retryAt, ackAt } = channel
    const silentAt = Math.min(this.sentAt + options.keepaliveMs, this.heardAt + options.keepaliveMs * PATIENCE + 1)
    let dueAt = Math.min(retryAt, ackAt, silentAt, this.dueAt)
    if (this.speed !== null) dueAt = Math.min(dueAt, this.speed.dueAt)
    if (channel.isGap || (channel.isDue && this.speed === null)) {
      dueAt = Math.min(dueAt, nowMs + this.carrier.busyMs(nowMs))
    }
    this.dueAt = dueAt
  }

  private lose(reason: string, sleepSeconds?: number): void {
    if (this.state !== 'linked') return
    const { speed } = this
    this.forget()
    this.counters.losses++
    if (speed !== null) this.owner.onSpeed(speed.baud, false)
    this.owner.onLost(reason, sleepSeconds)
  }

  private forget(): void {
    this.state = 'silent'
    this.speed = null
    this.dueAt = Infinity
    this.carrier.setSession(0)
  }
}
