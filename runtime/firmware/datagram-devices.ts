import { randomBytes } from 'node:crypto'
import type { RemoteInfo } from 'node:dgram'
import { ByeReason, Control, FrameClass, HEAD_BYTES } from '../../firmware-protocol/link/constants.ts'
import {
  type DatagramHead,
  encodeDatagram,
  isAuthentic,
  readDatagramHead,
  sessionKeys,
} from '../../firmware-protocol/link/datagram.ts'
import { type Announce, decodeAnnounce } from '../../firmware-protocol/link/handshake.ts'
import { WelcomeBudget } from '../transports/welcome-budget.ts'
import { DatagramCookies } from './datagram-cookie.ts'
import { DatagramLine, LARGEST_DATAGRAM } from './datagram-line.ts'
import { DeviceLink } from './device-link.ts'
import type { FirmwareHub } from './firmware-hub.ts'

export interface DatagramDevicesOptions {
  /** Secrets (32 bytes) by uid (16 hexadecimal digits). */
  keys: ReadonlyMap<string, Uint8Array>
  /** Devices without a key are sent away. */
  isKeyRequired: boolean
}

/** Counters only grow. */
export interface DatagramDevicesCounters {
  malformed: number
  /** With a token that is not (any more) ours. */
  unknownToken: number
  challenges: number
  refused: number
  /** ANNOUNCEs beyond what is taken in a second, or that were used before. */
  ignored: number
}

const NONCE_BYTES = 8
const MAX_REPLACED = 64
/** Sessions that may begin in a second, from one address and in all. */
const STARTS_PER_SOURCE = 100
const STARTS_IN_ALL = 300
/** Announcements that are remembered; a cookie is good for two minutes at most. */
const MAX_USED = 4096

/**
 * Devices that speak the datagram form over UDP. A device announces itself (to this router's address, or by broadcast),
 * proves by a cookie that it can be reached there, and gets a token, which stands for it from then on wherever its
 * datagrams come from. README, "Datagrams".
 */
export class DatagramDevices {
  readonly counters: DatagramDevicesCounters = { malformed: 0, unknownToken: 0, challenges: 0, refused: 0, ignored: 0 }
  private readonly hub: FirmwareHub
  private readonly options: DatagramDevicesOptions
  private readonly cookies = new DatagramCookies()
  private readonly byToken = new Map<number, { line: DatagramLine; link: DeviceLink }>()
  /** Sessions that ended because their device announced itself again. */
  private readonly replaced = new Map<number, { line: DatagramLine; uid: string }>()
  private readonly byUid = new Map<string, number>()
  private readonly starts = new WelcomeBudget(STARTS_PER_SOURCE, STARTS_IN_ALL)
  /** Nonces of the sessions that have begun: an ANNOUNCE that somebody recorded begins none again. */
  private readonly used = new Set<string>()

  constructor(hub: FirmwareHub, options: DatagramDevicesOptions) {
    this.hub = hub
    this.options = options
  }

  /** For `UdpOptions.onLinkDatagram`. */
  readonly receive = (bytes: Uint8Array, source: RemoteInfo, reply: (bytes: Uint8Array) => void): void => {
    const head = readDatagramHead(bytes)
    if (head === null || head.isShort || bytes.length > LARGEST_DATAGRAM) {
      this.counters.malformed++
    } else if (bytes[head.start] === (FrameClass.control | Control.announce)) {
      this.announced(bytes, head, source, reply)
    } else {
      const known = this.byToken.get(head.token)
      if (known === undefined) {
        const replaced = this.replaced.get(head.token)
        if (replaced !== undefined) this.onReplaced(replaced, bytes, head)
        // Else the device still believes in a session from before our restart.
        else this.counters.unknownToken++
        return
      }
      if (!known.line.accept(bytes, head)) return
      known.line.at(`${source.address}:${source.port}`, reply)
      known.link.receive(bytes, head.start, head.end)
    }
  }

