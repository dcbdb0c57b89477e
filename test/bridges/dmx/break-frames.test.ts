import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BreakFrames } from '../../../runtime/bridges/dmx/break-frames.ts'

function read(bytes: readonly number[], cut = bytes.length) {
  const heard: [number, number[]][] = []
  const frames = new BreakFrames((startCode, slots) => heard.push([startCode, [...slots]]))
  frames.add(Uint8Array.from(bytes.slice(0, cut)))
  frames.add(Uint8Array.from(bytes.slice(cut)))
  return { heard, frames }
}

const BREAK = [0xff, 0, 0]

test('a frame is what lies between two breaks, and FF FF is the byte FF', () => {
  const bytes = [9, 9, ...BREAK, 0, 1, 0xff, 0xff, 0, ...BREAK, 0xcc, 5, ...BREAK]
  for (let cut = 0; cut <= bytes.length; cut++) {
    assert.deepEqual(read(bytes, cut).heard, [
      [0, [1, 255, 0]],
      [0xcc, [5]],
    ])
  }
})

test('a full frame does not wait for the next break, and what follows it is ignored', () => {
  const slots = Array.from({ length: 512 }, (_, i) => i % 250)
  assert.deepEqual(read([...BREAK, 0, ...slots, 7, 7]).heard, [[0, slots]])
})

test('a frame with a framing error is dropped and counted', () => {
  const { heard, frames } = read([...BREAK, 0, 1, 0xff, 0, 0x41, 2, ...BREAK, 0, 3, ...BREAK])
  assert.deepEqual(heard, [[0, [3]]])
  assert.equal(frames.faults, 1)
})

test('whatever bytes come, frames have at most 512 slots', () => {
  const byte = fc.oneof(fc.constantFrom(0, 0xff), fc.nat(255))
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 2000, size: 'max' }), (bytes) => {
      for (const [, slots] of read(bytes).heard) assert.ok(slots.length <= 512)
    }),
    { seed: 1, numRuns: 50 },
  )
})
