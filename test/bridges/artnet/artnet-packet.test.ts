import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  decodeArtNet,
  dmxPacket,
  pollPacket,
  timeCodePacket,
  triggerPacket,
} from '../../../runtime/bridges/artnet/artnet-packet.ts'
import { decodePollReply, encodePollReply } from '../../../runtime/bridges/artnet/artnet-poll-reply.ts'

const reply = encodePollReply({
  ip: '10.0.0.7',
  mac: '02:00:00:00:00:01',
  port: 6454,
  version: 1,
  oem: 0xff,
  esta: 0x7ff0,
  shortName: 'a name that is far too long',
  longName: 'ü',
  report: '#0001 [0001] OK',
  style: 0,
  indicators: 3,
  bindIndex: 2,
  nodePort: { portAddress: 0x7fff, direction: 'output' },
  isActive: true,
  isMerging: true,
  isLtp: true,
  isDisabled: false,
  failSafe: null,
})
const time = timeCodePacket({ stream: 0, hours: 1, minutes: 2, seconds: 3, frames: 4, rate: 1 })
/** ArtAddress and ArtInput: the header, and nothing set. */
const [address, input] = [
  ['0060', 107],
  ['0070', 20],
].map(([op, size]) => Buffer.concat([Buffer.from(`4172742d4e657400${op}000e`, 'hex'), Buffer.alloc(Number(size) - 12)]))
const seeds = [dmxPacket(1), pollPacket(), time, triggerPacket(1, 2, new Uint8Array()), reply, address, input]

test('whatever arrives is read or refused, and never beyond what the packet holds', () => {
  const change = fc.tuple(fc.nat(529), fc.nat(255))
  const broken = fc.tuple(fc.constantFrom(...seeds), fc.array(change, { maxLength: 6 }), fc.nat(560))
  fc.assert(
    fc.property(broken, ([seed, changes, length]) => {
      const bytes = Buffer.from(seed.subarray(0, length))
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
      const packet = decodeArtNet(bytes)
      if (typeof packet === 'string') return
      if (packet.type === 'address') assert.ok(packet.bindIndex >= 1 && (packet.shortName ?? '').length <= 17)
      if (packet.type === 'pollReply') assert.ok((decodePollReply(bytes, '1.2.3.4')?.ports.length ?? 0) <= 8)
      if (packet.type !== 'dmx') return
      assert.ok(packet.levels.length >= 1 && packet.levels.length <= Math.min(512, bytes.length - 18))
      assert.ok(packet.portAddress <= 32_767)
    }),
    { seed: 1, numRuns: 1000 },
  )
})

test('a reply names its port in parts, and its texts end in time', () => {
  assert.deepEqual([reply[18], reply[19], reply[190], reply[211], reply[182]], [0x7f, 0x0f, 0x0f, 2, 0x8a])
  assert.equal(reply.toString('latin1', 26, 45), 'a name that is fa\0?')
  assert.equal(reply.toString('hex', 201, 207), '020000000001')
  assert.deepEqual(decodePollReply(reply, '1.2.3.4')?.ports, [{ portAddress: 0x7fff, direction: 'output' }])
  assert.equal(decodePollReply(reply.subarray(0, 206), '1.2.3.4'), undefined)
  assert.equal(decodePollReply(reply.subarray(0, 207), '1.2.3.4')?.bindIndex, 1)
})