  private announced(bytes: Uint8Array, head: DatagramHead, source: RemoteInfo, reply: (bytes: Uint8Array) => void) {
    const { hub, options, counters } = this
    const announce = decodeAnnounce(bytes, head.start + HEAD_BYTES, head.end)
    if (typeof announce === 'string' || announce.nonce?.length !== NONCE_BYTES) {
      counters.malformed++
      return
    }
    const { nonce, cookie, hostNonce } = announce
    const now = hub.clock.now()
    if (
      cookie === undefined ||
      hostNonce?.length !== NONCE_BYTES ||
      !this.cookies.isValid(cookie, source.address, source.port, nonce, hostNonce, now)
    ) {
      const fresh = randomBytes(NONCE_BYTES)
      const body = Buffer.concat([fresh, this.cookies.make(source.address, source.port, nonce, fresh, now)])
      counters.challenges++
      reply(control(Control.challenge, body))
      return
    }
    const secret = options.keys.get(announce.uid)
    const keys = secret === undefined ? null : sessionKeys(secret, nonce, hostNonce, announce.uid)
    if (keys === null ? options.isKeyRequired || head.isSigned : !isAuthentic(bytes, head.end, keys.toHost)) {
      counters.refused++
      hub.log.warn('a device was refused', {
        uid: announce.uid,
        remote: source.address,
        reason:
          keys === null
            ? 'it has no key here: add it below firmware.keys'
            : 'it does not sign with the key that is below firmware.keys',
      })
      reply(control(Control.bye, [ByeReason.unauthorized]))
      return
    }
    const remote = `${source.address}:${source.port}`
    const identity = Buffer.concat([nonce, hostNonce]).toString('hex')
    const known = this.byToken.get(this.byUid.get(announce.uid) ?? 0)
    if (known !== undefined && known.line.deviceNonce === identity) {
      // Its WELCOME was lost; an old ANNOUNCE that somebody sends again is not newer.
      if (head.counter <= known.line.announceCounter) {
        known.line.stats.replayed++
        return
      }
      known.line.announceCounter = head.counter
      known.line.at(remote, reply)
      known.link.receive(bytes, head.start, head.end)
      return
    }
    if (this.used.has(identity) || !this.starts.take(source.address, now)) {
      counters.ignored++
      return
    }
    this.remember(identity)
    if (known !== undefined) this.replace(known, announce)
    const line = new DatagramLine(this.newToken(), identity, keys, remote, reply)
    line.announceCounter = head.counter
    const link = new DeviceLink(hub, line)
    line.onState = (isLinked) => {
      if (!isLinked) this.forget(line, announce)
    }
    this.byToken.set(line.sessionToken, { line, link })
    this.byUid.set(announce.uid, line.sessionToken)
    link.receive(bytes, head.start, head.end)
    if (!link.link.isLinked) this.forget(line, announce)
  }

  private remember(identity: string): void {
    this.used.add(identity)
    for (const oldest of this.used) {
      if (this.used.size <= MAX_USED) break
      this.used.delete(oldest)
    }
  }

  /**
   * The device has started over, or there are two with one uid. The first never speaks under its old token again; if
   * somebody does, it is told that it was replaced.
   */
  private replace({ line, link }: { line: DatagramLine; link: DeviceLink }, { uid }: Announce): void {
    this.byToken.delete(line.sessionToken)
    link.close('the device announced itself again')
    this.replaced.set(line.sessionToken, { line, uid })
    for (const oldest of this.replaced.keys()) {
      if (this.replaced.size <= MAX_REPLACED) break
      this.replaced.delete(oldest)
    }
  }

  private onReplaced({ line, uid }: { line: DatagramLine; uid: string }, bytes: Uint8Array, head: DatagramHead): void {
    if (!line.accept(bytes, head)) return
    this.replaced.delete(line.sessionToken)
    this.hub.onConflict(uid, line.remote)
    const goodbye = new Uint8Array([FrameClass.control | Control.bye, 0, ByeReason.replaced])
    line.send(goodbye, goodbye.length)
  }

  private forget(line: DatagramLine, { uid }: Announce): void {
    const entry = this.byToken.get(line.sessionToken)
    this.byToken.delete(line.sessionToken)
    if (this.byUid.get(uid) === line.sessionToken) this.byUid.delete(uid)
    entry?.link.close('its session is over')
  }

  private newToken(): number {
    for (;;) {
      const token = randomBytes(4).readUInt32BE()
      if (token !== 0 && !this.byToken.has(token)) return token
    }
  }
}

function control(subtype: number, body: ArrayLike<number>): Uint8Array {
  const frame = new Uint8Array(HEAD_BYTES + body.length)
  frame[0] = FrameClass.control | subtype
  frame.set(body, HEAD_BYTES)
  return encodeDatagram(frame, frame.length, { isShort: false, token: 0, counter: 0 }, null)
}
