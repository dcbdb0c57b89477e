import assert from 'node:assert/strict'
import { createSecretKey } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { encodeDatagram, isAuthentic, readDatagramHead, sessionKeys } from '../../firmware-protocol/link/datagram.ts'
import { ReplayWindow } from '../../firmware-protocol/link/replay-window.ts'
import { fromHex, loadVectors, toHex } from './vectors.ts'

interface DatagramVector {
  name: string
  hex: string
  frame: string
  isSigned: boolean
  isShort: boolean
  token: number
  counter: number
  key?: string
}

const { keys, datagrams, malformed, forged, replay } = loadVectors<{
  keys: Record<'name' | 'secret' | 'deviceNonce' | 'hostNonce' | 'uid' | 'toHost' | 'toDevice', string>[]
  datagrams: DatagramVector[]
  malformed: { name: string; hex: string }[]
  forged: { name: string; hex: string; key: string }[]
  replay: { name: string; counters: number[]; accepted: boolean[] }[]
}>('link-datagrams.json')

describe('the keys of a session', () => {
  for (const { name, secret, deviceNonce, hostNonce, uid, toHost, toDevice } of keys) {
    it(`follow from secret, nonces and uid: ${name}`, () => {
      const made = sessionKeys(fromHex(secret), fromHex(deviceNonce), fromHex(hostNonce), uid)
      assert.equal(made.toHost.export().toString('hex'), toHost)
      assert.equal(made.toDevice.export().toString('hex'), toDevice)
    })
  }
})

describe('a datagram', () => {
  for (const { name, hex, frame, isSigned, isShort, token, counter, key } of datagrams) {
    it(`is written and read: ${name}`, () => {
      const secret = key === undefined ? null : createSecretKey(fromHex(key))
      const bytes = fromHex(frame)
      assert.equal(toHex(encodeDatagram(bytes, bytes.length, { isShort, token, counter }, secret)), hex)
      const read = readDatagramHead(fromHex(hex))
      const start = isShort ? 2 : 10
      assert.deepEqual(read, { isSigned, isShort, token, counter, start, end: start + bytes.length })
      if (secret !== null) assert.ok(isAuthentic(fromHex(hex), start + bytes.length, secret))
    })
  }

  for (const { name, hex } of malformed) {
    it(`is refused: ${name}`, () => assert.equal(readDatagramHead(fromHex(hex)), null))
  }

  for (const { name, hex, key } of forged) {
    it(`is not authentic: ${name}`, () => {
      const bytes = fromHex(hex)
      // Another version or length of the head is noticed even before the MAC is looked at.
      const head = readDatagramHead(bytes)
      assert.ok(head === null || !head.isSigned || !isAuthentic(bytes, head.end, createSecretKey(fromHex(key))))
    })
  }

  it('is not authentic when any of its bits is turned over', () => {
    const { hex, key } = datagrams[0]
    const secret = createSecretKey(fromHex(key ?? ''))
    for (let bit = 0; bit < (hex.length / 2) * 8; bit++) {
      const bytes = fromHex(hex)
      bytes[bit >> 3] ^= 1 << (bit & 7)
      const head = readDatagramHead(bytes)
      assert.ok(head === null || !head.isSigned || !isAuthentic(bytes, head.end, secret), `bit ${bit}`)
    }
  })

  it('of any bytes is refused or has its frame inside', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(0x10, 0x11, 0x12, 0x13, 0x14, 0x20),
        fc.uint8Array({ maxLength: 40 }),
        (second, rest) => {
          const bytes = Uint8Array.from([0x0c, second, ...rest])
          const head = readDatagramHead(bytes)
          if (head === null) return
          assert.ok(head.start + 2 <= head.end)
          assert.equal(bytes.length - head.end, head.isSigned ? 8 : 0)
        },
      ),
    )
  })
})

describe('the replay window', () => {
  for (const { name, counters, accepted } of replay) {
    it(`accepts each counter once: ${name}`, () => {
      assert.deepEqual(accept(new ReplayWindow(), counters), accepted)
    })
  }

  it('does what a list of everything that was seen would do', () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: -70, max: 5 }) },
      { weight: 2, arbitrary: fc.integer({ min: 1, max: 70 }) },
      { weight: 1, arbitrary: fc.integer({ min: 1, max: 2 ** 24 }) },
    )
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 31 }), fc.array(step, { maxLength: 200 }), (first, steps) => {
        const seen = new Set<number>()
        const window = new ReplayWindow()
        let newest = 0
        for (const counter of [first, ...steps]) {
          const next = seen.size === 0 ? counter : Math.max(1, newest + counter)
          const isFresh = next > newest || (newest - next < 64 && !seen.has(next))
          assert.equal(window.isFresh(next), isFresh, `${next} after ${newest}`)
          if (!isFresh) continue
          window.accept(next)
          seen.add(next)
          newest = Math.max(newest, next)
          assert.equal(window.newest, newest)
        }
      }),
      { numRuns: 2000 },
    )
  })
})

function accept(window: ReplayWindow, counters: readonly number[]): boolean[] {
  return counters.map((counter) => {
    if (!window.isFresh(counter)) return false
    window.accept(counter)
    return true
  })
}
