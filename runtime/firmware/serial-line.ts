import { ByeReason } from '../../firmware-protocol/link/constants.ts'
import { SerialReceiver } from '../../firmware-protocol/link/serial-frame.ts'
import { MessageCode } from '../../firmware-protocol/wire/constants.ts'
import type { Timer } from '../router/clock.ts'
import type { LinkAcceptor } from '../router/link.ts'
import { RawReceiver } from '../transports/raw-serial.ts'
import { SlipReceiver } from '../transports/slip.ts'
import { DeviceLink, type Line } from './device-link.ts'
import type { FirmwareHub } from './firmware-hub.ts'
import { FrameLink } from './frame-link.ts'
import { SerialCarrier } from './link-carrier.ts'

/** What speaks on a line. */
export type LineMode = 'link' | 'slip' | 'raw'

export interface SerialLineOptions {
  /** auto: told apart by the first frames. */
  mode: LineMode | 'auto'
  baudRate: number
  /** The fastest that a device may be switched to; 0: never. */
  maxBaudRate: number
  /** Paced at the line's speed; false for USB and ptys, which have none of their own. */
  hasLineRate: boolean
  /** A frame that is no HELLO opens a session named after the port. */
  implicitHello: boolean
  /** Nothing is sent for so long after opening: boot loaders take early bytes for commands. */
  silentMs: number
  token?: string
  prefix?: string
}

/** A port that is open. */
export interface OpenPort {
  readonly path: string
  readonly backlogBytes: number
  write(bytes: Uint8Array): void
  setBaudRate(baud: number): Promise<void>
  close(): Promise<void>
}

/** Our largest frame on a serial line. */
const MRU = 256
const LARGEST_BARE_FRAME = 1036
const PROBE_EVERY_MS = 2000
/** A device that was sent away is not asked: it comes back by itself. */
const SENT_AWAY_MS = 10_000
const TICK_MS = 50
/** A peer of which nothing can be read for so long is looked at anew. */
const UNREADABLE_MS = 10_000
const SLIP_END = 0xc0
/** The END that makes a bare frame one in SLIP comes within this time. */
const HELD_MS = 20

/**
 * One open serial port and whoever is at its other end. Until that is known all three receivers listen: the first valid
 * link ANNOUNCE, SLIP frame with HELLO, or bare HELLO decides, and nothing is sent but the question who is there. A link
 * ANNOUNCE is heard later as well, for a device that was flashed with other firmware meanwhile. Source: transport
 * reference §6.2.
 */
export class SerialLine implements Line {
  readonly transport = 'serial'
  readonly remote: string
  readonly carrier: SerialCarrier
  readonly device: DeviceLink
  readonly token?: string
  readonly prefix?: string
  /** What was found, once it was. */
  mode: LineMode | null = null
  bytesIn = 0
  /** Lines of text that came between frames. */
  textLines = 0
  private readonly hub: FirmwareHub
  private readonly acceptor: LinkAcceptor
  private readonly port: OpenPort
  private readonly options: SerialLineOptions
  private readonly link: SerialReceiver
  private readonly raw: RawReceiver
  private readonly slip: SlipReceiver
  private peer: FrameLink | null = null
  /** A bare frame, the first one: when END follows it, it was one in SLIP. */
  private held: Uint8Array | null = null
  private heldAt = 0
  private timer: Timer | null = null
  private readonly openedAt: number
  private probedAt = Number.NEGATIVE_INFINITY
  private readableAt: number
  private isClosed = false

  constructor(hub: FirmwareHub, acceptor: LinkAcceptor, port: OpenPort, options: SerialLineOptions) {
    this.hub = hub
    this.acceptor = acceptor
    this.port = port
    this.options = options
    this.remote = port.path
    this.token = options.token
    this.prefix = options.prefix
    this.openedAt = hub.clock.now()
    this.readableAt = this.openedAt
    this.link = new SerialReceiver(MRU, {
      onFrame: (bytes, start, end) => this.onLinkFrame(bytes, start, end),
      // While all listen, the receiver of bare frames tells the text: line by line.
      onText: (text) => {
        if (this.mode === 'link' || options.mode === 'link') this.onText(text)
      },
    })
    // A full frame at a slow speed takes longer than the usual patience.
    const timeoutMs = Math.max(250, (2 * LARGEST_BARE_FRAME * 10_000) / options.baudRate)
    this.raw = new RawReceiver(
      { timeoutMs },
      (bytes, start, end) => this.onBareFrame('raw', bytes, start, end),
      (text) => this.onText(text),
    )
    this.slip = new SlipReceiver(
      { timeoutMs },
      (bytes, start, end) => this.onBareFrame('slip', bytes, start, end),
      (text) => {
        if (this.mode === 'slip' || options.mode === 'slip') this.onText(text)
      },
    )
    const { baudRate, hasLineRate } = options
    this.carrier = new SerialCarrier(port, MRU, baudRate, hasLineRate, hub.clock, (session) => {
      this.link.session = session
    })
    this.device = new DeviceLink(hub, this)
    this.tick()
  }

  get baud(): number {
    return this.options.baudRate
  }

  get maxBaud(): number {
    return this.options.maxBaudRate
  }

  counters(): Readonly<Record<string, number>> {
    const { counters } = this.link
    return {
      bytesIn: this.bytesIn,
      bytesOut: this.carrier.counters.bytesOut,
      unsent: this.carrier.counters.unsent,
      crcErrors: counters.crcErrors,
      malformed: counters.malformed,
      oversize: counters.oversize,
      textLines: this.textLines,
      unreadable: this.mode === 'raw' ? this.raw.counters.discardedBytes : this.slip.counters.discardedBytes,
    }
  }

