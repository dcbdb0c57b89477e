/** Hot path: `onFrame`, `output`, `collectFor`. */

import { FrameFlag, HEADER_BYTES, MAGIC, TIMESTAMP_BYTES } from '../../firmware-protocol/wire/constants.ts'
import { encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import type { Access } from './access.ts'
import { readU16 } from './bytes.ts'
import type { Timer } from './clock.ts'
import type { HeldAnswers } from './held-answers.ts'
import { CloseCode, type Framing, type Link, type LinkHandler } from './link.ts'
import type { OutputBuffer } from './output.ts'
import { Writer } from './param.ts'
import type { RateLimit } from './rate-limit.ts'
import { SendQueue } from './send-queue.ts'
import type { SessionHost } from './session-host.ts'
import { SlowNotice } from './slow-notice.ts'

/** Frames up to this size go to every link that has no smaller limit of its own. */
const ORDINARY_FRAME_BYTES = 65_536

/** Something that holds back frames for a session and gives them up, in order, when told. */
export interface Collector {
  flush(): void
}

/** One peer from its first byte to its last: the connection before HELLO, the session after it. */
export class Session implements LinkHandler {
  readonly link: Link
  readonly framing: Framing
  state: 'handshake' | 'open' | 'closed' = 'handshake'
  /** Set by HELLO; a new HELLO on the same connection makes a new identity. */
  writer = new Writer('')
  name = ''
  isFederationPeer = false
  /** A part of this process: it asks for what it wants to know, and has its own limits. */
  isLocal = false
  /** It may write the router's own addresses. */
  isInternal = false
  /** Its writes are applied whatever lock or strategy there is. */
  isForced = false
  /** null = may do everything. */
  access: Access | null = null
  /** What it writes is looked at before it is applied. */
  isRestricted = false
  rate: RateLimit | null = null
  /** What this session holds back in a group that it is a member of. */
  collecting: Collector | null = null
  /** Takes every frame at once: ordinary limits and no backlog. */
  isPlain = false
  isDirty = false
  connectedAtUs = 0
  /** Monotonic ms of the last sign of life. */
  heardAt = 0
  received = 0
  delivered = 0
  dropped = 0
  /** A SNAPSHOT is being sent in pages. */
  isPaging = false
  /** History is being sent in pages. */
  isReplaying = false
  /** Where direct answers go while one before them waits for the disk. */
  held: HeldAnswers | null = null
  /** Called when there is room again; for what is sent in pages. */
  onRoom: (() => void) | null = null
  private readonly host: SessionHost
  private readonly notice = new SlowNotice()
  private queue: SendQueue | null = null
  private stuckTimer: Timer | null = null

  constructor(link: Link, host: SessionHost) {
    this.link = link
    this.framing = link.framing
    this.host = host
    this.heardAt = host.now
  }

  get id(): string {
    return this.writer.id
  }

  get isOpen(): boolean {
    return this.state === 'open'
  }

  get queuedMessages(): number {
    return this.queue?.length ?? 0
  }

  get queuedBytes(): number {
    return (this.queue?.bytes ?? 0) + this.link.backlogBytes
  }

  onFrame(bytes: Uint8Array, start: number, end: number): void {
    if (this.state === 'closed') return
    const host = this.host
    host.beginTurn()
    this.heardAt = host.now
    this.received++
    const at = start + HEADER_BYTES + ((bytes[start + 1] & FrameFlag.timestamp) !== 0 ? TIMESTAMP_BYTES : 0)
    const isHeaderWhole = end - start >= HEADER_BYTES && bytes[start] === MAGIC
    const stop = isHeaderWhole ? at + readU16(bytes, start + 2) : 0
    if (!isHeaderWhole || stop > end || stop === at) host.onUndecodable(this, 'not a whole CLASP frame')
    else if (this.state === 'open') host.onMessage(this, bytes, at, stop)
    else host.onHandshake(this, bytes, at, stop)
  }

  onAlive(): void {
    this.host.beginTurn()
    this.heardAt = this.host.now
  }

  /** Everything was taken: send what has waited, and go back to ordinary delivery once nothing waits any more. */
  onDrain(): void {
    if (this.state === 'closed') return
    this.host.beginTurn()
    const { queue, link } = this
    const highWater = this.host.options.queue.highWaterBytes
    while (queue !== null && queue.length > 0 && link.backlogBytes === 0) {
      while (link.output.length < highWater) {
        const frame = queue.shift()
        if (frame === undefined) break
        this.put(frame, 0, frame.length)
      }
      link.flush()
    }
    if (queue !== null && queue.length === 0 && link.backlogBytes <= highWater) this.leaveCongestion()
    else this.watchForStuckPeer()
    if (this.queue === null && this.onRoom !== null) this.onRoom()
  }

  onClose(reason: string): void {
    if (this.state === 'closed') return
    this.state = 'closed'
    this.isPlain = false
    this.stuckTimer?.cancel()
    this.stuckTimer = null
    this.queue = null
    this.onRoom = null
    this.host.beginTurn()
    this.host.onClosed(this, reason)
  }

  /** Ends the session from our side; what is queued in the link still goes out. */
  close(code: CloseCode, reason: string): void {
    if (this.state === 'closed') return
    this.collecting?.flush()
    const { link } = this
    this.onClose(reason)
    link.close(code, reason)
  }

  /** The link's buffer, to append a framed frame of which `isPlain` says that it may go out as it is. */
  output(): OutputBuffer {
    if (this.collecting !== null) this.collecting.flush()
    if (!this.isDirty) this.host.markDirty(this)
    return this.link.output
  }

  /** Joins a collector; one that it was in before hands over first, so that order is kept. */
  collectFor(collector: Collector): void {
    if (this.collecting !== null && this.collecting !== collector) this.collecting.flush()
    this.collecting = collector
    if (!this.isDirty) this.host.markDirty(this)
  }

  /** Sends a reply, by way of the queue when the link is behind. */
  reply(message: Message): void {
    const frame = encodeFrame(message)
    if (this.held !== null && isDirectAnswer(message)) this.held.add(this, frame, message.type === 'ACK')
    else this.deliver(frame, 0, frame.length)
  }

  /** Sends one bare frame: now, or queued when the link is behind, or dropped and counted when the peer cannot take it. */
  deliver(frame: Uint8Array, start: number, end: number): void {
    if (this.state === 'closed') return
    if (this.collecting !== null) this.collecting.flush()
    if (end - start > this.link.limits.maxFrameBytes) {
      this.countDrops(1)
      return
    }
    this.delivered++
    if (this.queue === null) {
      this.put(frame, start, end)
      if (!this.isDirty) this.host.markDirty(this)
      return
    }
    const dropped = this.queue.push(frame, start, end)
    if (dropped > 0) this.countDrops(dropped)
    else if (dropped < 0) this.closeTooSlow('more messages are waiting than the queue may hold')
  }

  /** As `deliver`, for frames that stand one behind the other in this link's framing. */
  deliverFramed(bytes: Uint8Array, length: number): void {
    let at = 0
    while (at < length) {
      at += this.framing.headerBytesAt(bytes, at)
      const end = at + HEADER_BYTES + readU16(bytes, at + 2)
      this.deliver(bytes, at, end)
      at = end
    }
  }

  /** Writes the output and notices when the peer falls behind. */
  flushOutput(): void {
    this.link.flush()
    if (this.queue === null && this.link.backlogBytes > this.host.options.queue.highWaterBytes) {
      this.queue = new SendQueue(this.host.options.queue)
      this.isPlain = false
      this.watchForStuckPeer()
    }
  }

  opened(): void {
    this.state = 'open'
    this.isPlain = this.link.limits.maxFrameBytes >= ORDINARY_FRAME_BYTES
  }

  /** Messages that this peer did not get; every so often it is told. */
  countDrops(count: number): void {
    this.dropped += count
    this.host.stats.drops += count
    if (!this.notice.isDue(count, this.host.now)) return
    this.host.log.warn('a session is too slow and misses messages', { session: this.id, remote: this.link.remote })
    this.host.refuse(this, 503, this.notice.text)
  }

  private put(frame: Uint8Array, start: number, end: number): void {
    const { output } = this.link
    const header = this.framing.headerBytes(end - start)
    const at = output.reserve(header + end - start)
    this.framing.putHeader(output.bytes, at, end - start)
    output.length = at + header
    output.append(frame, start, end)
  }

  private leaveCongestion(): void {
    this.queue = null
    this.stuckTimer?.cancel()
    this.stuckTimer = null
    this.isPlain = this.state === 'open' && this.link.limits.maxFrameBytes >= ORDINARY_FRAME_BYTES
  }

  private watchForStuckPeer(): void {
    if (this.queue === null) return
    this.stuckTimer?.cancel()
    const backlog = this.link.backlogBytes
    this.stuckTimer = this.host.clock.timer(this.host.options.queue.stuckTimeoutMs, () => {
      this.stuckTimer = null
      if (this.link.backlogBytes < backlog) this.watchForStuckPeer()
      else this.closeTooSlow('it takes nothing')
    })
  }

  /** Tells the peer, if it still listens, and ends the session. */
  closeTooSlow(why: string): void {
    if (this.state === 'closed') return
    this.host.log.warn('closing a session that is too slow', { session: this.id, remote: this.link.remote, why })
    const frame = encodeFrame({ type: 'ERROR', code: 503, message: `Session closed: ${why}` })
    this.put(frame, 0, frame.length)
    this.close(CloseCode.tryAgainLater, `too slow: ${why}`)
  }
}

/** Answers that keep the order of requests among themselves; what a SNAPSHOT answers is marked by the PING behind it. */
function isDirectAnswer({ type }: Message): boolean {
  return type === 'ACK' || type === 'ERROR' || type === 'PONG'
}
