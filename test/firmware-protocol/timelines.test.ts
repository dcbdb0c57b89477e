import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ClockSync } from '../../firmware-protocol/wire/clock-sync.ts'
import { ease } from '../../firmware-protocol/wire/easing.ts'
import type { Easing, Keyframe, Timeline } from '../../firmware-protocol/wire/message.ts'
import { TimelinePlayer, timelineFromValue, timelineToValue } from '../../firmware-protocol/wire/timeline.ts'
import type { Value } from '../../firmware-protocol/wire/value.ts'
import { loadVectors, present, toMessage, toValue, type VectorValue } from './vectors.ts'

interface EasingVectors {
  easing: { easing: Easing; bezier?: [number, number, number, number]; t: number; out: number }[]
  timelines: { name: string; timeline: Record<string, unknown>; start: number; samples: Sample[] }[]
}
interface Sample {
  time: number
  value: VectorValue | null
  state: string
  loops: number
}

const vectors = loadVectors<EasingVectors>('easing.json')

describe('easing', () => {
  it('equals the golden values to the last bit', () => {
    for (const { easing, bezier, t, out } of vectors.easing)
      assert.equal(ease(t, easing, bezier), out, `${easing} ${bezier} at ${t}`)
  })
})

describe('timelines', () => {
  for (const { name, timeline, start, samples } of vectors.timelines) {
    it(`play: ${name}`, () => {
      const player = new TimelinePlayer(toMessage({ loop: false, ...timeline }) as unknown as Timeline)
      player.start(start)
      for (const sample of samples) {
        const value = player.sample(sample.time)
        assert.deepEqual(value, sample.value === null ? undefined : toValue(sample.value), `at ${sample.time}`)
        assert.equal(player.state, sample.state.toLowerCase())
        assert.equal(player.loops, sample.loops)
      }
    })
  }

  it('survive as the value of a PUBLISH', () => {
    const timeline: Timeline = {
      keyframes: [
        { time: 0, value: { type: 'f64', value: 0 }, easing: 'ease-in' },
        { time: 1_000_000, value: { type: 'f64', value: 1 }, easing: 'cubic-bezier', bezier: [0.1, 0.2, 0.3, 0.4] },
      ],
      loop: true,
      startTime: 1_700_000_000_000_000,
    }
    assert.deepEqual(present(timelineFromValue(timelineToValue(timeline))), present(timeline))
  })

  it('of the largest integers stay within their range, with control points that overshoot', () => {
    const largest = 2n ** 63n - 1n
    const frame = (time: number, value: bigint): Keyframe => ({
      time,
      value: { type: 'i64', value },
      easing: 'cubic-bezier',
      bezier: [0.5, 3, 0.5, 3],
    })
    const player = new TimelinePlayer({ keyframes: [frame(0, -largest), frame(1000, largest)], loop: false })
    player.start(0)
    assert.deepEqual(player.sample(600), { type: 'i64', value: largest })
  })

  it('that are not timelines are told from those that are', () => {
    assert.equal(timelineFromValue({ type: 'null' }), undefined)
    assert.equal(timelineFromValue({ type: 'map', value: [] }), undefined)
    const keyframes: Value = { type: 'array', value: [{ type: 'map', value: [['time', { type: 'i64', value: 1 }]] }] }
    assert.equal(timelineFromValue({ type: 'map', value: [['keyframes', keyframes]] }), undefined)
  })
})

describe('the clock estimator', () => {
  interface Step {
    t1: number
    t2: number
    t3: number
    t4: number
    offset: number
    rtt: number
    jitter: number
    quality: number
  }
  for (const { name, steps } of loadVectors<{ name: string; steps: Step[] }[]>('clock.json')) {
    it(`follows the golden sequence: ${name}`, () => {
      const clock = new ClockSync()
      for (const { t1, t2, t3, t4, offset, rtt, jitter, quality } of steps) {
        if (!clock.add(t1, t2, t3, t4)) continue
        assert.deepEqual([clock.offset, clock.roundTrip, clock.jitter], [offset, rtt, jitter])
        assert.ok(Math.abs(clock.quality - quality) < 1e-12)
      }
    })
  }

  it('discards a sample whose round trip is negative', () => {
    const clock = new ClockSync()
    assert.equal(clock.add(1000, 2000, 2000, 900), false)
    assert.equal(clock.samples, 0)
  })
})
