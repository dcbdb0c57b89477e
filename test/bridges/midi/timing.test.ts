import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClockFollower } from '../../../runtime/bridges/midi/clock-follower.ts'
import { ClockGenerator } from '../../../runtime/bridges/midi/clock-generator.ts'
import {
  frameCountOf,
  fullFrame,
  QuarterFrames,
  readFullFrame,
  timeAfter,
} from '../../../runtime/bridges/midi/time-code.ts'
import { TimeCodeSender } from '../../../runtime/bridges/midi/time-code-sender.ts'
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

test('drop frame leaves out two numbers a minute, but not in every tenth one', () => {
  const at = (minutes: number, seconds: number, frames: number) => ({
    ...TIME,
    hours: 0,
    minutes,
    seconds,
    frames,
    rate: 29.97,
  })
  const cases: [ReturnType<typeof at>, number][] = [
    [at(0, 59, 29), 1799],
    [at(1, 0, 2), 1800],
    [at(9, 59, 29), 17_981],
    [at(10, 0, 0), 17_982],
    // An hour of 29.97 frames/s, as video has it.
    [{ ...at(0, 0, 0), hours: 1 }, 107_892],
    [{ ...at(59, 59, 29), hours: 23 }, 2_589_407],
  ]
  for (const [time, count] of cases) {
    assert.equal(frameCountOf(time), count)
    assert.deepEqual(timeAfter(count, 29.97), time)
    assert.deepEqual(timeAfter(count + 2_589_408, 29.97), time)
  }
  for (const rate of [24, 25, 29.97, 30]) {
    for (let count = 0; count < 40_000; count += 7) assert.equal(frameCountOf(timeAfter(count, rate)), count)
  }
})

/** What a sender says, as hexadecimal messages with their times, ms. */
function timeCodeSender(clock = new SteppedClock()) {
  const said: { at: number; bytes: string }[] = []
  const sender = new TimeCodeSender(clock, (message) => {
    said.push({ at: clock.now(), bytes: Buffer.from(message).toString('hex') })
  })
  /** So many times, two frames apart, as quarter frames bring them. */
  const run = (from: number, count: number, rate = 30) => {
    for (let at = 0; at < count; at++) {
      sender.take(timeAfter(from + 2 * at, rate))
      clock.advance(2000 / rate)
    }
  }
  return { clock, said, sender, run }
}

test('a running time goes out as quarter frames, four a frame', () => {
  const { said, run } = timeCodeSender()
  run(frameCountOf(TIME) - 12, 8)
  const quarters = said.filter(({ bytes }) => bytes.startsWith('f1'))
  const wanted = PIECES.map((piece) => Buffer.of(0xf1, piece).toString('hex'))
  const first = quarters.findIndex((_, at) => wanted.every((bytes, piece) => quarters[at + piece]?.bytes === bytes))
  assert.ok(first > 0 && first % 8 === 0, JSON.stringify(said))
  for (const [at, quarter] of quarters.entries()) {
    if (at > 0) assert.ok(Math.abs(quarter.at - quarters[at - 1].at - 1000 / 120) < 1.6, `${quarter.at} ms`)
  }
  // Until it was known to run.
  assert.deepEqual(
    said.slice(0, said.indexOf(quarters[0])).map(({ bytes }) => bytes),
    ['f07f7f010161253404f7', 'f07f7f010161253406f7'],
  )
})

test('what a receiver makes of the quarter frames is the time, two frames at a time, also across midnight', () => {
  for (const rate of [24, 25, 29.97, 30]) {
    const midnight = frameCountOf(timeAfter(-1 + (rate === 29.97 ? 2_589_408 : 86_400 * rate), rate)) + 1
    const { said, run } = timeCodeSender()
    run(midnight - 20, 40, rate)
    const frames = new QuarterFrames()
    const quarters = said.filter(({ bytes }) => bytes.startsWith('f1'))
    const times = quarters.flatMap(({ bytes }) => frames.take(Number.parseInt(bytes.slice(2), 16)) ?? [])
    assert.ok(times.length >= 30, `${times.length} times`)
    const counts = times.map((time) => (frameCountOf(time) + 100) % midnight)
    for (const [at, count] of counts.entries()) assert.equal(count, counts[0] + 2 * at)
    assert.equal(said.length - quarters.length, 2)
  }
})

test('a time that stands still or jumps goes out as full frames', () => {
  const { clock, said, sender } = timeCodeSender()
  for (const frames of [16, 16, 17, 5, 29]) {
    sender.take({ ...TIME, frames })
    clock.advance(40)
  }
  assert.deepEqual(
    said.map(({ bytes }) => Number.parseInt(bytes.slice(16, 18), 16)),
    [16, 17, 5, 29],
  )
  assert.equal(clock.pendingTimers, 0)
})

test('half a second after the last time a full frame says where it stands', () => {
  const { clock, said, run } = timeCodeSender()
  run(frameCountOf(TIME) - 10, 6)
  clock.advance(1000)
  assert.equal(said.at(-1)?.bytes, 'f07f7f010161253410f7')
  assert.equal(clock.pendingTimers, 0)
})

/** Time passes without timers: something else keeps the process busy. */
class PausingClock extends SteppedClock {
  private pausedMs = 0

  override now(): number {
    return super.now() + this.pausedMs
  }

  pause(ms: number): void {
    this.pausedMs += ms
  }
}

test('a pause of the process makes no burst of times that are over', () => {
  const clock = new PausingClock()
  const { said, sender, run } = timeCodeSender(clock)
  run(0, 10)
  const before = said.length
  clock.pause(400)
  sender.take(timeAfter(32, 30))
  clock.advance(130)
  const frames = new QuarterFrames()
  const times = said.slice(before).flatMap(({ bytes }) => frames.take(Number.parseInt(bytes.slice(2), 16)) ?? [])
  assert.ok(said.length - before <= 16, `${said.length - before} messages`)
  assert.deepEqual(times.map(frameCountOf), [34])
})
