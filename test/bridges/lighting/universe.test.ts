import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Merge, Universe } from '../../../runtime/bridges/lighting/universe.ts'

const NEVER = Number.POSITIVE_INFINITY

function two(merge: Merge) {
  const universe = new Universe(merge, 2)
  const open = (key: string, priority = 100, isSparse = false) => {
    const source = universe.open(key, { priority, timeoutMs: 1000, isSparse }, 0)
    if (source === undefined) throw new Error('there is no room')
    return source
  }
  const levels = () => [...universe.levels.subarray(0, 3)]
  return { universe, open, levels }
}

test('of equal priority the highest level of each slot wins (htp)', () => {
  const { universe, open, levels } = two('htp')
  const [a, b] = [open('a'), open('b')]
  universe.frame(a, Uint8Array.of(10, 200, 0), 0)
  universe.frame(b, Uint8Array.of(20, 100, 5), 0)
  assert.deepEqual(levels(), [20, 200, 5])
  universe.close(a)
  assert.deepEqual(levels(), [20, 100, 5])
})

test('or the level that changed last (ltp), which repeated frames do not take back', () => {
  const { universe, open, levels } = two('ltp')
  const [a, b] = [open('a'), open('b')]
  universe.frame(a, Uint8Array.of(10, 200, 0), 0)
  universe.frame(b, Uint8Array.of(5, 200, 1), 0)
  universe.frame(a, Uint8Array.of(10, 200, 0), 1)
  assert.deepEqual(levels(), [5, 200, 1])
  universe.frame(a, Uint8Array.of(11, 200, 0), 2)
  assert.deepEqual(levels(), [11, 200, 1])
})

test('or whoever sent last, or came first', () => {
  const latest = two('latest-frame')
  const [a, b] = [latest.open('a'), latest.open('b')]
  latest.universe.frame(b, Uint8Array.of(9, 9, 9), 0)
  latest.universe.frame(a, Uint8Array.of(1, 2, 3), 0)
  assert.deepEqual(latest.levels(), [1, 2, 3])
  latest.universe.frame(b, Uint8Array.of(9, 9, 9), 0)
  assert.deepEqual(latest.levels(), [9, 9, 9])
  const first = two('first')
  const [c, d] = [first.open('c'), first.open('d')]
  first.universe.frame(d, Uint8Array.of(9, 9, 9), 0)
  first.universe.frame(c, Uint8Array.of(1, 1, 1), 500)
  assert.deepEqual(first.levels(), [1, 1, 1])
  first.universe.frame(d, Uint8Array.of(9, 9, 9), 1400)
  assert.equal(first.universe.expire(1500), 1)
  assert.deepEqual(first.levels(), [9, 9, 9])
})

test('a higher priority wins the whole universe, also where it is dark or short', () => {
  const { universe, open, levels } = two('htp')
  const [a, b] = [open('a'), open('b', 150)]
  universe.frame(a, Uint8Array.of(255, 255, 255), 0)
  universe.frame(b, Uint8Array.of(0, 7), 0)
  assert.deepEqual(levels(), [0, 7, 0])
  universe.prioritise(a, 151, null)
  assert.deepEqual(levels(), [255, 255, 255])
})

test('priorities of single slots decide slot by slot; 0 gives a slot up', () => {
  const { universe, open, levels } = two('htp')
  const [a, b] = [open('a'), open('b')]
  universe.frame(a, Uint8Array.of(1, 2, 3), 0)
  universe.frame(b, Uint8Array.of(100, 100, 100), 0)
  universe.prioritise(a, 100, Uint8Array.of(200, 100, 0))
  assert.deepEqual(levels(), [1, 100, 100])
})

test('the router asserts slots one by one and leaves the others to the rest', () => {
  const { universe, open, levels } = two('htp')
  const [a, b] = [open('a', 150, true), open('b')]
  universe.frame(b, Uint8Array.of(50, 50, 50), 0)
  universe.set(a, 1, 0, 0)
  assert.deepEqual(levels(), [50, 0, 50])
  universe.release(a, 1)
  assert.deepEqual(levels(), [50, 50, 50])
})

test('a shorter frame gives up the slots behind its end', () => {
  const { universe, open, levels } = two('htp')
  const a = open('a')
  universe.frame(a, Uint8Array.of(1, 2, 3), 0)
  universe.frame(a, Uint8Array.of(4), 0)
  assert.deepEqual(levels(), [4, 0, 0])
  assert.equal(universe.length, 1)
})

test('no more sources than allowed come in; those that are silent make room', () => {
  const { universe, open } = two('htp')
  const [a] = [open('a'), open('b')]
  universe.frame(a, Uint8Array.of(1), 600)
  assert.equal(universe.open('c', { priority: 100, timeoutMs: NEVER }, 600), undefined)
  assert.equal(universe.expiresAt, 1000)
  assert.equal(universe.expire(999), 0)
  assert.equal(universe.expire(1000), 1)
  assert.equal(universe.sourceCount, 1)
})
