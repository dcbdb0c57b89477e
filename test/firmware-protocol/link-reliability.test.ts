import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { CtrlBit, FrameClass } from '../../firmware-protocol/link/constants.ts'
import { ReliableChannel } from '../../firmware-protocol/link/reliable-channel.ts'
import { SeededRandom } from './seeded-random.ts'

const WINDOWS = [1, 2, 4, 8] as const

describe('a reliable channel', () => {
  it('delivers everything once and in order, whatever a line loses', () => {
    fc.assert(
      fc.property(
        fc.tuple(fc.constantFrom(...WINDOWS), fc.constantFrom(...WINDOWS)),
        someCounts,
        aSeed,
        fc.double({ min: 0, max: 0.3, noNaN: true }),
        (windows, counts, seed, loss) =>
          checkDelivery(windows, counts, new FaultyLine(seed, { loss, double: 0, jitterMs: 0 })),
      ),
      { numRuns: 300 },
    )
  })

  // With a window of 8 and frames that overtake each other, four bits cannot tell an old number from a new one.
  it('delivers everything once and in order where frames are doubled and overtake each other, up to a window of 4', () => {
    const faults = fc.record({
      loss: fc.double({ min: 0, max: 0.1, noNaN: true }),
      double: fc.double({ min: 0, max: 0.3, noNaN: true }),
      jitterMs: fc.integer({ min: 0, max: 20 }),
    })
    const windows = fc.tuple(fc.constantFrom(1, 2, 4), fc.constantFrom(1, 2, 4))
    fc.assert(
      fc.property(windows, someCounts, aSeed, faults, (sizes, counts, seed, wrong) =>
        checkDelivery(sizes, counts, new FaultyLine(seed, wrong)),
      ),
      { numRuns: 500 },
    )
  })

  it('resends nothing over a line that loses nothing', () => {
    for (const window of WINDOWS) {
      const a = new End(window, 100)
      const b = new End(window, 100)
      assert.ok(run(a, b, new FaultyLine(1, { loss: 0, double: 0, jitterMs: 0 })))
      assert.deepEqual(b.received, range(100))
      assert.equal(a.channel.retransmissions + b.channel.retransmissions, 0)
    }
  })

  it('says when it has tried often enough', () => {
    const channel = new ReliableChannel(2, 64)
    send(channel, 0)
    let now = 0
    const waits: number[] = []
    channel.take(now)
    while (channel.retryAt < Infinity) {
      waits.push(channel.retryAt - now)
      now = channel.retryAt
      if (!channel.retry()) break
      channel.take(now)
    }
    assert.deepEqual(waits, [60, 120, 240, 480, 960, 960, 960, 960, 960])
  })

  it('marks what it sends again, and only that', () => {
    const channel = new ReliableChannel(4, 64)
    send(channel, 0)
    send(channel, 1)
    assert.equal(channel.take(0)[0] & CtrlBit.again, 0)
    assert.equal(channel.take(0)[0] & CtrlBit.again, 0)
    channel.acknowledged(1, 10)
    channel.rewind()
    assert.equal(channel.take(20)[0] & CtrlBit.again, CtrlBit.again)
    assert.equal(channel.isDue, false)
    channel.acknowledged(2, 30)
    send(channel, 2)
    assert.equal(channel.take(40)[0] & CtrlBit.again, 0)
  })

  it('ignores an acknowledgement of what was never sent', () => {
    const channel = new ReliableChannel(4, 64)
    send(channel, 0)
    channel.take(0)
    for (const number of [2, 5, 15]) channel.acknowledged(number, 1)
    assert.equal(channel.inFlight, 1)
    channel.acknowledged(1, 1)
    assert.equal(channel.inFlight, 0)
    assert.equal(channel.retryAt, Infinity)
  })

  it('measures the round trip by frames that were sent once', () => {
    const channel = new ReliableChannel(4, 64)
    send(channel, 0)
    channel.take(100)
    channel.acknowledged(1, 112)
    assert.equal(channel.roundTripMs, 12)
    send(channel, 1)
    channel.take(200)
    channel.rewind()
    channel.take(300)
    channel.acknowledged(2, 301)
    assert.equal(channel.roundTripMs, 12)
  })

  it('asks once for what is missing, and acknowledges what came twice', () => {
    const channel = new ReliableChannel(4, 64)
    assert.equal(channel.accept(0, 1), true)
    assert.equal(channel.ackAt, 6)
    assert.equal(channel.accept(2, 2), false)
    assert.equal(channel.isGap, true)
    channel.isGap = false
    assert.equal(channel.accept(3, 3), false)
    assert.equal(channel.isGap, false)
    assert.equal(channel.accept(0, 4), false)
    assert.equal(channel.ackAt, 4)
    assert.equal(channel.accept(1, 5), true)
    assert.equal(channel.accept(2, 5), true)
    assert.equal(channel.ackAt, 5, 'the second is acknowledged at once')
  })
})

