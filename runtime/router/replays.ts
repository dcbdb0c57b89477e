import {
  ENCODING_VERSION,
  HEADER_BYTES,
  MAGIC,
  MessageCode,
  PublishIndicator,
  Qos,
  SetFlag,
  SignalCode,
} from '../../firmware-protocol/wire/constants.ts'
import type { Replay } from '../../firmware-protocol/wire/message.ts'
import { Pattern } from '../../firmware-protocol/wire/pattern.ts'
import { putUtf8, utf8Length } from '../../firmware-protocol/wire/utf8.ts'
import { putBytes, putU16, putU64 } from './bytes.ts'
import type { Core } from './core.ts'
import type { HeldRequests } from './held-requests.ts'
import type { ReplayEntry, ReplaySink } from './journal.ts'
import type { Session } from './session.ts'

/** Without a limit in the request, and at most. Extensions reference §8.6. */
const DEFAULT_LIMIT = 1000
const MAX_LIMIT = 10_000
/** A reader that has more than this unsent gets no further entries until it has taken them. */
const BACKLOG_BYTES = 65_536

/**
 * REPLAY: what the journal remembers, as ordinary SETs and PUBLISHes to the one who asked, read and sent page by page.
 * What the session sends meanwhile waits, so that a PING behind a REPLAY marks its end. Extensions reference §8.6.
 */
export class Replays {
  private readonly core: Core
  private readonly running = new Map<Session, ReplaySink>()
  private readonly held: HeldRequests
  private readonly scratch = new Uint8Array(HEADER_BYTES + 65_535)

  constructor(core: Core, held: HeldRequests) {
    this.core = core
    this.held = held
  }

  accept(session: Session, message: Replay): void {
    const { core } = this
    const { pattern, types } = message
    if (core.journal === null) {
      core.refuse(session, 501, 'Journal not configured on this router', pattern)
      return
    }
    const parsed = Pattern.parse(pattern)
    if (typeof parsed === 'string') {
      core.refuse(session, 202, `invalid address: ${parsed}`, pattern)
      return
    }
    if (session.access !== null && !session.access.canSubscribe(pattern)) {
      core.refuse(session, 301, 'Insufficient scope for replay', pattern)
      return
    }
    const sink: ReplaySink = {
      entry: (entry) => this.send(session, entry),
      end: (problem) => this.end(session, pattern, problem),
      resume: () => {},
      isCancelled: false,
    }
    this.running.set(session, sink)
    session.isReplaying = true
    const limit = Math.min(message.limit ?? DEFAULT_LIMIT, MAX_LIMIT)
    const fromUs = Number(message.from ?? 0)
    const toUs = message.to === undefined ? Number.MAX_SAFE_INTEGER : Number(message.to)
    core.journal.replay({ pattern, types, fromUs, toUs, limit }, sink)
  }

  /** Keeps a message of a session that is being sent history. */
  hold(session: Session, bytes: Uint8Array, at: number, stop: number): void {
    this.held.add(session, bytes, at, stop)
  }

  forget(session: Session): void {
    const sink = this.running.get(session)
    if (sink !== undefined) sink.isCancelled = true
    this.running.delete(session)
    this.held.forget(session)
    session.isReplaying = false
    session.onRoom = null
  }

  private send(session: Session, entry: ReplayEntry): boolean {
    const { core, scratch } = this
    core.beginTurn()
    if (session.access !== null && !session.access.canRead(entry.address)) return true
    const length = putEntry(scratch, entry)
    if (length > 0) session.deliver(scratch, 0, length)
    // What a turn has collected is not yet in the backlog.
    if (session.queuedBytes + session.link.output.length < BACKLOG_BYTES) return true
    this.resumeLater(session)
    return false
  }

  private end(session: Session, pattern: string, problem: string | undefined): void {
    const { core } = this
    core.beginTurn()
    if (problem !== undefined) core.refuse(session, 500, `Journal query failed: ${problem}`, pattern)
    this.running.delete(session)
    session.isReplaying = false
    session.onRoom = null
    this.held.release(session)
  }

  /** When the session has taken what it was sent: in the next turn if the kernel took it at once, else when it has. */
  private resumeLater(session: Session): void {
    const resume = () => {
      session.onRoom = null
      this.running.get(session)?.resume()
    }
    session.onRoom = resume
    this.core.clock.afterTurn(() => {
      if (session.onRoom === resume && session.link.backlogBytes === 0) resume()
    })
  }
}

/** Writes an entry as the frame it is replayed as; 0 when its value does not fit one frame. */
function putEntry(out: Uint8Array, { address, signal, code, value, revision }: ReplayEntry): number {
  const isSet = revision > 0
  const flags = isSet || signal === SignalCode.event || signal === SignalCode.param ? Qos.confirm : Qos.fire
  out[0] = MAGIC
  out[1] = ENCODING_VERSION | ((signal === SignalCode.timeline ? Qos.commit : flags) << 6)
  out[4] = isSet ? MessageCode.set : MessageCode.publish
  out[5] = isSet ? SetFlag.revision | code : signal << 5
  const addressEnd = 8 + utf8Length(address)
  if (addressEnd + 2 + value.length + (isSet ? 8 : 0) > out.length) return 0
  putUtf8(out, 8, address)
  putU16(out, 6, addressEnd - 8)
  let at = addressEnd
  if (!isSet) {
    out[at++] = code < 0 ? PublishIndicator.nothing : PublishIndicator.value
    if (code >= 0) out[at++] = code
  }
  const length = at + value.length + (isSet ? 8 : 0)
  putBytes(out, at, value, 0, value.length)
  if (isSet) putU64(out, at + value.length, revision)
  putU16(out, 2, length - HEADER_BYTES)
  return length
}
