import { MAX_BUNDLE_DEPTH, MessageCode } from '../../firmware-protocol/wire/constants.ts'
import { decodeMessage } from '../../firmware-protocol/wire/decode-message.ts'
import { DecodeError } from '../../firmware-protocol/wire/errors.ts'
import { isLegacy } from '../../firmware-protocol/wire/legacy.ts'
import type { AddressEntry } from './address-table.ts'
import { readU16, readU64 } from './bytes.ts'
import type { Core } from './core.ts'
import type { Fanout } from './fanout.ts'
import type { PublishPath } from './publish-path.ts'
import { PublishView } from './publish-view.ts'
import type { Schedule } from './schedule.ts'
import type { Session } from './session.ts'
import type { SetPath } from './set-path.ts'
import { SetView } from './set-view.ts'
import { Refusal } from './store.ts'

type Inner = { set: SetView; entry: AddressEntry; revision: number } | { publish: PublishView; entry: AddressEntry }

/**
 * BUNDLE: its SETs and PUBLISHes happen all or not at all, in their order, with nothing in between, now or at the given
 * router time. Every inner message goes through the checks and the delivery of a single one.
 *
 * BUNDLE (0x30): type, flags (80 timestamp), count u16, [timestamp u64], per message: u16 length, message.
 * Source: wire reference §6.12, router reference §4.6, D-10.
 */
export class Bundles {
  private readonly core: Core
  private readonly fanout: Fanout
  private readonly sets: SetPath
  private readonly publishes: PublishPath
  private readonly schedule: Schedule

  constructor(core: Core, fanout: Fanout, sets: SetPath, publishes: PublishPath, schedule: Schedule) {
    this.core = core
    this.fanout = fanout
    this.sets = sets
    this.publishes = publishes
    this.schedule = schedule
  }

  /** Handles the message `bytes[at, stop)`; false when it is malformed. */
  accept(session: Session, bytes: Uint8Array, at: number, stop: number): boolean {
    const { core } = this
    const head = readHead(bytes, at, stop)
    if (head === null) return false
    const delayMs = head.timestampUs === 0 ? 0 : (head.timestampUs - core.wallUs) / 1000
    // A bundle that waits outlives the buffer that it came in.
    const isScheduled = delayMs > 0
    const message = isScheduled ? bytes.slice(at, stop) : bytes
    const inner: Inner[] = []
    const bodyAt = isScheduled ? head.bodyAt - at : head.bodyAt
    const problem = this.read(session, message, bodyAt, isScheduled ? stop - at : stop, head.count, inner, 1)
    if (problem === MALFORMED) return false
    const { maxMessages, horizonSeconds, maxScheduled } = core.options.bundles
    if (problem !== null) {
      core.refuse(session, problem.code, problem.message, problem.address)
    } else if (inner.length > maxMessages) {
      core.refuse(session, 400, `Bundle rejected: ${inner.length} messages, at most ${maxMessages}`)
    } else if (session.rate !== null && inner.length > 1 && !session.rate.take(inner.length - 1, core.now)) {
      core.refuseRate(session)
    } else if (!isScheduled) {
      const revision = this.execute(session, inner, false)
      if (revision !== undefined) session.reply({ type: 'ACK', revision: revision === 0 ? undefined : revision })
    } else if (delayMs > horizonSeconds * 1000) {
      core.refuse(
        session,
        400,
        `Bundle rejected: its time is more than ${horizonSeconds} s ahead of the router's clock`,
      )
    } else if (this.schedule.size >= maxScheduled) {
      core.refuse(session, 429, `Bundle rejected: ${maxScheduled} bundles are waiting already`)
    } else {
      this.schedule.add(core.now + delayMs, () => {
        core.beginTurn()
        this.execute(session, inner, true)
      })
      session.reply({ type: 'ACK' })
    }
    return true
  }

  /** Collects the inner SETs and PUBLISHes in order and authorises them; others are ignored, nested bundles opened. */
  private read(
    session: Session,
    bytes: Uint8Array,
    bodyAt: number,
    stop: number,
    count: number,
    inner: Inner[],
    depth: number,
  ): Problem | null {
    let at = bodyAt
    for (; count > 0; count--) {
      if (at + 2 > stop) return MALFORMED
      const messageAt = at + 2
      at = messageAt + readU16(bytes, at)
      if (at > stop || at === messageAt) return MALFORMED
      const problem = this.readOne(session, bytes, messageAt, at, inner, depth)
      if (problem !== null) return problem
    }
    return null
  }

