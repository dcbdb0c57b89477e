import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { Clock } from '../../router/clock.ts'
import type { BridgeSession, BundleItem } from '../bridge.ts'
import { type FrameClock, nextFrameAt, type Paced } from './frame-clock.ts'
import { type Look, lookLevels, type Scene } from './look.ts'
import { SLOTS } from './slot-address.ts'
import { valueOfSlot } from './slot-value.ts'
import { type Merge, type Source, Universe } from './universe.ts'

const NEVER = Number.POSITIVE_INFINITY
/** A stream that does not change is told again for those who joined later. */
const STREAM_REFRESH_MS = 1000

export interface InputSettings {
  readonly universe: number
  /** 1…512; empty: none. */
  readonly channels: ReadonlySet<number>
  /** A param for each channel, a stream of whole frames, or both. */
  readonly mode: 'channel' | 'universe' | 'both'
  /** What of the first frame is told: levels above zero, or all. */
  readonly initial: 'changed' | 'all'
  readonly merge: Merge
  readonly onLoss: Look
  readonly lossHold: number
}

export interface InputParts {
  readonly settings: InputSettings
  readonly scenes: readonly Scene[]
  /** Between params of one channel, ms. */
  readonly periodMs: number
  /** Without a frame for so long the universe is lost, ms. */
  readonly lossMs: number
  readonly maxSources: number
  /** Levels as f64 0…1. */
  readonly isNormalized: boolean
  readonly namespace: string
  readonly router: BridgeSession
  readonly time: Clock
  readonly frames: FrameClock
  /** Sources have gone or come, or all are lost. */
  onSources?(input: InputUniverse): void
  /** The merged levels may have changed; null: there are none any more. */
  onLevels?(levels: Uint8Array | null, priority: number): void
}

/** A universe that comes in: its sources, and what the router hears of it. Source: bridges.md §5.5, §5.6. */
export class InputUniverse implements Paced {
  readonly settings: InputSettings
  readonly universe: Universe
  /** What is told when all sources have gone. `recorded`: the levels of `recorded`. */
  onLoss: Look | 'recorded'
  /** Of all slots; null: none are. */
  recorded: Uint8Array | null = null
  dueAt = NEVER
  private readonly parts: InputParts
  private readonly base: string
  private readonly addresses: string[] = []
  /** As told to the router; −1: not yet. */
  private readonly told = new Int16Array(SLOTS)
  private readonly toldFrame = new Uint8Array(SLOTS)
  private toldLength = 0
  private streamAt = NEVER
  private allowedAt = Number.NEGATIVE_INFINITY
  private channelsAt = NEVER
  private lastFrameAt = NEVER
  private lookAt = NEVER
  private isLost = true

  constructor(parts: InputParts) {
    this.parts = parts
    this.settings = parts.settings
    const { universe, merge, initial, onLoss } = parts.settings
    this.onLoss = onLoss
    this.universe = new Universe(merge, parts.maxSources)
    this.base = `${parts.namespace}/${universe}`
    for (let channel = 1; channel <= SLOTS; channel++) this.addresses.push(`${this.base}/${channel}`)
    if (initial === 'all') this.told.fill(-1)
    parts.frames.add(this)
  }

  /** Some source is there. */
  get hasSignal(): boolean {
    return !this.isLost
  }

  /** The router has a level of this channel from an earlier time, which the first frame corrects. */
  known(channel: number): void {
    this.told[channel - 1] = -1
  }

  frame(source: Source, data: Uint8Array): void {
    const now = this.parts.time.now()
    this.universe.frame(source, data, now)
    this.lastFrameAt = now
    this.lookAt = NEVER
    if (this.isLost) {
      this.isLost = false
      this.parts.onSources?.(this)
    }
    this.publish(now)
  }

  /** A source lives, though its frame is not to be shown yet. */
  alive(source: Source): void {
    this.lastFrameAt = this.parts.time.now()
    source.lastAt = this.lastFrameAt
    this.due()
  }

  /** Priorities of its sources have changed. */
  touch(): void {
    if (!this.isLost) this.publish(this.parts.time.now())
  }

