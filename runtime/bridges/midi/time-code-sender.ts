import type { Clock, Timer } from '../../router/clock.ts'
import {
  frameCountOf,
  framesPerDay,
  framesPerSecond,
  fullFrame,
  PIECES,
  quarterFrame,
  type TimeCode,
  timeAfter,
} from './time-code.ts'

/** A running time is told at least so often; without news, quarter frames go on for so long. */
const FREEWHEEL_MS = 500
/** Times that are so far from where they should be are jumps. */
const JUMP_FRAMES = 4
/** So far it has to come, at its own speed, until it counts as running. */
const FIRST_FRAMES = 4
/** Of what a time is off, it is corrected by so much: times come as whole frames, now earlier, now later. */
const CORRECTION = 1 / 8
/** A quarter frame this early is on time: timers count whole milliseconds. */
const EARLY_MS = 0.5

/** `piece`: of a quarter frame, which replaces an older one that still waits; undefined: a full frame. */
export type SendTimeCode = (message: Uint8Array, piece?: number) => void

/**
 * MIDI time code of times as they come from the router: a full frame for each that is new; quarter frames, 4 a
 * frame, beginning at even ones, while they advance at their own rate. When no more come, a full frame says where it
 * stands. Source: MIDI time code (RP-004/008).
 */
export class TimeCodeSender {
  private readonly clock: Clock
  private readonly send: SendTimeCode
  private last: TimeCode | null = null
  private heardAt = 0
  /** Where the time was, and when: since its last jump, or while running corrected with each that comes. */
  private anchorFrames = 0
  private anchorMs = 0
  private isRunning = false
  /** Quarter frames since midnight. */
  private nextQuarter = 0
  private timer: Timer | null = null

  constructor(clock: Clock, send: SendTimeCode) {
    this.clock = clock
    this.send = send
  }

  /** False: there is no such time. */
  take(time: TimeCode): boolean {
    const full = fullFrame(time)
    if (full === undefined) return false
    const now = this.clock.now()
    const count = frameCountOf(time)
    const isNext = this.last?.rate === time.rate && now - this.heardAt <= FREEWHEEL_MS
    const error = isNext ? distance(count - this.positionAt(now), framesPerDay(time.rate)) : Number.POSITIVE_INFINITY
    const isSame = isNext && count === frameCountOf(this.last as TimeCode)
    this.last = time
    this.heardAt = now
    if (Math.abs(error) > JUMP_FRAMES) {
      this.stop()
      this.moveTo(count, now)
      this.send(full)
    } else if (this.isRunning) {
      this.moveTo(this.positionAt(now) + error * CORRECTION, now)
      this.arm(now)
    } else if (distance(count - this.anchorFrames, framesPerDay(time.rate)) >= FIRST_FRAMES) {
      this.moveTo(count, now)
      this.isRunning = true
      this.nextQuarter = nextTime(count)
      this.arm(now)
    } else if (!isSame) {
      this.send(full)
    }
    return true
  }

  stop(): void {
    this.timer?.cancel()
    this.timer = null
    this.isRunning = false
  }

  private moveTo(frames: number, now: number): void {
    this.anchorFrames = frames
    this.anchorMs = now
  }

  private positionAt(now: number): number {
    const { rate } = this.last as TimeCode
    return this.anchorFrames + ((now - this.anchorMs) * framesPerSecond(rate)) / 1000
  }

  private arm(now: number): void {
    this.timer?.cancel()
    const { rate } = this.last as TimeCode
    const left = ((this.nextQuarter / 4 - this.positionAt(now)) * 1000) / framesPerSecond(rate)
    this.timer = this.clock.timer(left > 1 ? Math.floor(left) : Math.max(0, left), this.onTimer)
  }

  private readonly onTimer = (): void => {
    const now = this.clock.now()
    const last = this.last as TimeCode
    if (now - this.heardAt > FREEWHEEL_MS) {
      this.stop()
      this.send(fullFrame(last) as Uint8Array)
      return
    }
    const position = this.positionAt(now + EARLY_MS)
    // After a pause of the process nobody wants the times of it.
    if (position * 4 - this.nextQuarter > PIECES) this.nextQuarter = nextTime(position)
    for (; this.nextQuarter <= position * 4; this.nextQuarter++) {
      const piece = this.nextQuarter % PIECES
      const time = timeAfter((this.nextQuarter - piece) / 4, last.rate)
      this.send(Uint8Array.of(0xf1, quarterFrame(time, piece)), piece)
    }
    this.arm(now)
  }
}

/** The first quarter frame of the next time that can be told: even frames begin one. */
function nextTime(frames: number): number {
  return Math.ceil(frames / 2) * PIECES
}

/** The shorter way round midnight. */
function distance(frames: number, day: number): number {
  const forward = ((frames % day) + day) % day
  return forward > day / 2 ? forward - day : forward
}
