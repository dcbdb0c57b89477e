import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClockFollower } from '../../../runtime/bridges/midi/clock-follower.ts'
import { ClockGenerator } from '../../../runtime/bridges/midi/clock-generator.ts'
import { fullFrame, QuarterFrames, readFullFrame } from '../../../runtime/bridges/midi/time-code.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'

function follower() {
  const tempos: number[] = []
  const beats: number[] = []
  const follower = new ClockFollower({ onTempo: (tempo) => tempos.push(tempo), onBeat: (beat) => beats.push(beat) })
  return { tempos, beats, follower }
}

test('the tempo is the mean of 24 ticks, told once a beat and only when it changes by 0.1', () => {
  const { tempos, beats, follower: clock } = follower()
  let now = 1000
  const ticks = (count: number, bpm: number) => {
    for (let at = 0; at < count; at++) {
      clock.tick(now)
      now += 60_000 / 24 / bpm
    }
  }
  ticks(24 * 4, 120)
  ticks(24, 120.04)
  assert.deepEqual(tempos, [120])
  ticks(24 * 2, 90)
  assert.deepEqual(tempos, [120, 90])
  assert.deepEqual(beats, [0, 1, 2, 3, 4, 5, 6])
})

test('beats count from the start, or from the song position', () => {
  const { beats, follower: clock } = follower()
  for (let at = 0; at < 30; at++) clock.tick(at * 20)
  clock.start()
  clock.tick(600)
  clock.moveTo(8)
  clock.tick(620)
  assert.deepEqual(beats, [0, 1, 0, 2])
})

test('a flood of ticks is cut to 500 a second', () => {
  const { follower: clock } = follower()
  let taken = 0
  for (let at = 0; at < 10_000; at++) if (clock.tick(at / 10)) taken++
  assert.ok(taken > 400 && taken < 600, `${taken} in one second`)
})

/** Whole milliseconds, and somewhat late, as those of Node. */
class CoarseClock extends SteppedClock {
  override timer(delayMs: number, callback: () => void) {
    return super.timer(Math.max(1, Math.trunc(delayMs)) + 0.4, callback)
  }
}

test('ticks keep to the tempo without drift, though timers count whole milliseconds and are late', () => {
  const clock = new CoarseClock()
  const times: number[] = []
  const begin = clock.now()
  const generator = new ClockGenerator(clock, () => times.push(clock.now() - begin))
  generator.setTempo(120)
  clock.advance(10_005)
  const worst = Math.max(...times.map((time, at) => Math.abs(time - (at + 1) * (60_000 / 24 / 120))))
  assert.equal(times.length, 480)
  assert.ok(worst <= 1, `${worst} ms beside its time`)
  generator.stop()
  assert.equal(clock.pendingTimers, 0)
})

test('the tempo of a clock can change, and 0 stops it', () => {
  const clock = new SteppedClock()
  let ticks = 0
  const generator = new ClockGenerator(clock, () => ticks++)
  generator.setTempo(60)
  clock.advance(1001)
  assert.equal(ticks, 24)
  generator.setTempo(120)
  clock.advance(1001)
  assert.equal(ticks, 72)
  generator.setTempo(0)
  clock.advance(1000)
  assert.equal(ticks, 72)
})

/** 01:37:52:16 at 30 frames/s, the example of the MIDI time code specification with its rate. */
const PIECES = [0x00, 0x11, 0x24, 0x33, 0x45, 0x52, 0x61, 0x76]
const TIME = { hours: 1, minutes: 37, seconds: 52, frames: 16, rate: 30 }

test('eight quarter frames are a time, forwards and backwards', () => {
  const frames = new QuarterFrames()
  assert.deepEqual(PIECES.map((piece) => frames.take(piece)).at(-1), TIME)
  assert.equal(frames.take(PIECES[0]), undefined)
  const back = new QuarterFrames()
  assert.deepEqual(
    PIECES.toReversed()
      .map((piece) => back.take(piece))
      .at(-1),
    TIME,
  )
})

test('quarter frames of which one is missing are no time', () => {
  const frames = new QuarterFrames()
  const times = [...PIECES.slice(0, 3), ...PIECES.slice(4), ...PIECES.slice(0, 7)].map((piece) => frames.take(piece))
  assert.deepEqual(new Set(times), new Set([undefined]))
  assert.deepEqual(frames.take(PIECES[7]), TIME)
})

test('a full frame is read and written; what is no time is not', () => {
  const bytes = Buffer.from('f07f7f010161253410f7', 'hex')
  assert.deepEqual(readFullFrame(bytes), TIME)
  assert.deepEqual(Buffer.from(fullFrame(TIME) as Uint8Array), bytes)
  assert.equal(readFullFrame(Buffer.from('f07f7f010161253c7ff7', 'hex')), undefined)
  assert.equal(readFullFrame(Buffer.from('f07f7f010261253410f7', 'hex')), undefined)
  assert.equal(fullFrame({ ...TIME, frames: 30 }), undefined)
  assert.equal(fullFrame({ ...TIME, rate: 50 }), undefined)
})
