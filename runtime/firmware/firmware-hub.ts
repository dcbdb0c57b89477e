import { randomBytes } from 'node:crypto'
import { ByeReason } from '../../firmware-protocol/link/constants.ts'
import type { Announce } from '../../firmware-protocol/link/handshake.ts'
import type { Clock, Timer } from '../router/clock.ts'
import type { LinkAcceptor } from '../router/link.ts'
import type { Log } from '../router/log.ts'
import type { DescriptorCache } from './descriptor-cache.ts'
import type { DeviceLink } from './device-link.ts'
import { DeviceNames } from './device-name.ts'
import { type DeviceReport, reportDevice } from './device-report.ts'
import { DeviceSession } from './device-session.ts'
import { limitedLog } from './limited-log.ts'
import { LinkTicker } from './link-ticker.ts'

export interface FirmwareOptions {
  keepaliveMs: number
  /** Records a second of one device beyond which what may be lost is dropped. */
  maxRecordsPerSecond: number
  /** How long the session of a device that vanished is kept for its return, ms. */
  graceMs: number
  /** Devices that are known or linked at a time. */
  maxDevices: number
  /** A random number of so many bits. */
  random(bits: number): number
}

export const defaultFirmwareOptions: FirmwareOptions = {
  keepaliveMs: 1000,
  maxRecordsPerSecond: 50_000,
  graceMs: 5000,
  maxDevices: 1024,
  random: (bits) => randomBytes(4).readUInt32BE() >>> (32 - bits),
}

/** A frame as an operator watches it: of the link CTRL SEQ BODY, else one CLASP frame. */
export interface TappedFrame {
  atUs: number
  direction: 'in' | 'out'
  mode: 'link' | 'datagram' | 'slip' | 'raw'
  port: string
  uid: string
  hex: string
}

/** A sleeping device may oversleep by so much. */
const OVERSLEEP_MS = 120_000
/** Announced signals expire after an hour by default. */
const ANNOUNCE_EVERY_MS = 600_000
const TELL_EVERY_MS = 10_000
/** Those that adapters and microcontrollers make with little error come first among neighbours. */
const SPEEDS = [4_000_000, 2_000_000, 1_000_000, 921_600, 500_000, 460_800, 250_000, 230_400, 115_200, 57_600, 38_400]
/** A link that dies so soon after its speed was raised did not bear the speed. */
const SPEED_TRIAL_MS = 15_000
const MAX_LOG_LINES_PER_SECOND = 20
const MAX_LIKE_LINES = 100
const LONGEST_LOG_LINE = 500

interface KnownDevice {
  uid: string
  session: DeviceSession
  /** What the session was opened with: its rights are no other device's. */
  token: string | undefined
  /** The line that it is on; null: it is away. */
  link: DeviceLink | null
  /** It said that it goes to sleep. */
  isAsleep: boolean
  /** Ends the session of a device that stays away. */
  grace: Timer | null
  /** Times that a second device claimed the same uid. */
  conflicts: number
  /** Speeds from here on did not work. */
  badBaud: number
  /** A speed at which the link died soon. When the device comes back without having been restarted, the speed was why. */
  suspect: { baud: number; bootNonce: number } | null
}

/** All devices of this router: who is who, whose session lives on, and what is known of them. */
export class FirmwareHub {
  readonly clock: Clock
  readonly log: Log
  readonly options: FirmwareOptions
  readonly ticker: LinkTicker
  readonly descriptors: DescriptorCache
  /** See every frame both ways, for an operator. */
  readonly taps = new Set<(frame: TappedFrame) => void>()
  private readonly acceptor: LinkAcceptor
  private readonly devices = new Map<string, KnownDevice>()
  private readonly names = new DeviceNames((uid) => this.devices.has(uid))
  private timer: Timer | null = null
  private announcedAt = 0
  private isStopped = false
  private logSecond = 0
  private logLines = 0

  constructor(
    acceptor: LinkAcceptor,
    descriptors: DescriptorCache,
    clock: Clock,
    log: Log,
    options: Partial<FirmwareOptions> = {},
  ) {
    this.acceptor = acceptor
    this.descriptors = descriptors
    this.clock = clock
    this.log = limitedLog(log, clock, MAX_LIKE_LINES)
    this.options = { ...defaultFirmwareOptions, ...options }
    this.ticker = new LinkTicker(clock)
    this.announcedAt = clock.now()
    this.housekeeping()
  }