  /** Bytes from the port; they are the port's again afterwards. */
  receive(bytes: Uint8Array): void {
    if (this.isClosed) return
    const now = this.hub.clock.now()
    this.bytesIn += bytes.length
    const { mode } = this
    if (mode === 'link') {
      this.link.receive(bytes)
      return
    }
    const wanted = this.options.mode
    if (wanted === 'auto' || wanted === 'link') this.link.receive(bytes)
    if (this.mode === 'link') return
    if (mode !== 'raw' && (wanted === 'auto' || wanted === 'slip')) this.slip.receive(bytes, now)
    if (this.mode !== mode) return
    this.decide(bytes[0] === SLIP_END ? 'slip' : 'raw')
    if (this.mode !== 'slip' && (wanted === 'auto' || wanted === 'raw')) this.raw.receive(bytes, now)
    if (bytes[bytes.length - 1] === SLIP_END) this.decide('slip')
  }

  onDrain(): void {
    if (this.mode === 'link') this.device.onDrain()
    else this.peer?.onDrain()
  }

  /** The port is gone, or is to be closed: with a goodbye if it still can be said. */
  close(reason: string, isStopping = false): void {
    if (this.isClosed) return
    this.isClosed = true
    this.timer?.cancel()
    if (isStopping && this.mode === 'link') this.device.bye(ByeReason.shutdown)
    this.device.close(reason)
    this.drop(reason)
  }

  onState(isLinked: boolean): void {
    // Back to listening for everything: the firmware may be another one next time.
    if (!isLinked && !this.isClosed && this.carrier.baudRate !== this.options.baudRate)
      this.carrier.setBaud(this.options.baudRate)
    if (!isLinked && this.mode === 'link') {
      this.mode = null
      this.probedAt = Number.NEGATIVE_INFINITY
    }
  }

  private onLinkFrame(bytes: Uint8Array, start: number, end: number): void {
    if (this.mode !== 'link') {
      const isAnnounce = bytes[start] === 0x82
      // Another frame says that a device runs which believes in a session: it is asked, and announces itself.
      if (!isAnnounce) return
      this.held = null
      this.drop('the device speaks the link now')
      this.mode = 'link'
    }
    this.readableAt = this.hub.clock.now()
    this.device.receive(bytes, start, end)
  }

  private onBareFrame(mode: 'raw' | 'slip', bytes: Uint8Array, start: number, end: number): void {
    if (this.mode === 'link' || (this.mode !== null && this.mode !== mode)) return
    this.readableAt = this.hub.clock.now()
    const isHello = bytes[start + 4] === MessageCode.hello
    if (mode === 'raw') this.decide('raw')
    if (this.peer === null) {
      if (!isHello && !this.options.implicitHello) return
      if (this.mode === null && mode === 'raw' && this.options.mode === 'auto') {
        this.held = bytes.slice(start, end)
        this.heldAt = this.readableAt
        return
      }
      this.held = null
      this.mode = mode
      this.peer = new FrameLink(this.port, this.remote, mode, {
        onEnd: () => {
          this.peer = null
        },
        onSend: (sent, from, to) => {
          if (this.hub.taps.size > 0) this.hub.show(mode, this.remote, '', 'out', sent, from, to)
        },
      })
      this.peer.open(this.acceptor, isHello ? null : this.remote)
    }
    const { taps } = this.hub
    if (taps.size > 0) this.hub.show(mode, this.remote, '', 'in', bytes, start, end)
    this.peer?.receive(bytes, start, end)
  }

  /** What was held is a frame of this form. */
  private decide(mode: 'raw' | 'slip'): void {
    const { held } = this
    if (held === null) return
    this.held = null
    this.mode = mode
    this.onBareFrame(mode, held, 0, held.length)
  }

  private onText(text: string): void {
    this.textLines++
    this.hub.deviceLog('debug', this.remote, text)
  }

  private drop(reason: string): void {
    const { peer } = this
    this.peer = null
    peer?.end(reason)
  }

  private readonly tick = (): void => {
    const { hub, options } = this
    const now = hub.clock.now()
    if (this.mode !== 'link') {
      this.raw.expire(now)
      this.slip.expire(now)
      if (now - this.heldAt >= HELD_MS) this.decide('raw')
    }
    const isUnknown = this.mode === null || (this.mode === 'link' && !this.device.link.isLinked)
    const asks = options.mode === 'auto' || options.mode === 'link'
    const mayAsk = now - this.openedAt >= options.silentMs && now - this.device.sentAwayAtMs >= SENT_AWAY_MS
    if (isUnknown && asks && mayAsk && now - this.probedAt >= PROBE_EVERY_MS) {
      this.probedAt = now
      this.device.link.probe(now)
    }
    if ((this.mode === 'raw' || this.mode === 'slip') && now - this.readableAt > UNREADABLE_MS) this.lookAgain(now)
    // Once a device is linked, its own deadlines are enough.
    this.timer = hub.clock.timer(this.mode === 'link' && this.device.link.isLinked ? 1000 : TICK_MS, this.tick)
  }

  /** Only noise has come for long, from a peer that used to be understood: perhaps it is another one. */
  private lookAgain(now: number): void {
    const unread = this.mode === 'raw' ? this.raw.counters.discardedBytes : this.slip.counters.discardedBytes
    if (unread > this.unreadBefore && this.options.mode === 'auto') {
      this.drop('nothing that can be read comes any more')
      this.mode = null
    }
    this.unreadBefore = unread
    this.readableAt = now
  }

  private unreadBefore = 0
}
