import {
  ENCODING_VERSION,
  HEADER_BYTES,
  MAGIC,
  MessageCode,
  ValueCode,
} from '../../firmware-protocol/wire/constants.ts'
import type { Pattern } from '../../firmware-protocol/wire/pattern.ts'
import type { AddressEntry } from './address-table.ts'
import { putBytes, putU16, putU64 } from './bytes.ts'
import type { Core } from './core.ts'
import type { HeldRequests } from './held-requests.ts'
import type { Param } from './param.ts'
import type { Session } from './session.ts'

/** Clients know chunks of this size from upstream. */
const MAX_PARAMS_PER_SNAPSHOT = 800
const MAX_SNAPSHOT_BYTES = 60_000
/** Params looked at before other sessions get a turn. */
const PARAMS_PER_SLICE = 20_000
/** The same, when a message of the session itself waits for the end of the SNAPSHOT. */
const PARAMS_PER_FORCED_SLICE = 100_000
const HAS_WRITER_AND_TIMESTAMP = 0x03

/** Params by pattern, of which `isWanted` may leave out some, or by address. */
export type Selection =
  | { pattern: Pattern; isWanted: ((param: Param) => boolean) | null }
  | { entries: readonly AddressEntry[] }

interface Request {
  /** null = everything. */
  pattern: Pattern | null
  /** Looked at in place of all params. */
  entries: readonly AddressEntry[] | null
  isWanted: ((param: Param) => boolean) | null
  /** The next param to look at, downwards: what is removed meanwhile moves params only to places already seen or below. */
  next: number
  /** Send an empty SNAPSHOT when there is nothing. */
  isAlwaysAnswered: boolean
  /** Behind the last page. */
  onDone: (() => void) | null
  sent: number
}

const PLAIN_REQUEST: Readonly<Request> = {
  pattern: null,
  entries: null,
  isWanted: null,
  next: -1,
  isAlwaysAnswered: false,
  onDone: null,
  sent: 0,
}

/**
 * SNAPSHOT messages: packed by encoded size and by what the peer can take, and sent in pages as the peer takes them,
 * so that a late joiner of a large router costs neither memory nor a stall. A page is made from the state at the time it
 * is sent, so it is never older than the updates before it. Source: wire reference §6.10; router reference §2.4, D-01.
 */
export class Snapshots {
  private readonly core: Core
  private readonly page = new Uint8Array(HEADER_BYTES + 65_535)
  private readonly requests = new Map<Session, Request[]>()
  private readonly slices = new Set<Session>()
  private readonly held: HeldRequests

  constructor(core: Core, held: HeldRequests) {
    this.core = core
    this.held = held
  }

  /** Sends all matching params that the session may read. */
  send(session: Session, pattern: Pattern | null, isAlwaysAnswered: boolean): void {
    // Behind a SNAPSHOT that is still being sent in pages, a single param waits for its turn like any other.
    if (pattern?.isExact && !session.isPaging) {
      if (!this.sendExact(session, pattern) && isAlwaysAnswered) this.sendPage(session, 0, 3)
      return
    }
    const next = this.core.store.params.length - 1
    this.enqueue(session, [{ ...PLAIN_REQUEST, pattern, next, isAlwaysAnswered }])
  }

  /**
   * Sends what is selected and may be read, one selection after the other. Each has a SNAPSHOT of its own, an empty one if
   * need be and `isAlwaysAnswered`. What `onDone` sends follows the last one; a session that ends before is not told.
   */
  sendSelected(
    session: Session,
    selections: readonly Selection[],
    isAlwaysAnswered: boolean,
    onDone: (() => void) | null,
  ): void {
    const requests = selections.map((selection): Request => {
      if ('entries' in selection) return this.requestOf(selection.entries, isAlwaysAnswered)
      const { pattern, isWanted } = selection
      if (!pattern.isExact) {
        return { ...PLAIN_REQUEST, pattern, isWanted, next: this.core.store.params.length - 1, isAlwaysAnswered }
      }
      const entry = this.core.lookup(pattern.text)
      return { ...this.requestOf(entry === null ? [] : [entry], isAlwaysAnswered), isWanted }
    })
    if (requests.length === 0) requests.push({ ...PLAIN_REQUEST })
    requests[requests.length - 1].onDone = onDone
    this.enqueue(session, requests)
  }