  /** Null: the device may come in on this line; else the reason to send it away with. */
  admit(announce: Announce, link: DeviceLink): number | null {
    if (this.isStopped) return ByeReason.shutdown
    const known = this.devices.get(announce.uid)
    if (known === undefined && this.devices.size >= this.options.maxDevices) this.makeRoom()
    if (known === undefined && this.devices.size >= this.options.maxDevices) {
      this.log.warn('device refused: too many are known', { uid: announce.uid, limit: this.options.maxDevices })
      return ByeReason.unauthorized
    }
    if (known?.link != null && known.link !== link) {
      this.onConflict(announce.uid, known.link.line.remote)
      const { link: former } = known
      known.link = null
      former.session = null
      former.bye(ByeReason.replaced)
    }
    return null
  }

  /** A second device goes by this uid; it, or the first one, is on `remote`. */
  onConflict(uid: string, remote: string): void {
    const known = this.devices.get(uid)
    if (known === undefined) return
    known.conflicts++
    this.log.warn('two devices have the same uid: the newest counts; give each its own', {
      uid,
      one: remote,
      other: known.link?.line.remote,
    })
  }

  /** The session of a device that was admitted: the one it had, or a new one. */
  sessionOf(announce: Announce, link: DeviceLink): DeviceSession {
    const { uid } = announce
    // Another device on the same line: the one before is away.
    const previous = link.session
    if (previous !== null && this.devices.get(uid)?.session !== previous) {
      link.tell()
      this.onLost(link, previous)
    }
    let known = this.devices.get(uid)
    if (known?.suspect?.bootNonce === announce.bootNonce) known.badBaud = Math.min(known.badBaud, known.suspect.baud)
    if (known !== undefined) known.suspect = null
    const prefix = link.line.prefix ?? `/dev/${this.names.claim(uid, announce.name)}/`
    const token = announce.token ?? link.line.token
    if (known?.session.isOpen && known.session.prefix === prefix && known.token === token) {
      known.grace?.cancel()
      known.grace = null
      known.link = link
      known.isAsleep = false
      return known.session
    }
    const session: DeviceSession = new DeviceSession({
      prefix,
      name: announce.name,
      transport: link.line.transport,
      remote: `${announce.name} (${uid}) on ${link.line.remote}`,
      token,
      acceptor: this.acceptor,
      clock: this.clock,
      maxRecordsPerSecond: this.options.maxRecordsPerSecond,
      onPending: () => this.devices.get(uid)?.link?.scheduleFlush(),
      onClosed: (reason) => this.onClosed(uid, session, reason),
    })
    known?.session.end('another session took its place')
    known = {
      uid,
      session,
      token,
      link,
      isAsleep: false,
      grace: null,
      conflicts: known?.conflicts ?? 0,
      badBaud: known?.badBaud ?? Infinity,
      suspect: null,
    }
    this.devices.set(uid, known)
    session.open()
    return session
  }

  /** The link of a device is down: its session waits for it, longer when it sleeps. */
  onLost(link: DeviceLink, session: DeviceSession, sleepSeconds?: number): void {
    const known = [...this.devices.values()].find((device) => device.session === session)
    if (known === undefined || known.link !== link || this.isStopped) return
    known.link = null
    known.isAsleep = sleepSeconds !== undefined
    if (link.fasterBaud > 0 && sleepSeconds === undefined && this.clock.now() - link.speedChangedAtMs < SPEED_TRIAL_MS)
      known.suspect = { baud: link.fasterBaud, bootNonce: link.link.device?.bootNonce ?? 0 }
    const patience = sleepSeconds === undefined ? this.options.graceMs : sleepSeconds * 1000 + OVERSLEEP_MS
    known.grace?.cancel()
    known.grace = this.clock.timer(Math.min(patience, 86_400_000), () => this.forget(known.uid, 'it did not come back'))
  }

