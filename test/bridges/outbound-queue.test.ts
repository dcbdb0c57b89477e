import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Update } from '../../runtime/bridges/bridge.ts'
import { OutboundQueue } from '../../runtime/bridges/outbound-queue.ts'

const update = (signal: Update['signal'], address: string, value: number): Update => ({
  signal,
  address,
  value: { type: 'i64', value },
  isInitial: false,
})

function drained(queue: OutboundQueue): string[] {
  const texts: string[] = []
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    texts.push(`${next.address}=${(next.value as { value: number }).value}`)
  }
  return texts
}

test('params and streams that wait are replaced, events are not; what is newer is later', () => {
  const queue = new OutboundQueue(() => assert.fail('nothing is dropped'))
  const pushed: [Update['signal'], string, number][] = [
    ['param', '/a', 1],
    ['event', '/go', 1],
    ['stream', '/s', 1],
    ['event', '/go', 2],
    ['param', '/a', 2],
    ['stream', '/s', 2],
  ]
  for (const [signal, address, value] of pushed) queue.push(update(signal, address, value))
  assert.deepEqual(drained(queue), ['/go=1', '/go=2', '/a=2', '/s=2'])
})

test('a full queue drops the oldest event, and a param only where there are no others', () => {
  let dropped = 0
  const queue = new OutboundQueue(() => dropped++, 3)
  queue.push(update('param', '/a', 1))
  for (let i = 1; i <= 4; i++) queue.push(update('event', '/go', i))
  assert.deepEqual([drained(queue), dropped], [['/a=1', '/go=3', '/go=4'], 2])
  for (let i = 1; i <= 4; i++) queue.push(update('param', `/p${i}`, i))
  assert.deepEqual([drained(queue), dropped], [['/p2=2', '/p3=3', '/p4=4'], 3])
})

test('whatever is pushed, the queue keeps its limit and the last value of each param while they fit', () => {
  const pushes = fc.array(
    fc.record({
      signal: fc.constantFrom('param' as const, 'event' as const),
      address: fc.constantFrom('/a', '/b', '/c'),
    }),
    { maxLength: 40 },
  )
  fc.assert(
    fc.property(pushes, (list) => {
      let dropped = 0
      const queue = new OutboundQueue(() => dropped++, 5)
      const last = new Map<string, string>()
      for (const [i, { signal, address }] of list.entries()) {
        queue.push(update(signal, address, i))
        if (signal === 'param') last.set(address, `${address}=${i}`)
        assert.ok(queue.size <= 5)
      }
      const rest = drained(queue)
      for (const text of last.values()) assert.ok(rest.includes(text), text)
    }),
    { numRuns: 200, seed: 9 },
  )
})
