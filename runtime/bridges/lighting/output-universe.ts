import type { Clock } from '../../router/clock.ts'
import { type Fade, Fades } from './fades.ts'
import { type FrameClock, nextFrameAt, type Paced } from './frame-clock.ts'
import { type Look, lookLevels, type Scene } from './look.ts'
import { SLOTS } from './slot-address.ts'
import { type Merge, type Source, Universe } from './universe.ts'

/** The router, and a universe that is relayed. */
const MAX_SOURCES = 2
const NEVER = Number.POSITIVE_INFINITY

export interface OutputSettings {
  readonly universe: number
  /** Of the values from the router, 0…200. */
  readonly priority: number
  readonly merge: Merge
  /** `lazy`: nothing is sent before somebody asserts a slot. */
  readonly onStart: 'lazy' | Look
  /** When nobody asserts anything any more, after `lossHold` ms. */
  readonly onLoss: Look
  readonly lossHold: number
  readonly onStop: Look
}

/** How often frames go; all in ms but `repeats`. */
export interface Pace {
  readonly periodMs: number
  /** Between frames without a change. */
  readonly keepAliveMs: number
  /** Unchanged frames after a change, before the keep-alive begins. */
  readonly repeats: number
}

export interface OutputParts {
  readonly settings: OutputSettings
  readonly scenes: readonly Scene[]
  readonly pace: Pace
  readonly time: Clock
  readonly frames: FrameClock
  /** All 512 levels, valid during the call. */
  send(universe: number, levels: Uint8Array): void
  /** Fades have arrived. */
  onArrived(output: OutputUniverse, fades: readonly Fade[]): void
}

/** What goes out on one universe, and when. */
export class OutputUniverse implements Paced {
  readonly settings: OutputSettings
  readonly universe: Universe
  dueAt = NEVER
  private readonly parts: OutputParts
  private readonly own: Source
  private readonly fades = new Fades()
  /** As it was sent last. */
  private readonly sent = new Uint8Array(SLOTS)
  /** When what was there before was written, by slot, µs. */
  private readonly writtenUs = new Float64Array(SLOTS)
  private isStarted = false
  private showsLook = false
  private mayBeLost = false
  private lostAt = NEVER
  private allowedAt = Number.NEGATIVE_INFINITY
  private repeatAt = NEVER
  private repeatsLeft = 0

  constructor(parts: OutputParts) {
    this.parts = parts
    const { settings, scenes, time, frames } = parts
    this.settings = settings
    this.universe = new Universe(settings.merge, MAX_SOURCES)
    const { universe, priority, onStart } = settings
    const own = this.universe.open('clasp', { priority, timeoutMs: NEVER, isSparse: true }, time.now())
    if (own === undefined) throw new Error('a new universe has room for a source')
    this.own = own
    const look = onStart === 'lazy' ? null : lookLevels(onStart, scenes, universe)
    if (look !== null) {
      this.sent.set(look)
      this.showsLook = true
      this.isStarted = true
      this.dueAt = time.now()
      this.repeatAt = this.dueAt
      this.repeatsLeft = parts.pace.repeats
    }
    frames.add(this)
  }

  /** As the network sees it. */
  get levels(): Uint8Array {
    return this.sent
  }

  /** As asserted by the router. */
  get ownLevels(): Uint8Array {
    return this.own.levels
  }

  /** 1: somebody asserts this slot, or a look is shown. */
  get asserted(): Uint8Array {
    const asserted = new Uint8Array(SLOTS)
    if (this.showsLook) return asserted.fill(1)
    for (const source of this.universe.all) {
      for (let i = 0; i < SLOTS; i++) asserted[i] |= source.asserted[i]
    }
    return asserted
  }

  /** `index`: 0…511; null: releases the slot. */
  set(index: number, level: number | null): void {
    this.fades.cancel(index)
    if (level === null) this.universe.release(this.own, index)
    else this.universe.set(this.own, index, level, this.parts.time.now())
    this.touch()
  }

  /** The same from before the start, in any order: of several writes to a slot the last one counts. */
  setKnown(index: number, level: number | null, writtenUs: number): void {
    if (writtenUs < this.writtenUs[index]) return
    this.writtenUs[index] = writtenUs
    this.set(index, level)
  }