  /** A subscription was replaced or ended: its SNAPSHOT is not sent any more, unless it has begun. */
  cancel(session: Session, pattern: string): void {
    const requests = this.requests.get(session) ?? []
    for (let i = requests.length - 1; i > 0; i--) {
      if (requests[i].pattern?.text !== pattern || requests[i].isAlwaysAnswered) continue
      requests.splice(i, 1)
      return
    }
  }

  /**
   * Replies keep the order of requests: before a message that is answered directly, what is left of a SNAPSHOT goes out at
   * once, if the link has room for it; if not, the message and all that follow it wait. A further SUBSCRIBE just queues up.
   * True when the message was kept for later.
   */
  holds(session: Session, bytes: Uint8Array, at: number, stop: number): boolean {
    const code = bytes[at]
    const isWaiting = this.held.has(session)
    const isAnsweredDirectly =
      code !== MessageCode.subscribe && code !== MessageCode.unsubscribe && code !== MessageCode.publish
    if (!isWaiting && !isAnsweredDirectly) return false
    if (!isWaiting && session.queuedBytes === 0) {
      this.advance(session, PARAMS_PER_FORCED_SLICE)
      if (!session.isPaging) return false
    }
    this.held.add(session, bytes, at, stop)
    return true
  }

  /** GET: one param, or silence when there is none. */
  sendOne(session: Session, address: string): void {
    const param = this.find(address)
    if (param !== null) this.sendParam(session, param)
  }

  forget(session: Session): void {
    this.endPaging(session)
    this.held.forget(session)
  }

  private requestOf(entries: readonly AddressEntry[], isAlwaysAnswered: boolean): Request {
    return { ...PLAIN_REQUEST, entries, next: entries.length - 1, isAlwaysAnswered }
  }

  private enqueue(session: Session, requests: Request[]): void {
    const waiting = this.requests.get(session)
    if (waiting !== undefined) {
      waiting.push(...requests)
      return
    }
    this.requests.set(session, requests)
    session.isPaging = true
    this.advance(session)
  }

  private endPaging(session: Session): void {
    this.requests.delete(session)
    this.slices.delete(session)
    session.isPaging = false
    session.onRoom = null
  }

  private sendExact(session: Session, pattern: Pattern): boolean {
    const param = this.find(pattern.text)
    if (param === null || !this.isVisible(session, param)) return false
    this.sendParam(session, param)
    return true
  }

  private find(address: string): Param | null {
    const entry = this.core.lookup(address)
    return entry === null ? null : this.core.store.get(entry, this.core.now)
  }

  private isVisible(session: Session, param: Param): boolean {
    return session.access === null || session.access.canRead(param.entry.text)
  }

  private sendParam(session: Session, param: Param): void {
    const length = this.put(param, 3, this.pageBytes(session))
    if (length > 0) this.sendPage(session, 1, 3 + length)
    else session.countDrops(1)
  }

  /** Goes on with a session's requests as far as its link has room. */
  private advance(session: Session, slice = PARAMS_PER_SLICE): void {
    const requests = this.requests.get(session)
    if (requests === undefined) return
    const { highWaterBytes } = this.core.options.queue
    let looked = 0
    while (requests.length > 0 && session.isOpen) {
      const request = requests[0]
      if (request.pattern?.isExact) {
        request.sent = this.sendExact(session, request.pattern) ? 1 : 0
        request.next = -1
      }
      while (request.next >= 0) {
        if (looked > slice || session.link.output.length + session.link.backlogBytes > highWaterBytes) {
          this.pause(session)
          return
        }
        looked += this.sendNextPage(session, request)
      }
      if (request.sent === 0 && request.isAlwaysAnswered) this.sendPage(session, 0, 3)
      requests.shift()
      request.onDone?.()
    }
    this.endPaging(session)
    this.held.release(session)
  }

