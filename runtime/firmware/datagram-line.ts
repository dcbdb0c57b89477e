/** Hot path: `receive`, `send`. */

import { FrameClass } from '../../firmware-protocol/link/constants.ts'
import {
  type DatagramHead,
  encodeDatagram,
  isAuthentic,
  type SessionKeys,
} from '../../firmware-protocol/link/datagram.ts'
import type { Carrier } from '../../firmware-protocol/link/host-link.ts'
import { ReplayWindow } from '../../firmware-protocol/link/replay-window.ts'
import type { Line } from './device-link.ts'

/** Counters only grow. */
export interface DatagramCounters {
  datagramsIn: number
  datagramsOut: number
  /** Not signed, or with a MAC that is not right. */
  forged: number
  /** Seen before, or too old to tell. */
  replayed: number
  /** Overtaken by a newer one, and of a kind of which the newest counts. */
  late: number
  /** The device's address changed. */
  moved: number
}

/** No network on the way cuts it up. */
export const LARGEST_DATAGRAM = 1200
const MRU = LARGEST_DATAGRAM - 10 - 8 + 2
/** A session this long gets a new token, so that no counter comes twice. */
const LAST_COUNTER = 0xf000_0000

export type SendDatagram = (bytes: Uint8Array) => void

/** One device behind an address that may change: its token, its keys and its counters. */
export class DatagramLine implements Line, Carrier {
  readonly transport = 'udp'
  readonly baud = 0
  readonly mru = MRU
  readonly token: undefined
  readonly carrier: Carrier = this
  readonly sessionToken: number
  readonly stats: DatagramCounters = {
    datagramsIn: 0,
    datagramsOut: 0,
    forged: 0,
    replayed: 0,
    late: 0,
    moved: 0,
  }
  remote: string
  onState: (isLinked: boolean) => void = () => {}
  /** Of the ANNOUNCE that began it: a further one must be newer. */
  announceCounter = 0
  readonly deviceNonce: string
  private readonly keys: SessionKeys | null
  private readonly window = new ReplayWindow()
  private sendDatagram: SendDatagram
  private counter = 0

  constructor(token: number, deviceNonce: string, keys: SessionKeys | null, remote: string, send: SendDatagram) {
    this.sessionToken = token
    this.deviceNonce = deviceNonce
    this.keys = keys
    this.remote = remote
    this.sendDatagram = send
  }

  get isSigned(): boolean {
    return this.keys !== null
  }

  /** A datagram with this line's token: true when its frame counts. Only then may the address be taken over. */
  accept(bytes: Uint8Array, head: DatagramHead): boolean {
    const { stats, keys, window } = this
    if (head.isSigned !== (keys !== null) || (keys !== null && !isAuthentic(bytes, head.end, keys.toHost))) {
      stats.forged++
      return false
    }
    if (!window.isFresh(head.counter)) {
      stats.replayed++
      return false
    }
    const isLate = head.counter < window.newest
    window.accept(head.counter)
    stats.datagramsIn++
    if (isLate && (bytes[head.start] & FrameClass.mask) === FrameClass.unreliable) {
      stats.late++
      return false
    }
    return true
  }

  /** The device's address as of its last valid datagram. */
  at(remote: string, send: SendDatagram): void {
    if (remote !== this.remote) {
      this.stats.moved++
      this.remote = remote
    }
    this.sendDatagram = send
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.stats }
  }

  setSession(): void {}

  busyMs(): number {
    return 0
  }

  lineMs(): number {
    return 0
  }

  send(frame: Uint8Array, length: number): void {
    if (this.counter >= LAST_COUNTER) return
    this.stats.datagramsOut++
    const head = { isShort: false, token: this.sessionToken, counter: ++this.counter }
    this.sendDatagram(encodeDatagram(frame, length, head, this.keys?.toDevice ?? null))
  }
}