  fade(index: number, to: number, durationMs: number, { isPair = false, isWhole = false } = {}): void {
    const { time } = this.parts
    const from = isPair ? this.level(index) * 256 + this.level(index + 1) : this.level(index)
    this.fades.start({ index, isPair, isWhole, from, to, startedAt: time.now(), durationMs })
    this.touch()
  }

  /** What comes in on another universe, as one more source here; null: it has gone. */
  relay(levels: Uint8Array | null, priority: number): void {
    const now = this.parts.time.now()
    const known = this.universe.find('relay')
    if (levels === null) {
      if (known !== undefined) this.universe.close(known)
    } else {
      const source = known ?? this.universe.open('relay', { priority, timeoutMs: NEVER }, now)
      if (source === undefined) return
      this.universe.prioritise(source, priority, null)
      this.universe.frame(source, levels, now)
    }
    this.touch()
  }

  private touch(): void {
    const at = Math.max(this.parts.time.now(), this.allowedAt)
    if (at >= this.dueAt) return
    this.dueAt = at
    this.parts.frames.wake(this)
  }

  run(now: number): void {
    const { pace, settings } = this.parts
    if (this.fades.isRunning) this.advanceFades(now)
    this.universe.expire(now)
    const hasChanged = this.update(now)
    const isFrame = hasChanged || now >= this.repeatAt - 1
    if (isFrame) {
      this.allowedAt = nextFrameAt(this.dueAt, now, pace.periodMs)
      this.repeatsLeft = hasChanged ? pace.repeats : Math.max(0, this.repeatsLeft - 1)
      this.repeatAt = this.repeatsLeft > 0 ? this.allowedAt : now + pace.keepAliveMs
      this.parts.send(settings.universe, this.sent)
    }
    const fadeAt = this.fades.isRunning ? (isFrame ? this.allowedAt : now + pace.periodMs) : NEVER
    const lossAt = this.mayBeLost ? this.lostAt + settings.lossHold : NEVER
    this.dueAt = Math.min(fadeAt, this.repeatAt, this.universe.expiresAt, lossAt)
  }

  /** Sends what is lit, though nothing has changed: somebody may not have heard it. */
  refresh(): void {
    if (!this.isStarted) return
    this.repeatAt = Math.max(this.parts.time.now(), this.allowedAt)
    this.touch()
  }

  /** Ends fades where they are, and hands these back as if they had arrived. */
  endFades(): Fade[] {
    return this.fades.end().map((fade) => {
      const { index, isPair } = fade
      return { ...fade, to: isPair ? this.level(index) * 256 + this.level(index + 1) : this.level(index) }
    })
  }

  /** The last levels to be sent; null: none are. */
  stopLook(): Uint8Array | null {
    if (!this.isStarted) return null
    const look = lookLevels(this.settings.onStop, this.parts.scenes, this.settings.universe)
    if (look !== null) this.showsLook = true
    return look
  }

  private level(index: number): number {
    return this.own.asserted[index] === 1 ? this.own.levels[index] : this.sent[index]
  }

  private advanceFades(now: number): void {
    const { universe, own } = this
    const arrived = this.fades.advance(now, ({ index, isPair }, level) => {
      universe.set(own, index, isPair ? level >> 8 : level, now)
      if (isPair) universe.set(own, index + 1, level & 255, now)
    })
    if (arrived.length > 0) this.parts.onArrived(this, arrived)
  }

  /** Makes `sent` what is to be seen now; true: it has changed. */
  private update(now: number): boolean {
    const { settings, scenes } = this.parts
    if (this.universe.isLive) {
      const isFirst = !this.isStarted
      this.isStarted = true
      this.showsLook = false
      this.mayBeLost = true
      this.lostAt = NEVER
      return this.take(this.universe.levels) || isFirst
    }
    if (!this.mayBeLost) return false
    this.lostAt = Math.min(this.lostAt, now)
    if (now < this.lostAt + settings.lossHold) return false
    this.mayBeLost = false
    this.lostAt = NEVER
    const look = lookLevels(settings.onLoss, scenes, settings.universe)
    if (look === null) return false
    this.showsLook = true
    return this.take(look)
  }

  private take(levels: Uint8Array): boolean {
    const { sent } = this
    let hasChanged = false
    for (let i = 0; i < SLOTS; i++) {
      if (sent[i] === levels[i]) continue
      sent[i] = levels[i]
      hasChanged = true
    }
    return hasChanged
  }
}
