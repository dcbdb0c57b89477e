/** Hot path. */

import { FRAMINGS } from './link.ts'
import { OutputBuffer } from './output.ts'
import type { Session } from './session.ts'
import type { Subscription } from './subscription.ts'

/** A buffer that has taken so much in one turn is written before the turn ends. */
const EARLY_FLUSH_BYTES = 262_144
/** The largest frame that every link without a limit of its own takes (TCP's length prefix, transport reference §4.1). */
const LARGEST_SHARED_FRAME = 65_536

/** A recipient that does not simply get every message. */
export interface ParticularRecipient {
  session: Session
  /** 0 = no limit. */
  minIntervalMs: number
  epsilon: number
}

/**
 * The recipients of one kind of message. Messages that follow each other to the same group are collected once per
 * framing, and each member gets the collected bytes in one copy: a fan-out to 100 sessions costs 100 copies a turn,
 * not 100 a message. Collecting stops (`flush`) as soon as a member is to get anything else, so order is kept.
 */
export class Group {
  readonly members: Session[] = []
  readonly particular: ParticularRecipient[] = []
  /** Where `begin` made room. */
  at = 0
  private buffer: OutputBuffer = NO_BUFFER
  private readonly bySession: Map<Session, Subscription[]>
  private readonly without = new Map<Session, Group>()
  /** By framing id; only those that a member has. */
  private readonly buffers: (OutputBuffer | null)[] = [null, null, null]
  private firstFraming = -1
  private isCollecting = false
  /** Frames collected since the last flush. */
  private frames = 0

  constructor(bySession: Map<Session, Subscription[]>, excluded?: Session) {
    this.bySession = bySession
    for (const [session, subscriptions] of bySession) {
      if (session === excluded) continue
      const isPaced = subscriptions.every((subscription) => subscription.isPaced)
      if (isPaced || session.access !== null) {
        this.particular.push({ session, ...pace(isPaced ? subscriptions : []) })
      } else {
        this.members.push(session)
        this.buffers[session.framing.id] ??= new OutputBuffer(1024)
      }
    }
    this.firstFraming = this.buffers.findIndex((buffer) => buffer !== null)
  }

  get size(): number {
    return this.members.length + this.particular.length
  }

  /** The same recipients without the sender of a PUBLISH. */
  except(session: Session): Group {
    if (!this.bySession.has(session)) return this
    let group = this.without.get(session)
    if (group === undefined) {
      group = new Group(this.bySession, session)
      this.without.set(session, group)
    }
    return group
  }

  /** Makes room for a frame to all members: write it into the returned bytes at `at`, then call `end`. */
  begin(frameBytes: number): Uint8Array {
    const members = this.members
    if (frameBytes > LARGEST_SHARED_FRAME) {
      this.flush()
      this.buffer = new OutputBuffer(frameBytes)
      this.at = 0
      return this.buffer.bytes
    }
    let buffer: OutputBuffer
    let framing: number
    if (members.length === 1 && members[0].isPlain) {
      buffer = members[0].output()
      framing = members[0].framing.id
    } else {
      if (!this.isCollecting) this.collect()
      framing = this.firstFraming
      buffer = this.buffers[framing] as OutputBuffer
    }
    const header = FRAMINGS[framing].headerBytes(frameBytes)
    const at = buffer.reserve(header + frameBytes)
    FRAMINGS[framing].putHeader(buffer.bytes, at, frameBytes)
    this.at = at + header
    buffer.length = this.at + frameBytes
    this.buffer = buffer
    return buffer.bytes
  }

  end(frameBytes: number): void {
    const { buffer, at } = this
    this.buffer = NO_BUFFER
    if (frameBytes > LARGEST_SHARED_FRAME) {
      for (const member of this.members) member.deliver(buffer.bytes, 0, frameBytes)
      return
    }
    if (!this.isCollecting) {
      this.members[0].delivered++
      if (buffer.length > EARLY_FLUSH_BYTES) this.members[0].flushOutput()
      return
    }
    this.frames++
    for (let id = this.firstFraming + 1; id < this.buffers.length; id++) {
      const other = this.buffers[id]
      if (other === null) continue
      const header = FRAMINGS[id].headerBytes(frameBytes)
      const to = other.reserve(header + frameBytes)
      FRAMINGS[id].putHeader(other.bytes, to, frameBytes)
      other.bytes.set(buffer.bytes.subarray(at, at + frameBytes), to + header)
      other.length = to + header + frameBytes
    }
    if (buffer.length > EARLY_FLUSH_BYTES) this.flush()
  }

  /** Hands what was collected to the members. */
  flush(): void {
    if (!this.isCollecting) return
    this.isCollecting = false
    const members = this.members
    for (let i = 0; i < members.length; i++) {
      const member = members[i]
      if (member.collecting !== this) continue
      member.collecting = null
      const buffer = this.buffers[member.framing.id] as OutputBuffer
      if (member.isPlain) {
        const output = member.link.output
        output.append(buffer.bytes, 0, buffer.length)
        member.delivered += this.frames
        if (output.length > EARLY_FLUSH_BYTES) member.flushOutput()
      } else {
        member.deliverFramed(buffer.bytes, buffer.length)
      }
    }
    this.frames = 0
    for (const buffer of this.buffers) {
      if (buffer === null) continue
      buffer.length = 0
      if (buffer.bytes.length > 4 * EARLY_FLUSH_BYTES) buffer.bytes = new Uint8Array(EARLY_FLUSH_BYTES)
    }
  }

  private collect(): void {
    this.isCollecting = true
    const members = this.members
    for (let i = 0; i < members.length; i++) members[i].collectFor(this)
  }
}

const NO_BUFFER = new OutputBuffer(0)

/** Several subscriptions of a session to one address get what the most demanding of them asks for. */
function pace(subscriptions: Subscription[]): { minIntervalMs: number; epsilon: number } {
  let minIntervalMs = Infinity
  let epsilon = Infinity
  for (const { options } of subscriptions) {
    const rate = options?.maxRate ?? 0
    minIntervalMs = Math.min(minIntervalMs, rate > 0 ? 1000 / rate : 0)
    epsilon = Math.min(epsilon, Math.max(0, options?.epsilon ?? 0))
  }
  return { minIntervalMs: minIntervalMs === Infinity ? 0 : minIntervalMs, epsilon: epsilon === Infinity ? 0 : epsilon }
}