  /** A line in a device's own words. Floods of them are cut. */
  deviceLog(level: 'debug' | 'info' | 'warn' | 'error', device: string, text: string): void {
    const second = Math.floor(this.clock.now() / 1000)
    if (second !== this.logSecond) {
      this.logSecond = second
      this.logLines = 0
    }
    if (++this.logLines > MAX_LOG_LINES_PER_SECOND) return
    const line = text
      .slice(0, LONGEST_LOG_LINE)
      .replace(/\p{C}+/gu, ' ')
      .trim()
    this.log[level]('device says', { device, text: line })
  }

  /** Shows a frame to those who watch. Not for the ordinary run: look at `taps.size` first. */
  tap(link: DeviceLink, direction: 'in' | 'out', bytes: Uint8Array, start: number, end: number): void {
    this.show(
      link.line.transport === 'udp' ? 'datagram' : 'link',
      link.line.remote,
      link.uid,
      direction,
      bytes,
      start,
      end,
    )
  }

  show(
    mode: TappedFrame['mode'],
    port: string,
    uid: string,
    direction: 'in' | 'out',
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const hex = Buffer.from(bytes.subarray(start, end)).toString('hex')
    const frame = { atUs: this.clock.wallUs(), direction, mode, port, uid, hex }
    for (const tap of this.taps) tap(frame)
  }

  /** The link of a device that is online. */
  linkOf(uid: string): DeviceLink | undefined {
    const link = this.devices.get(uid)?.link
    return link?.isRunning ? link : undefined
  }

  /** Proposes the fastest speed that line and device can do. */
  wantSpeed(link: DeviceLink): void {
    const { device } = link.link
    const known = this.devices.get(link.uid)
    if (device === null || known === undefined || link.line.baud === 0) return
    const baud = SPEEDS.find(
      (speed) => speed <= device.maxBaud && speed < known.badBaud && speed <= (link.line.maxBaud ?? 0),
    )
    if (baud !== undefined && baud > link.line.baud) link.link.changeSpeed(baud, this.clock.now())
  }

  onSpeed(link: DeviceLink, baud: number, isChanged: boolean): void {
    const { remote } = link.line
    if (isChanged) {
      this.log.info('serial speed changed', { port: remote, baud })
      return
    }
    const known = this.devices.get(link.uid)
    if (known !== undefined) known.badBaud = Math.min(known.badBaud, baud)
    this.log.warn('serial speed not reached', { port: remote, baud })
  }

  /** Everything that is known of the devices, for an operator. */
  report(): DeviceReport[] {
    return [...this.devices.values()].map((device) => reportDevice(device, this.clock))
  }

  stop(): void {
    if (this.isStopped) return
    this.isStopped = true
    this.timer?.cancel()
    this.ticker.stop()
    for (const { link, grace, session } of this.devices.values()) {
      grace?.cancel()
      link?.bye(ByeReason.shutdown)
      link?.tell()
      session.end('the router is stopping')
    }
    this.devices.clear()
  }

  /** A device that is away gives way to one that is here. */
  private makeRoom(): void {
    for (const { uid, link } of this.devices.values()) {
      if (link !== null) continue
      this.forget(uid, 'another device needs its place')
      return
    }
  }

  private forget(uid: string, reason: string): void {
    const known = this.devices.get(uid)
    if (known === undefined) return
    known.grace?.cancel()
    known.link?.close(reason)
    this.devices.delete(uid)
    known.session.end(reason)
  }

  private onClosed(uid: string, session: DeviceSession, reason: string): void {
    const known = this.devices.get(uid)
    if (known?.session !== session) return
    this.log.warn('the router closed the session of a device', { device: session.remote, reason })
    known.link?.bye(ByeReason.unauthorized)
    known.grace?.cancel()
    this.devices.delete(uid)
  }

  private readonly housekeeping = (): void => {
    const isAnnouncing = this.clock.now() - this.announcedAt > ANNOUNCE_EVERY_MS
    if (isAnnouncing) this.announcedAt = this.clock.now()
    for (const { session, link } of this.devices.values()) {
      link?.tell()
      if (isAnnouncing) session.announceSignals()
    }
    this.timer = this.clock.timer(TELL_EVERY_MS, this.housekeeping)
  }
}
