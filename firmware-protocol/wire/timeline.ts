import { ease } from './easing.ts'
import type { Easing, Keyframe, Timeline } from './message.ts'
import type { Value } from './value.ts'

const EASINGS: readonly string[] = [
  'linear',
  'ease-in',
  'ease-out',
  'ease-in-out',
  'step',
  'cubic-bezier',
] satisfies Easing[]

/**
 * A timeline as the value of a PUBLISH: the compact form has no other place for it, and every peer decodes a map.
 * map {keyframes: [map {time, value, easing, bezier}], loop, startTime, duration}. Source: wire reference §11.4.
 */
export function timelineToValue({ keyframes, loop, startTime, duration }: Timeline): Value {
  const entries: [string, Value][] = [
    ['keyframes', { type: 'array', value: keyframes.map(keyframeToValue) }],
    ['loop', { type: 'bool', value: loop }],
  ]
  if (startTime !== undefined) entries.push(['startTime', { type: 'i64', value: startTime }])
  if (duration !== undefined) entries.push(['duration', { type: 'i64', value: duration }])
  return { type: 'map', value: entries }
}

/** The timeline in a value; undefined when the value is not one. Integral floats count as integers. */
export function timelineFromValue(value: Value): Timeline | undefined {
  const list = field(value, 'keyframes')
  if (list?.type !== 'array') return undefined
  const keyframes: Keyframe[] = []
  for (const item of list.value) {
    const time = integer(field(item, 'time'))
    const keyValue = field(item, 'value')
    if (time === undefined || keyValue === undefined) return undefined
    const easing = field(item, 'easing')
    const name = easing?.type === 'string' && EASINGS.includes(easing.value) ? (easing.value as Easing) : 'linear'
    keyframes.push({ time, value: keyValue, easing: name, bezier: controlPoints(field(item, 'bezier')) })
  }
  const loop = field(value, 'loop')
  return {
    keyframes,
    loop: loop?.type === 'bool' && loop.value,
    startTime: integer(field(value, 'startTime')),
    duration: integer(field(value, 'duration')),
  }
}

export type PlayerState = 'stopped' | 'playing' | 'paused' | 'finished'

/** Plays a timeline: values by router time in microseconds. Source: wire reference §11.5. */
export class TimelinePlayer {
  state: PlayerState = 'stopped'
  loops = 0
  private readonly timeline: Timeline
  private startedAt = 0
  private pausedAt = 0

  constructor(timeline: Timeline) {
    this.timeline = timeline
  }

  start(now: number): void {
    this.startedAt = now
    this.state = 'playing'
    this.loops = 0
  }

  pause(now: number): void {
    if (this.state !== 'playing') return
    this.state = 'paused'
    this.pausedAt = now
  }

  resume(now: number): void {
    if (this.state !== 'paused') return
    this.startedAt += now - this.pausedAt
    this.state = 'playing'
  }

  stop(): void {
    this.state = 'stopped'
  }

  /** The value now; undefined when stopped or without keyframes. Keyframes are taken in their order. */
  sample(now: number): Value | undefined {
    const { keyframes, loop } = this.timeline
    const last = keyframes[keyframes.length - 1]
    if (this.state === 'stopped' || last === undefined) return undefined
    const elapsed = Math.max(0, (this.state === 'paused' ? this.pausedAt : now) - this.startedAt)
    const duration = Number(this.timeline.duration ?? last.time)
    if (duration === 0) return keyframes[0].value
    let position = elapsed
    if (loop) {
      this.loops = Math.max(this.loops, Math.floor(elapsed / duration))
      position = elapsed % duration
    } else if (elapsed >= duration) {
      this.state = 'finished'
      return last.value
    }
    const next = keyframes.findIndex(({ time }) => time > position)
    if (next === 0) return keyframes[0].value
    if (next < 0) return last.value
    const a = keyframes[next - 1]
    const b = keyframes[next]
    return interpolate(a.value, b.value, ease((position - a.time) / (b.time - a.time), a.easing, a.bezier))
  }
}

/** Numbers of one class are interpolated, arrays item by item; everything else switches half-way. */
function interpolate(a: Value, b: Value, eased: number): Value {
  if (isFloat(a) && isFloat(b)) return { type: 'f64', value: a.value + (b.value - a.value) * eased }
  if (isInteger(a) && isInteger(b)) {
    const from = Number(a.value)
    return { type: 'i64', value: toI64(from + Math.trunc((Number(b.value) - from) * eased)) }
  }
  if (a.type === 'array' && b.type === 'array' && a.value.length === b.value.length) {
    return { type: 'array', value: a.value.map((item, i) => interpolate(item, b.value[i], eased)) }
  }
  return eased < 0.5 ? a : b
}

/** An integral number as an i64; beyond its range, where a bezier may overshoot to, the nearest one. */
function toI64(value: number): number | bigint {
  if (Number.isSafeInteger(value)) return value
  if (Number.isNaN(value)) return 0
  if (value >= 2 ** 63) return 2n ** 63n - 1n
  return value <= -(2 ** 63) ? -(2n ** 63n) : BigInt(value)
}

function isFloat(value: Value): value is Extract<Value, { type: 'f32' | 'f64' }> {
  return value.type === 'f32' || value.type === 'f64'
}

function isInteger(value: Value): value is Extract<Value, { type: 'i8' | 'i16' | 'i32' | 'i64' }> {
  return value.type === 'i8' || value.type === 'i16' || value.type === 'i32' || value.type === 'i64'
}

function keyframeToValue({ time, value, easing, bezier }: Keyframe): Value {
  const entries: [string, Value][] = [
    ['time', { type: 'i64', value: time }],
    ['value', value],
    ['easing', { type: 'string', value: easing }],
  ]
  if (bezier !== undefined) {
    entries.push(['bezier', { type: 'array', value: bezier.map((point): Value => ({ type: 'f64', value: point })) }])
  }
  return { type: 'map', value: entries }
}

function field(value: Value, name: string): Value | undefined {
  return value.type === 'map' ? value.value.findLast(([key]) => key === name)?.[1] : undefined
}

function integer(value: Value | undefined): number | undefined {
  if (value === undefined || !(isFloat(value) || isInteger(value))) return undefined
  const number = Number(value.value)
  return Number.isInteger(number) ? number : undefined
}

function controlPoints(value: Value | undefined): [number, number, number, number] | undefined {
  if (value?.type !== 'array' || value.value.length !== 4) return undefined
  const points = value.value.map((point) => (isFloat(point) || isInteger(point) ? Number(point.value) : Number.NaN))
  if (!points.every(Number.isFinite)) return undefined
  return [points[0], points[1], points[2], points[3]]
}
