import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { DecodeError } from '../../firmware-protocol/wire/errors.ts'
import { decodeFrame, encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { Message, Phase } from '../../firmware-protocol/wire/message.ts'
import { defaultRouterOptions } from '../../runtime/router/options.ts'
import { SendQueue } from '../../runtime/router/send-queue.ts'
import { SlowNotice } from '../../runtime/router/slow-notice.ts'
import { bytes, int } from './fixture.ts'

const roomy = { ...defaultRouterOptions.queue, maxMessages: 100_000, maxBytes: 100_000_000 }

const set = (address: string, value = 0): Message => ({ type: 'SET', address, value: int(value), revision: value })
const stream = (address: string, value = 0): Message => ({
  type: 'PUBLISH',
  address,
  signal: 'stream',
  value: int(value),
})
const event = (value: number): Message => ({ type: 'PUBLISH', address: '/e', signal: 'event', value: int(value) })
const gesture = (phase: Phase, id: number | undefined, value = 0): Message => ({
  type: 'PUBLISH',
  address: '/g',
  signal: 'gesture',
  phase,
  id,
  value: int(value),
})

function push(queue: SendQueue, message: Message): number {
  const frame = encodeFrame(message)
  // As in a buffer of many frames.
  const shifted = new Uint8Array(frame.length + 9)
  shifted.set(frame, 5)
  return queue.push(shifted, 5, 5 + frame.length)
}

/** A short name for each message that comes out, oldest first. */
function drain(queue: SendQueue): string[] {
  const names: string[] = []
  for (let frame = queue.shift(); frame !== undefined; frame = queue.shift()) {
    const decoded = decodeFrame(frame)
    assert.ok(!(decoded instanceof DecodeError))
    names.push(nameOf(decoded.message))
  }
  return names
}

function nameOf(message: Message): string {
  if (message.type === 'SET') return `${message.address}=${plain(message)}`
  if (message.type !== 'PUBLISH') return message.type
  if (message.signal !== 'gesture') return `${message.signal} ${message.address} ${plain(message)}`
  return `${message.phase} ${message.id} ${plain(message)}`
}

function plain({ value }: Message & { value?: { value?: unknown } }): unknown {
  return value?.value
}

describe('the queue of a slow session', () => {
  test('sends the newest value of each param, in the place of its last update', () => {
    const queue = new SendQueue(roomy)
    for (const message of [set('/a', 1), event(1), set('/b', 1), set('/a', 2), event(2)]) push(queue, message)
    assert.deepEqual(drain(queue), ['event /e 1', '/b=1', '/a=2', 'event /e 2'])
  })

  test('counts a replaced value as one that was given up', () => {
    const queue = new SendQueue(roomy)
    assert.equal(push(queue, set('/a', 1)), 0)
    assert.equal(push(queue, set('/a', 2)), 1)
    assert.equal(push(queue, stream('/a', 2)), 0, 'a param and a stream of one address do not replace each other')
    assert.equal(push(queue, stream('/a', 3)), 1)
    assert.deepEqual(drain(queue), ['/a=2', 'stream /a 3'])
  })

  test('keeps gestures apart by id, and their moves before their ends', () => {
    const queue = new SendQueue(roomy)
    for (const id of [1, 2, undefined]) push(queue, gesture('start', id))
    for (let i = 1; i <= 5; i++) for (const id of [1, 2, undefined]) push(queue, gesture('move', id, i))
    for (const id of [1, 2, undefined]) push(queue, gesture('end', id))
    assert.deepEqual(drain(queue), [
      ...['start 1 0', 'start 2 0', 'start undefined 0'],
      ...['move 1 5', 'move 2 5', 'move undefined 5'],
      ...['end 1 0', 'end 2 0', 'end undefined 0'],
    ])
  })

  test('gives up streams and moves first, the oldest before the others', () => {
    const queue = new SendQueue({ ...roomy, maxMessages: 6 })
    const messages = [stream('/s1'), event(1), gesture('move', 1), set('/p', 1), stream('/s2'), event(2)]
    for (const message of messages) assert.equal(push(queue, message), 0)
    assert.equal(push(queue, event(3)), 1)
    assert.equal(push(queue, event(4)), 1)
    assert.deepEqual(drain(queue), ['event /e 1', '/p=1', 'stream /s2 0', 'event /e 2', 'event /e 3', 'event /e 4'])
  })

  test('says so when nothing can give way: a stream is dropped, anything else ends the session', () => {
    const queue = new SendQueue({ ...roomy, maxMessages: 2 })
    push(queue, event(1))
    push(queue, set('/a', 1))
    assert.equal(push(queue, stream('/s')), 1)
    assert.equal(push(queue, set('/a', 2)), 1, 'a newer value needs no more room')
    assert.equal(push(queue, set('/b', 1)), -1)
    assert.equal(push(queue, event(2)), -1)
    assert.deepEqual(drain(queue), ['event /e 1', '/a=2'])
  })

  test('counts bytes as well as messages', () => {
    const queue = new SendQueue({ ...roomy, maxBytes: 1000 })
    const large: Message = { type: 'PUBLISH', address: '/e', signal: 'event', value: bytes(800) }
    for (let i = 0; i < 10; i++) push(queue, stream(`/s${i}`))
    assert.ok(push(queue, large) > 0)
    assert.ok(queue.bytes <= 1000)
    assert.equal(push(queue, large), -1)
    while (queue.shift() !== undefined);
    assert.equal(queue.bytes, 0)
    assert.equal(queue.length, 0)
  })

  test('obeys its bounds, never loses what lasts, and ends on the last value of every param, whatever comes', () => {
    const address = fc.constantFrom('/a', '/b', '/c')
    const message = fc.oneof(
      fc.tuple(address, fc.nat(99)).map(([to, value]) => set(to, value)),
      fc.tuple(address, fc.nat(99)).map(([to, value]) => stream(to, value)),
      fc.nat(99).map(event),
      fc
        .tuple(fc.constantFrom<Phase>('start', 'move', 'end', 'cancel'), fc.nat(2), fc.nat(99))
        .map(([phase, id, value]) => gesture(phase, id, value)),
      fc.constant<Message>({ type: 'PONG' }),
    )
    fc.assert(
      fc.property(fc.array(message, { maxLength: 80 }), fc.integer({ min: 4, max: 40 }), (messages, maxMessages) => {
        const queue = new SendQueue({ ...roomy, maxMessages, maxBytes: 2000 })
        const taken: Message[] = []
        let given = 0
        for (const message of messages) {
          const dropped = push(queue, message)
          assert.ok(queue.length <= maxMessages && queue.bytes <= 2000)
          if (dropped < 0) break
          taken.push(message)
          given += dropped
        }
        assert.equal(queue.length + given, taken.length, 'every message is either there or counted as given up')
        const names = taken.map(nameOf)
        const out = drain(queue)
        const lasts = (name: string) => !/^(\/|stream|move)/.test(name)
        assert.deepEqual(out.filter(lasts), names.filter(lasts))
        for (const param of ['/a=', '/b=', '/c=']) {
          const values = (list: string[]) => list.filter((name) => name.startsWith(param))
          assert.deepEqual(values(out), values(names).slice(-1))
        }
        // What is left stands in the order in which it came.
        let at = -1
        for (const name of out) {
          at = names.indexOf(name, at + 1)
          assert.ok(at >= 0, `${name} is out of place`)
        }
      }),
      { numRuns: 1500 },
    )
  })
})

describe('the notice to a slow session', () => {
  test('comes at the 100th drop within 10 s, and not again for 10 s', () => {
    const notice = new SlowNotice()
    for (let i = 1; i < 100; i++) assert.equal(notice.isDue(1, i), false)
    assert.equal(notice.isDue(1, 100), true)
    assert.equal(notice.text, 'Buffer overflow: messages being dropped (100 drops in last 10 seconds)')
    assert.equal(notice.isDue(500, 9_000), false)
    assert.equal(notice.isDue(99, 10_050), false, 'a new window has begun')
    assert.equal(notice.isDue(1, 10_060), false, 'the last notice is not 10 s old')
    assert.equal(notice.isDue(1, 10_100), true)
    assert.equal(notice.text, 'Buffer overflow: messages being dropped (101 drops in last 10 seconds)')
  })

  test('never comes for a drop now and then', () => {
    const notice = new SlowNotice()
    for (let now = 0; now < 1_000_000; now += 150) assert.equal(notice.isDue(1, now), false)
  })
})
