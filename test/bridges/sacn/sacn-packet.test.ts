import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  cidFromText,
  dataPacket,
  decodeSacn,
  discoveryPackets,
  syncPacket,
} from '../../../runtime/bridges/sacn/sacn-packet.ts'

const CID = cidFromText('6ba7b810-9dad-11d1-80b4-00c04fd430c8')
const data = dataPacket({ cid: CID, name: 'x', priority: 100, syncAddress: 0, options: 0, universe: 1, startCode: 0 })
const seeds = [data, syncPacket(CID, 1, 9), discoveryPackets(CID, 'x', [1, 2, 3])[0]]

test('whatever arrives is read or refused, and never beyond what the packet holds', () => {
  const change = fc.tuple(fc.nat(637), fc.nat(255))
  const broken = fc.tuple(fc.constantFrom(...seeds), fc.array(change, { maxLength: 6 }), fc.nat(660))
  fc.assert(
    fc.property(broken, ([seed, changes, length]) => {
      const bytes = Buffer.from(seed.subarray(0, length))
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
      const packet = decodeSacn(bytes)
      if (typeof packet === 'string' || packet.type !== 'data') return
      assert.ok(packet.slots.length <= 512 && packet.slots.length <= bytes.length - 126)
      assert.ok(packet.priority <= 200 && packet.universe >= 1 && packet.universe <= 63_999)
    }),
    { seed: 1, numRuns: 1000 },
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 700 }), (bytes) => {
      assert.equal(typeof decodeSacn(Buffer.from(bytes)), 'string')
    }),
    { seed: 2, numRuns: 500 },
  )
})

test('513 universes need two pages of discovery', () => {
  const pages = discoveryPackets(
    CID,
    'x',
    Array.from({ length: 513 }, (_, i) => 513 - i),
  )
  const read = pages.map((page) => decodeSacn(page))
  assert.deepEqual(
    read.map(
      (one) =>
        typeof one !== 'string' &&
        one.type === 'discovery' && [one.page, one.lastPage, one.universes.length, one.universes[0]],
    ),
    [
      [0, 1, 512, 1],
      [1, 1, 1, 513],
    ],
  )
})