const aSeed = fc.integer({ min: 1 })
const someCounts = fc.tuple(fc.nat(60), fc.nat(60))

/** A link that gives up has delivered a part, and nothing twice or in another order. */
function checkDelivery(windows: readonly number[], counts: readonly number[], line: FaultyLine): void {
  const a = new End(windows[0], counts[0])
  const b = new End(windows[1], counts[1])
  const isComplete = run(a, b, line)
  assert.ok(isComplete || line.isBad, 'given up on a good line')
  assert.deepEqual(b.received, range(isComplete ? counts[0] : b.received.length))
  assert.deepEqual(a.received, range(isComplete ? counts[1] : a.received.length))
}

/** One end: sends the numbers 0, 1, 2 … and collects what comes. */
class End {
  readonly channel: ReliableChannel
  readonly received: number[] = []
  hasGivenUp = false
  private next = 0
  private readonly count: number

  constructor(window: number, count: number) {
    this.channel = new ReliableChannel(window, 16)
    this.count = count
  }

  get isDone(): boolean {
    return this.next === this.count && this.channel.inFlight === 0
  }

  /** Frames that leave now. */
  poll(now: number): Uint8Array[] {
    const { channel } = this
    const frames: Uint8Array[] = []
    if (channel.retryAt <= now && !channel.retry()) this.hasGivenUp = true
    while (this.next < this.count && channel.hasRoom) send(channel, this.next++)
    while (channel.isDue) frames.push(this.stamped(channel.take(now).slice(0, channel.takenLength)))
    if (channel.isGap) {
      channel.isGap = false
      frames.push(this.stamped(Uint8Array.of(FrameClass.control | 1, 0)))
    }
    if (channel.ackAt <= now) frames.push(this.stamped(Uint8Array.of(FrameClass.control, 0)))
    return frames
  }

  receive(frame: Uint8Array, now: number): void {
    const { channel } = this
    channel.acknowledged(frame[1] & 15, now)
    if ((frame[0] & FrameClass.mask) === FrameClass.reliable) {
      if (channel.accept(frame[1] >>> 4, now)) this.received.push(frame[2])
    } else if ((frame[0] & CtrlBit.subtype) === 1) channel.rewind()
  }

  private stamped(frame: Uint8Array): Uint8Array {
    frame[1] = (frame[1] & 0xf0) | this.channel.expected
    this.channel.carried()
    return frame
  }
}

class FaultyLine {
  private readonly random: SeededRandom
  private readonly faults: { loss: number; double: number; jitterMs: number }
  private readonly queue: { at: number; frame: Uint8Array; to: End }[] = []

  constructor(seed: number, faults: FaultyLine['faults']) {
    this.random = new SeededRandom(seed)
    this.faults = faults
  }

  get isBad(): boolean {
    return this.faults.loss > 0.02
  }

  get isEmpty(): boolean {
    return this.queue.length === 0
  }

  send(frame: Uint8Array, to: End, now: number): void {
    const { random } = this
    const { loss, double, jitterMs } = this.faults
    for (let copies = random.fraction() < double ? 2 : 1; copies > 0; copies--) {
      if (random.fraction() < loss) continue
      this.queue.push({ at: now + 1 + Math.floor(random.fraction() * (jitterMs + 1)), frame: frame.slice(), to })
    }
  }

  deliver(now: number): void {
    for (let i = 0; i < this.queue.length; ) {
      const { at, frame, to } = this.queue[i]
      if (at > now) i++
      else {
        this.queue.splice(i, 1)
        to.receive(frame, now)
      }
    }
  }
}

/** False: one end has given up. */
function run(a: End, b: End, line: FaultyLine): boolean {
  for (let now = 1; !(a.isDone && b.isDone && line.isEmpty); now++) {
    assert.ok(now < 200_000, 'it does not end')
    line.deliver(now)
    for (const frame of a.poll(now)) line.send(frame, b, now)
    for (const frame of b.poll(now)) line.send(frame, a, now)
    if (a.hasGivenUp || b.hasGivenUp) return false
  }
  return true
}

function send(channel: ReliableChannel, content: number): void {
  const frame = channel.open()
  frame[0] = FrameClass.reliable
  frame[2] = content
  channel.seal(3)
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i)
}
