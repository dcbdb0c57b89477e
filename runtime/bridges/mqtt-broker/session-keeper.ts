import type { Clock, Timer } from '../../router/clock.ts'
import type { BrokerSession } from './broker-session.ts'
import type { Delivery } from './delivery.ts'
import { Outgoing } from './outgoing.ts'
import { readSessions, SessionFile } from './session-file.ts'
import type { SessionKeeping } from './session-parts.ts'
import { deliveryLine, endLine, overLine, type StoredSession, sentLine, sessionLine } from './stored-session.ts'

/** From a change to the disk; of those who are connected, a delivery waits twice as long, and most are over by then. */
const SAVE_EVERY_MS = 1000
const RETRY_MS = 30_000
/** Beyond, deliveries are not kept. */
const MAX_BYTES = 64 * 1024 * 1024
/** From one time that all is written anew to the next one. */
const REPLACE_EVERY_MS = 30_000
/** Growth that is no reason to write all anew. */
const SLACK_BYTES = 1024 * 1024
/** A wall clock that shows less was never set: 2024-01-01. */
const CLOCK_SET_MS = 1_704_067_200_000

/** Keepers that have been told to stop, by path: writing may take longer than others wait for it. */
const stopping = new Map<string, Promise<void>>()

export interface KeeperParts {
  readonly path: string
  readonly clock: Clock
  onProblem(message: string): void
}

/**
 * Sessions that outlive their connections, in a file: with their subscriptions, packet ids and deliveries. What is on the
 * disk is at most `SAVE_EVERY_MS` behind (twice that for deliveries to those who are connected); nobody waits for it.
 */
export class SessionKeeper implements SessionKeeping {
  private readonly parts: KeeperParts
  private readonly file: SessionFile
  /** All that are to be in the file. */
  private readonly kept = new Set<BrokerSession>()
  private touched = new Set<BrokerSession>()
  /** Of the sessions that ended, and of deliveries that are over, by client id. */
  private ended = new Set<string>()
  private over = new Map<string, number[]>()
  private nextRecord = 1
  private isWhole = false
  private isSaving = false
  private isStopped = false
  private isGivenUp = false
  private retryAtMs = Number.NEGATIVE_INFINITY
  private replaceAtMs = Number.NEGATIVE_INFINITY
  private timer: Timer | null = null
  private work: Promise<void> = Promise.resolve()

  constructor(parts: KeeperParts) {
    this.parts = parts
    this.file = new SessionFile(parts.path)
  }

  /** What there was before the start. */
  async load(): Promise<StoredSession[]> {
    const { path, onProblem } = this.parts
    await stopping.get(path)
    try {
      const sessions = await readSessions(path)
      for (const { deliveries } of sessions.values()) {
        for (const record of deliveries.keys()) this.nextRecord = Math.max(this.nextRecord, record + 1)
      }
      // The file is written anew, without its torn end and with those who are still let in.
      if (sessions.size > 0) this.saveSoon()
      return [...sessions.values()]
    } catch (error) {
      onProblem(`${path}: sessions cannot be read: ${(error as Error).message}; clients have to subscribe again`)
      return []
    }
  }

  /** What was stored, as it goes on. */
  restore(session: BrokerSession, { deliveries, received, leftAtMs }: StoredSession): void {
    const nowMs = this.parts.clock.now()
    session.leftAtMs = Math.min(nowMs, this.monotonicMs(leftAtMs) ?? nowMs)
    for (const { message, record, messageId, isReceived, ...rest } of deliveries.values()) {
      const expiresAtMs = this.monotonicMs(message.expiresAtMs) ?? Number.POSITIVE_INFINITY
      const stored = { record, messageId, isReceived }
      const outgoing = new Outgoing({ ...message, expiresAtMs })
      session.restore(messageId, { ...rest, message: outgoing, isReceived, stored, isDue: true })
    }
    session.restoreReceived(received)
    // It had a connection to the last: there was no stop.
    if (leftAtMs === null) session.skipPacketIds()
    this.keep(session)
  }

  keep(session: BrokerSession): void {
    if (this.kept.has(session)) return
    this.kept.add(session)
    session.keepWith(this)
  }

  touch(session: BrokerSession): void {
    this.touched.add(session)
    this.saveSoon()
  }

  /** A stored delivery is acknowledged, dropped or too late. */
  deliveryOver({ clientId }: BrokerSession, record: number): void {
    const records = this.over.get(clientId)
    if (records === undefined) this.over.set(clientId, [record])
    else records.push(record)
    this.saveSoon()
  }

  forget(session: BrokerSession): void {
    if (!this.kept.delete(session)) return
    session.keepWith(null)
    this.touched.delete(session)
    this.over.delete(session.clientId)
    this.ended.add(session.clientId)
    this.saveSoon()
  }