  /** Goes on when the link is empty again; output that the kernel takes at once brings no such event, but a next turn. */
  private pause(session: Session): void {
    session.onRoom = () => this.advance(session)
    if (this.slices.has(session) || session.link.backlogBytes > 0) return
    this.slices.add(session)
    this.core.clock.afterTurn(() => {
      if (!this.slices.delete(session)) return
      this.core.beginTurn()
      if (session.link.backlogBytes === 0 || session.queuedMessages === 0) this.advance(session)
    })
  }

  /** Fills and sends one page; returns how many params it looked at. */
  private sendNextPage(session: Session, request: Request): number {
    const { pattern, entries, isWanted } = request
    const { params } = this.core.store
    const limit = this.pageBytes(session)
    let at = 3
    let count = 0
    let looked = 0
    let isFull = false
    if (entries === null) request.next = Math.min(request.next, params.length - 1)
    while (request.next >= 0 && !isFull && count < MAX_PARAMS_PER_SNAPSHOT && looked < PARAMS_PER_SLICE) {
      const param = entries === null ? params[request.next] : entries[request.next].param
      looked++
      if (
        param !== null &&
        param.expiresAt > this.core.now &&
        (pattern === null || pattern.matches(param.entry.text)) &&
        (isWanted === null || isWanted(param)) &&
        this.isVisible(session, param)
      ) {
        const length = this.put(param, at, limit)
        if (length === 0) {
          if (count > 0) break
          session.countDrops(1)
        } else {
          at += length
          count++
          // Small devices skip nothing of a value that they cannot read, so nothing may stand behind it.
          isFull = limit < MAX_SNAPSHOT_BYTES && param.valueCode >= ValueCode.array
        }
      }
      request.next--
    }
    if (count > 0) {
      this.sendPage(session, count, at)
      request.sent += count
    }
    return Math.max(looked, 1)
  }

  private pageBytes(session: Session): number {
    return Math.min(MAX_SNAPSHOT_BYTES, session.link.limits.maxFrameBytes - HEADER_BYTES)
  }

  /**
   * Writes an entry at payload offset `at`; 0 when it does not fit below `limit`. A single entry may use the whole payload,
   * and gives up writer and timestamp, which are optional, before it is left out.
   */
  private put(param: Param, at: number, limit: number): number {
    const { entry, writer, valueBytes } = param
    const core = 2 + entry.bytes + 1 + valueBytes + 8 + 1
    const extra = 2 + writer.bytes.length + 8
    const isAlone = at === 3
    const room = (isAlone && limit === MAX_SNAPSHOT_BYTES ? 65_532 : limit) - at
    const isFull = core + extra <= room
    if (!isFull && (!isAlone || core > room)) return 0
    const out = this.page
    const { arena } = this.core.table
    let to = HEADER_BYTES + at
    putU16(out, to, entry.bytes)
    const address = arena.offset(entry.ref)
    putBytes(out, to + 2, arena.slab(entry.ref), address, address + entry.bytes)
    to += 2 + entry.bytes
    out[to] = param.valueCode
    const value = arena.offset(param.valueRef)
    putBytes(out, to + 1, arena.slab(param.valueRef), value, value + valueBytes)
    to += 1 + valueBytes
    putU64(out, to, param.revision)
    out[to + 8] = isFull ? HAS_WRITER_AND_TIMESTAMP : 0
    if (!isFull) return core
    to += 9
    putU16(out, to, writer.bytes.length)
    putBytes(out, to + 2, writer.bytes, 0, writer.bytes.length)
    putU64(out, to + 2 + writer.bytes.length, param.timestampUs)
    return core + extra
  }

  private sendPage(session: Session, count: number, payloadBytes: number): void {
    const out = this.page
    out[0] = MAGIC
    out[1] = ENCODING_VERSION
    putU16(out, 2, payloadBytes)
    out[4] = MessageCode.snapshot
    putU16(out, 5, count)
    session.deliver(out, 0, HEADER_BYTES + payloadBytes)
  }
}
