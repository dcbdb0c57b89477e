/** Hot path. */

import {
  ENCODING_VERSION,
  HEADER_BYTES,
  MAGIC,
  MessageCode,
  Qos,
  SetFlag,
  SignalCode,
} from '../../firmware-protocol/wire/constants.ts'
import type { AddressEntry } from './address-table.ts'
import { putBytes, putU16, putU32, putU64, readNumber } from './bytes.ts'
import type { Core } from './core.ts'
import type { Group } from './group.ts'
import type { PublishView } from './publish-view.ts'
import type { Session } from './session.ts'
import type { SetView } from './set-view.ts'
import { ABSENT } from './store.ts'

const FLAGS_FIRE = ENCODING_VERSION | (Qos.fire << 6)
const FLAGS_CONFIRM = ENCODING_VERSION | (Qos.confirm << 6)
const FLAGS_COMMIT = ENCODING_VERSION | (Qos.commit << 6)
/** Frame flags of a forwarded PUBLISH by signal code. Router reference §3.3. */
const PUBLISH_FLAGS = [FLAGS_CONFIRM, FLAGS_CONFIRM, FLAGS_FIRE, FLAGS_FIRE, FLAGS_COMMIT]

/** Encodes each message once and hands it to whoever subscribed to its address. */
export class Fanout {
  private readonly core: Core
  private readonly scratch = new Uint8Array(HEADER_BYTES + 65_535)

  constructor(core: Core) {
    this.core = core
  }

  /** Delivers an accepted SET to all subscribers, the writer included. The value is that of the view. */
  set(entry: AddressEntry, view: SetView, revision: number): void {
    const { core } = this
    const group = core.routes.of(entry).group(SignalCode.param)
    const isRemembered = core.options.historyBytes > 0
    if (group.size === 0 && !isRemembered) return
    const ttlBytes = view.ttl === ABSENT ? 0 : 4
    const length = HEADER_BYTES + 12 + entry.bytes + (view.valueEnd - view.valueAt) + ttlBytes
    if (group.members.length > 0) {
      const out = group.begin(length)
      putSet(out, group.at, length, entry, view, revision)
      if (isRemembered) core.history.add(out, group.at, length, core.now)
      group.end(length)
      core.stats.deliveries += group.members.length
      if (group.particular.length === 0) return
    }
    putSet(this.scratch, 0, length, entry, view, revision)
    if (group.members.length === 0 && isRemembered) core.history.add(this.scratch, 0, length, core.now)
    if (group.particular.length > 0) {
      this.deliverParticular(group, entry, length, readNumber(view.source, view.valueAt, view.code), true)
    }
  }

  /** Forwards a PUBLISH to the subscribers of its signal except the sender. */
  publish(entry: AddressEntry, view: PublishView, sender: Session | null): void {
    const number = view.code < 0 ? Number.NaN : readNumber(view.source, view.valueAt, view.code)
    this.publishBytes(entry, view.signal, view.audience, view.source, view.at, view.end, number, sender)
  }

  /** As `publish`, for a message `source[at, end)`. `audience` is the signal code by which subscribers are chosen. */
  publishBytes(
    entry: AddressEntry,
    signal: number,
    audience: number,
    source: Uint8Array,
    at: number,
    end: number,
    number: number,
    sender: Session | null,
  ): void {
    const { core } = this
    let group = core.routes.of(entry).group(audience)
    if (sender !== null) group = group.except(sender)
    const isRemembered = core.options.historyBytes > 0 && signal !== SignalCode.gesture
    if (group.size === 0 && !isRemembered) return
    const length = HEADER_BYTES + (end - at)
    const flags = PUBLISH_FLAGS[signal]
    if (group.members.length > 0) {
      const out = group.begin(length)
      putFrame(out, group.at, flags, source, at, end)
      if (isRemembered) core.history.add(out, group.at, length, core.now)
      group.end(length)
      core.stats.deliveries += group.members.length
      if (group.particular.length === 0) return
    }
    putFrame(this.scratch, 0, flags, source, at, end)
    if (group.members.length === 0 && isRemembered) core.history.add(this.scratch, 0, length, core.now)
    if (group.particular.length > 0) {
      this.deliverParticular(group, entry, length, number, signal === SignalCode.stream)
    }
  }

  /** Recipients with a rate, an epsilon or limited reading rights, one by one, from the scratch buffer. */
  private deliverParticular(group: Group, entry: AddressEntry, length: number, value: number, canWait: boolean): void {
    const { core, scratch } = this
    for (const recipient of group.particular) {
      const { session } = recipient
      if (session.access !== null && !session.access.canRead(entry.text)) continue
      core.stats.deliveries++
      if (canWait && (recipient.minIntervalMs > 0 || recipient.epsilon > 0)) {
        core.pacing.offer(recipient, entry, value, scratch, length, core.now)
      } else {
        session.deliver(scratch, 0, length)
      }
    }
  }
}

/** SET as it leaves the router: with the new revision, and lock, unlock and TTL as in the request. */
function putSet(
  out: Uint8Array,
  at: number,
  length: number,
  entry: AddressEntry,
  view: SetView,
  revision: number,
): void {
  out[at] = MAGIC
  out[at + 1] = FLAGS_CONFIRM
  putU16(out, at + 2, length - HEADER_BYTES)
  out[at + 4] = MessageCode.set
  out[at + 5] = SetFlag.revision | (view.flags & (SetFlag.lock | SetFlag.unlock | SetFlag.ttl)) | view.code
  putU16(out, at + 6, entry.bytes)
  putBytes(out, at + 8, view.bytes, view.addressAt, view.addressEnd)
  let to = at + 8 + entry.bytes
  putBytes(out, to, view.source, view.valueAt, view.valueEnd)
  to += view.valueEnd - view.valueAt
  putU64(out, to, revision)
  if (view.ttl !== ABSENT) putU32(out, to + 8, view.ttl)
}

function putFrame(out: Uint8Array, at: number, flags: number, source: Uint8Array, start: number, end: number): void {
  out[at] = MAGIC
  out[at + 1] = flags
  putU16(out, at + 2, end - start)
  putBytes(out, at + HEADER_BYTES, source, start, end)
}