  /** Resolves when all is on the disk, or cannot be. */
  stop(): Promise<void> {
    const { path } = this.parts
    const stopped = this.finish().finally(() => {
      if (stopping.get(path) === stopped) stopping.delete(path)
    })
    stopping.set(path, stopped)
    return stopped
  }

  /** For a broker that nobody could reach: what was loaded is on the disk already. Then `stop` writes nothing. */
  giveUp(): void {
    this.isGivenUp = true
  }

  private async finish(): Promise<void> {
    this.isStopped = true
    this.timer?.cancel()
    await this.work
    if (this.isSaving && !this.isGivenUp) await this.save()
    await this.file.close().catch(() => {})
  }

  private saveSoon(): void {
    if (this.isSaving) return
    this.isSaving = true
    if (this.isStopped) return
    const delayMs = Math.max(SAVE_EVERY_MS, this.retryAtMs - this.parts.clock.now())
    this.timer = this.parts.clock.timer(delayMs, () => {
      this.work = this.save()
    })
  }

  private async save(): Promise<void> {
    const { clock, onProblem } = this.parts
    const { bytes, wholeBytes } = this.file
    const isLong = bytes > Math.min(2 * wholeBytes + SLACK_BYTES, MAX_BYTES) && clock.now() >= this.replaceAtMs
    try {
      if (this.isWhole && !isLong) {
        await this.file.add(this.changes())
      } else {
        this.isWhole = false
        await this.file.replace(this.all())
        this.isWhole = true
        this.replaceAtMs = clock.now() + REPLACE_EVERY_MS
      }
      if (this.file.bytes >= MAX_BYTES) onProblem(`${this.file.path} is full: what clients wait for is not kept now`)
    } catch (error) {
      this.isWhole = false
      this.retryAtMs = clock.now() + RETRY_MS
      onProblem(
        `${this.file.path}: sessions cannot be kept: ${(error as Error).message}; make room, or check its folder`,
      )
      this.touched = new Set(this.kept)
    }
    this.isSaving = false
    const isMore = this.touched.size > 0 || this.ended.size > 0 || this.over.size > 0
    if (isMore) this.saveSoon()
  }

  private *all(): Generator<string> {
    this.touched = new Set()
    this.ended = new Set()
    this.over = new Map()
    // A copy: those that end meanwhile are told as ended later.
    for (const session of [...this.kept]) {
      if (this.kept.has(session)) yield* this.linesOf(session, true)
    }
  }

  private *changes(): Generator<string> {
    const { touched, ended, over } = this
    this.touched = new Set()
    this.ended = new Set()
    this.over = new Map()
    for (const clientId of ended) yield endLine(clientId)
    for (const [clientId, records] of over) yield overLine(clientId, records)
    for (const session of touched) if (this.kept.has(session)) yield* this.linesOf(session, false)
  }

  /** In one go, so that they fit together. */
  private linesOf(session: BrokerSession, isWhole: boolean): string[] {
    const lines: string[] = []
    if (isWhole || session.areFactsTouched) lines.push(sessionLine(session.facts(this.wallMs(session.leftAtMs))))
    session.settleTouch()
    for (const [messageId, delivery] of session.deliveries()) {
      if (delivery.stored === null || isWhole) {
        if (delivery.stored === null && !delivery.isDue && session.isConnected && !this.isStopped) {
          delivery.isDue = true
          session.touch()
        } else if (this.file.bytes < MAX_BYTES) {
          lines.push(this.lineOf(session.clientId, delivery, messageId))
        }
      } else if (delivery.stored.messageId !== messageId || delivery.stored.isReceived !== delivery.isReceived) {
        delivery.stored = { ...delivery.stored, messageId, isReceived: delivery.isReceived }
        lines.push(sentLine(session.clientId, delivery.stored.record, messageId, delivery.isReceived))
      }
    }
    return lines
  }

  private lineOf(clientId: string, delivery: Delivery, messageId: number): string {
    const { message, qos, isRetained, subscriptionIds, isReceived } = delivery
    const record = delivery.stored?.record ?? this.nextRecord++
    delivery.stored = { record, messageId, isReceived }
    const expiresAtMs = this.wallMs(message.parts.expiresAtMs)
    return deliveryLine(clientId, {
      ...{ record, messageId, isReceived, qos, isRetained, subscriptionIds },
      message: { ...message.parts, expiresAtMs },
    })
  }

  /** Of a stored time; undefined where there is none, or the clock was not set, then or now. */
  private monotonicMs(wallMs: number | null): number | undefined {
    const { clock } = this.parts
    const nowMs = clock.wallUs() / 1000
    if (wallMs === null || wallMs < CLOCK_SET_MS || nowMs < CLOCK_SET_MS) return undefined
    return clock.now() + wallMs - nowMs
  }

  private wallMs(monotonicMs: number): number {
    const { clock } = this.parts
    return clock.wallUs() / 1000 + monotonicMs - clock.now()
  }
}