  private readOne(
    session: Session,
    bytes: Uint8Array,
    at: number,
    stop: number,
    inner: Inner[],
    depth: number,
  ): Problem | null {
    const { core } = this
    const code = bytes[at]
    if (code === MessageCode.bundle) {
      const head = readHead(bytes, at, stop)
      if (head === null || depth >= MAX_BUNDLE_DEPTH) return MALFORMED
      return this.read(session, bytes, head.bodyAt, stop, head.count, inner, depth + 1)
    }
    if (code === MessageCode.set) {
      const view = new SetView()
      if (!view.read(bytes, at, stop)) return MALFORMED
      const entry = core.intern(bytes, view.addressAt, view.addressEnd)
      if (entry === null) return { code: 400, message: `Bundle rejected: ${core.addressProblem}` }
      const refusal = this.sets.authorise(session, entry)
      if (refusal !== null) return rejected('SET', refusal.code, refusal.message, entry)
      inner.push({ set: view, entry, revision: 0 })
      return null
    }
    if (code === MessageCode.publish) {
      const view = new PublishView()
      if (!view.read(bytes, at, stop)) return MALFORMED
      const entry = core.intern(view.source, view.addressAt, view.addressEnd)
      if (entry === null) return { code: 400, message: `Bundle rejected: ${core.addressProblem}` }
      const refusal = this.publishes.authorise(session, entry)
      if (refusal !== null) return rejected('PUBLISH', refusal.code, refusal.message, entry)
      if (view.end - view.at > 65_535)
        return { code: 400, message: 'Bundle rejected: value too large', address: entry.text }
      inner.push({ publish: view, entry })
      return null
    }
    // Ignored, but not if it is no message at all: then the frame is damaged, and no part of it is to be trusted.
    // The legacy form has no place inside a compact bundle.
    return isLegacy(code) || decodeMessage(bytes, at, stop) instanceof DecodeError ? MALFORMED : null
  }

  /** The entry of an address that has been found valid before. */
  private entryOf({ bytes, addressAt, addressEnd }: SetView): AddressEntry {
    return this.core.intern(bytes, addressAt, addressEnd) as AddressEntry
  }

  /** Applies all SETs or none, then delivers. Returns the revision of the last SET, 0 without one, undefined when refused. */
  private execute(session: Session, inner: Inner[], isScheduled: boolean): number | undefined {
    const { core } = this
    core.store.undo = []
    let revision = 0
    for (const message of inner) {
      if (!('set' in message)) continue
      const { set } = message
      // Addresses without a param are forgotten when many new ones come, while a bundle waits or by the bundle itself.
      if (!message.entry.isKnown) message.entry = this.entryOf(set)
      const { entry } = message
      const refusal = this.sets.apply(session, entry, set)
      if (refusal !== Refusal.none) {
        const reason = this.sets.describe(refusal, set)
        core.store.rollback()
        core.refuse(session, 400, reason, entry.text)
        return undefined
      }
      revision = entry.param?.revision ?? 0
      message.revision = revision
    }
    if (!core.store.commit()) {
      core.refuse(session, 400, 'AtCapacity')
      return undefined
    }
    let ticket = 0
    for (const message of inner) {
      if ('set' in message) {
        ticket = Math.max(ticket, this.sets.record(message.entry))
        this.fanout.set(message.entry, message.set, message.revision)
      } else this.publishes.forward(session, message.entry, message.publish)
    }
    if (ticket > 0 && session.isOpen && !isScheduled) core.answers.expect(session, ticket)
    return revision
  }
}

interface Problem {
  code: number
  message: string
  address?: string
}
const MALFORMED: Problem = { code: 0, message: '' }

function rejected(kind: string, code: number, message: string, entry: AddressEntry): Problem {
  const reason = code === 301 ? `insufficient scope for ${kind} to ${entry.text}` : message
  return { code: 403, message: `Bundle rejected: ${reason}`, address: entry.text }
}

function readHead(
  bytes: Uint8Array,
  at: number,
  stop: number,
): { count: number; timestampUs: number; bodyAt: number } | null {
  if (at + 4 > stop) return null
  const hasTimestamp = (bytes[at + 1] & 0x80) !== 0
  const bodyAt = at + 4 + (hasTimestamp ? 8 : 0)
  if (bodyAt > stop) return null
  return { count: readU16(bytes, at + 2), timestampUs: hasTimestamp ? readU64(bytes, at + 4) : 0, bodyAt }
}