  /** Dark until the next frame. */
  clear(): void {
    const now = this.parts.time.now()
    for (const source of this.universe.all) {
      for (let index = 0; index < source.count; index++) this.universe.set(source, index, 0, source.lastAt)
    }
    if (!this.isLost) this.publish(now)
  }

  /** A source has said goodbye. */
  close(source: Source): void {
    const now = this.parts.time.now()
    this.tellWaiting(now)
    this.universe.close(source)
    this.afterSourcesLeft(now)
    this.due()
  }

  run(now: number): void {
    if (now >= Math.min(this.universe.expiresAt, this.lossAt)) this.tellWaiting(now)
    if (this.universe.expire(now) > 0) this.afterSourcesLeft(now)
    else if (now >= this.lossAt) this.lose(now)
    if (now >= this.lookAt - 1) this.showLoss()
    if (now >= this.channelsAt - 1) this.tellChannels(now, this.universe.levels)
    this.due()
  }

  private publish(now: number): void {
    const { mode } = this.settings
    this.parts.onLevels?.(this.universe.levels.subarray(0, this.universe.length), this.universe.priority)
    if (mode !== 'channel') this.tellFrame(now, this.universe.levels, this.universe.length)
    if (mode !== 'universe' && this.channelsAt === NEVER) this.channelsAt = Math.max(now, this.allowedAt)
    this.due()
  }

  private get lossAt(): number {
    return this.isLost ? NEVER : this.lastFrameAt + this.parts.lossMs
  }

  /** Whoever goes leaves its last levels: those that the rate has kept back so far, too. */
  private tellWaiting(now: number): void {
    if (this.channelsAt !== NEVER) this.tellChannels(now, this.universe.levels)
  }

  private due(): void {
    const dueAt = Math.min(this.channelsAt, this.lookAt, this.lossAt, this.universe.expiresAt)
    const isEarlier = dueAt < this.dueAt
    this.dueAt = dueAt
    if (isEarlier) this.parts.frames.wake(this)
  }

  private afterSourcesLeft(now: number): void {
    if (!this.universe.isLive) {
      this.lose(now)
      return
    }
    this.parts.onSources?.(this)
    this.publish(now)
  }

  private lose(now: number): void {
    if (this.isLost) return
    this.isLost = true
    for (const source of this.universe.all) this.universe.close(source)
    this.lookAt = now + this.settings.lossHold
    this.parts.onLevels?.(null, 0)
    this.parts.onSources?.(this)
  }

  private showLoss(): void {
    this.lookAt = NEVER
    const now = this.parts.time.now()
    const { onLoss, recorded } = this
    const look = onLoss === 'recorded' ? recorded : lookLevels(onLoss, this.parts.scenes, this.settings.universe)
    if (look === null) return
    if (this.settings.mode !== 'channel') this.tellFrame(now, look, this.toldLength)
    if (this.settings.mode !== 'universe') this.tellChannels(now, look)
  }

  private tellFrame(now: number, levels: Uint8Array, length: number): void {
    if (length === 0) return
    const { toldFrame } = this
    let hasChanged = length !== this.toldLength
    for (let i = 0; i < length; i++) {
      if (toldFrame[i] === levels[i]) continue
      toldFrame[i] = levels[i]
      hasChanged = true
    }
    if (!hasChanged && now < this.streamAt) return
    this.toldLength = length
    this.streamAt = now + STREAM_REFRESH_MS
    const value: Value = { type: 'bytes', value: levels.slice(0, length) }
    this.parts.router.publish(this.base, 'stream', value)
  }

  private tellChannels(now: number, levels: Uint8Array): void {
    this.channelsAt = NEVER
    const { told, addresses } = this
    const { router, isNormalized, periodMs } = this.parts
    const items: BundleItem[] = []
    for (const channel of this.settings.channels) {
      const level = levels[channel - 1]
      if (told[channel - 1] === level) continue
      told[channel - 1] = level
      items.push({ address: addresses[channel - 1], value: valueOfSlot(level, isNormalized) })
    }
    if (items.length === 0) return
    this.allowedAt = nextFrameAt(this.dueAt, now, periodMs)
    router.bundle(items)
  }
}
