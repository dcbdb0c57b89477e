import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import { History } from '../../runtime/router/history.ts'
import { bytes, int } from './fixture.ts'

interface Recorded {
  address: string
  at: number
  frame: Uint8Array
}

const everything = () => true

/** The law of `select`, by the plainest means. */
function selected(
  records: Recorded[],
  limit: number,
  since: number,
  wanted: (address: string) => boolean,
): Uint8Array[] {
  const passing = records.filter(({ address, at }) => at >= since && wanted(address))
  return passing
    .filter(({ address }, i) => passing.slice(i + 1).filter((later) => later.address === address).length < limit)
    .map(({ frame }) => frame)
}

describe('the history', () => {
  const address = fc.constantFrom('/a', '/b', '/long/address/of/some/length')
  const message = fc.record({ address, length: fc.integer({ min: 0, max: 200 }), isSet: fc.boolean(), gap: fc.nat(5) })

  test('keeps the newest messages that fit, and selects by address, number and age as told', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1100, max: 4000 }),
        fc.array(message, { maxLength: 120 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 0, max: 300 }),
        address,
        (capacity, messages, limit, ageMs, wanted) => {
          const history = new History(capacity)
          const all: Recorded[] = []
          let now = 0
          for (const { address, length, isSet, gap } of messages) {
            now += gap
            const sent: Message = isSet
              ? { type: 'SET', address, value: bytes(length) }
              : { type: 'PUBLISH', address, signal: 'event', value: bytes(length) }
            const frame = encodeFrame(sent)
            // As in a buffer of many frames.
            const shifted = new Uint8Array(frame.length + 7)
            shifted.set(frame, 7)
            history.add(shifted, 7, frame.length, now)
            all.push({ address, at: now, frame })
          }
          const kept = history.select(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, everything)
          const records = all.slice(all.length - kept.length)
          assert.deepEqual(
            kept,
            records.map(({ frame }) => frame),
            'what is kept are the newest, in order',
          )

          const keptBytes = kept.reduce((sum, frame) => sum + frame.length + 10, 0)
          const largest = Math.max(0, ...all.map(({ frame }) => frame.length + 10))
          assert.ok(keptBytes <= capacity)
          if (kept.length < all.length) {
            assert.ok(keptBytes >= capacity - 3 * largest, `only ${keptBytes} of ${capacity} bytes are used`)
          }
          const since = now - ageMs
          assert.deepEqual(
            history.select(limit, since, (_ring, _payload, address) => address === wanted),
            selected(records, limit, since, (address) => address === wanted),
          )
          assert.deepEqual(
            history.select(limit, Number.NEGATIVE_INFINITY, everything),
            selected(records, limit, Number.NEGATIVE_INFINITY, () => true),
          )
        },
      ),
      { numRuns: 1500 },
    )
  })

  test('shows the filter the payload of each frame', () => {
    const history = new History(10_000)
    for (const frame of [
      encodeFrame({ type: 'SET', address: '/a', value: int(1) }),
      encodeFrame({ type: 'PUBLISH', address: '/b', signal: 'stream', value: int(1) }),
    ]) {
      history.add(frame, 0, frame.length, 0)
    }
    const seen: string[] = []
    history.select(1, 0, (ring, payload, address) => {
      seen.push(`${ring[payload].toString(16)} ${address}`)
      return false
    })
    assert.deepEqual(seen, ['21 /a', '20 /b'])
  })

  test('leaves out a message that would push out a quarter of the others', () => {
    const history = new History(4000)
    const small = encodeFrame({ type: 'SET', address: '/small', value: int(1) })
    const large = encodeFrame({ type: 'SET', address: '/large', value: bytes(1200) })
    history.add(small, 0, small.length, 0)
    history.add(large, 0, large.length, 0)
    assert.deepEqual(history.select(9, 0, everything), [small])
  })

  test('of no bytes remembers nothing', () => {
    const history = new History(0)
    const frame = encodeFrame({ type: 'SET', address: '/a', value: int(1) })
    history.add(frame, 0, frame.length, 0)
    assert.deepEqual(history.select(9, 0, everything), [])
  })
})
