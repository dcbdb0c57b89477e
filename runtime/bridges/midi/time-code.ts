/** A time of MIDI time code. `rate`: frames per second; 29.97 is drop frame. */
export interface TimeCode {
  readonly hours: number
  readonly minutes: number
  readonly seconds: number
  readonly frames: number
  readonly rate: number
}

/** By their code, which is beside the hours. */
const RATES = [24, 25, 29.97, 30]
const DROP_FRAME = 29.97
export const PIECES = 8
const FRAMES_PER_DROP_MINUTE = 1798
const FRAMES_PER_TEN_DROP_MINUTES = 17_982
const FULL_FRAME = [0xf0, 0x7f, 0x7f, 0x01, 0x01]
const FULL_FRAME_BYTES = 10

/**
 * Quarter frames, of which 8 make a time: frames, seconds, minutes and hours, lower nibble first; the last one has the
 * rate too. They count up, or down when the tape runs backwards. The time is that of the first piece, two frames before
 * the last. Source: MIDI time code (RP-004/008).
 */
export class QuarterFrames {
  private readonly nibbles = new Uint8Array(PIECES)
  private last = -1
  /** Pieces in a row, in one direction. */
  private row = 0
  private step = 1

  /** Data byte of F1. Returns the time when it is complete. */
  take(byte: number): TimeCode | undefined {
    const piece = byte >> 4
    const step = (piece - this.last + PIECES) % PIECES
    const isNext = this.last >= 0 && (step === 1 || step === PIECES - 1)
    if (isNext && (this.row === 1 || step === this.step)) this.row++
    else this.row = 1
    this.step = step
    this.last = piece
    this.nibbles[piece] = byte & 0x0f
    const end = step === 1 ? PIECES - 1 : 0
    if (this.row < PIECES || piece !== end) return undefined
    const [f0, f1, s0, s1, m0, m1, h0, h1] = this.nibbles
    return timeOf((h1 << 4) | h0, (m1 << 4) | m0, (s1 << 4) | s0, (f1 << 4) | f0)
  }
}

/** The time of a full frame message, `F0 7F device 01 01 hours minutes seconds frames F7`; undefined: it is none. */
export function readFullFrame(sysEx: Uint8Array): TimeCode | undefined {
  const isOne = sysEx.length === FULL_FRAME_BYTES && FULL_FRAME.every((byte, at) => at === 2 || sysEx[at] === byte)
  return isOne ? timeOf(sysEx[5], sysEx[6], sysEx[7], sysEx[8]) : undefined
}

/** The time as a message that all devices take. Undefined: there is no such time. */
export function fullFrame({ hours, minutes, seconds, frames, rate }: TimeCode): Uint8Array | undefined {
  const code = RATES.indexOf(rate)
  if (code < 0 || !isTime({ hours, minutes, seconds, frames, rate })) return undefined
  return Uint8Array.of(...FULL_FRAME, (code << 5) | hours, minutes, seconds, frames, 0xf7)
}

/** Data byte of the quarter frame `piece`, 0 … 7. */
export function quarterFrame({ hours, minutes, seconds, frames, rate }: TimeCode, piece: number): number {
  const number = [frames, seconds, minutes, hours | (RATES.indexOf(rate) << 5)][piece >> 1]
  return (piece << 4) | (piece % 2 === 0 ? number & 0x0f : number >> 4)
}

/** Frames that really pass in a second. */
export function framesPerSecond(rate: number): number {
  return rate === DROP_FRAME ? 30_000 / 1001 : rate
}

/** Frames since midnight. Drop frame leaves out the numbers 0 and 1 of each minute that is no tenth one. */
export function frameCountOf({ hours, minutes, seconds, frames, rate }: TimeCode): number {
  const allMinutes = hours * 60 + minutes
  const count = (allMinutes * 60 + seconds) * Math.round(rate) + frames
  return rate === DROP_FRAME ? count - 2 * (allMinutes - Math.floor(allMinutes / 10)) : count
}

/** The time so many frames after a midnight; of any day. */
export function timeAfter(count: number, rate: number): TimeCode {
  const perSecond = Math.round(rate)
  let number = count % framesPerDay(rate)
  if (rate === DROP_FRAME) {
    const rest = number % FRAMES_PER_TEN_DROP_MINUTES
    const dropped = rest < 2 ? 0 : 2 * Math.floor((rest - 2) / FRAMES_PER_DROP_MINUTE)
    number += 18 * Math.floor(number / FRAMES_PER_TEN_DROP_MINUTES) + dropped
  }
  const seconds = Math.floor(number / perSecond)
  return {
    hours: Math.floor(seconds / 3600),
    minutes: Math.floor(seconds / 60) % 60,
    seconds: seconds % 60,
    frames: number % perSecond,
    rate,
  }
}

export function framesPerDay(rate: number): number {
  return rate === DROP_FRAME ? 144 * FRAMES_PER_TEN_DROP_MINUTES : 86_400 * rate
}

function timeOf(hoursAndRate: number, minutes: number, seconds: number, frames: number): TimeCode | undefined {
  const rate = RATES[(hoursAndRate >> 5) & 3]
  const time = { hours: hoursAndRate & 0x1f, minutes, seconds, frames: frames & 0x1f, rate }
  return isTime(time) ? time : undefined
}

function isTime({ hours, minutes, seconds, frames, rate }: TimeCode): boolean {
  return isBelow(hours, 24) && isBelow(minutes, 60) && isBelow(seconds, 60) && isBelow(frames, Math.ceil(rate))
}

function isBelow(value: number, end: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < end
}
