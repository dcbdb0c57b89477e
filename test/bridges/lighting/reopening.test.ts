import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { syncBuiltinESMExports } from 'node:module'
import os, { type NetworkInterfaceInfo } from 'node:os'
import { type TestContext, test } from 'node:test'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { LocalNetworks } from '../../../runtime/bridges/osc/local-networks.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'
import { until } from '../../until.ts'
import { BridgeScene } from '../bridge-scene.ts'
import { udpPeer } from './udp-peer.ts'

const PORT = 15_569
const int = (value: number): Value => ({ type: 'i64', value })

const receiver = async (t: TestContext, ip: string) => (await udpPeer(t, ip, PORT)).got

/** This machine has these addresses, until the end of the test. */
function pretend(t: TestContext, ...addresses: string[]): void {
  const [netmask, mac] = ['255.0.0.0', '00:00:00:00:00:00']
  const list = addresses.map(
    (address): NetworkInterfaceInfo => ({
      address,
      netmask,
      mac,
      family: 'IPv4',
      internal: false,
      cidr: `${address}/8`,
    }),
  )
  t.mock.method(os, 'networkInterfaces', () => ({ lo: list }))
  syncBuiltinESMExports()
  t.after(() => {
    t.mock.restoreAll()
    syncBuiltinESMExports()
  })
}

const kinds = [
  ['sacn', 'destinations', 126],
  ['artnet', 'targets', 18],
] as const

for (const [kind, targets, slotsAt] of kinds) {
  test(`${kind}: when addresses of this machine change, what is lit stays lit and goes on`, async (t) => {
    const ip = kind === 'sacn' ? '127.0.71.1' : '127.0.72.1'
    const own = kind === 'sacn' ? '127.0.71.2' : '127.0.72.2'
    const got = await receiver(t, ip)
    pretend(t, own)
    const clock = new SteppedClock()
    const output = `{ universe: 1, onStop: zero, ${targets}: [${ip}] }`
    const scene = await BridgeScene.start(t, `- { id: s, kind: ${kind}, port: ${PORT}, outputs: [${output}] }`, {
      clock,
    })
    const isFrame = (bytes: Buffer) => bytes.length === slotsAt + 512
    await scene.set(`/${kind}/1/1`, int(9))
    await until(() => got.some(isFrame), 'a frame')
    pretend(t, own, '127.0.73.1')
    clock.advance(10_000)
    await until(() => /addresses of this machine have changed/.test(scene.report('s').lastError), 'the change')
    await scene.set(`/${kind}/1/2`, int(7))
    await until(() => {
      clock.advance(25)
      return got.some((bytes) => isFrame(bytes) && bytes[slotsAt + 1] === 7)
    }, 'frames again')
    const frames = got.filter(isFrame)
    assert.deepEqual(new Set(frames.map((bytes) => bytes[slotsAt])), new Set([9]))
    if (kind === 'sacn') {
      assert.ok(frames.every((bytes) => (bytes[112] & 0x40) === 0))
      // Numbers that began anew would be late for receivers.
      assert.deepEqual(
        frames.map((bytes) => bytes[111]),
        frames.map((_, at) => at + 1),
      )
    }
    await scene.apply('[]')
    await until(() => got.filter(isFrame).some((bytes) => bytes[slotsAt] === 0), 'the look of the end')
  })
}

for (const [kind, targets, slotsAt] of kinds) {
  test(`${kind}: a network that is away is waited for, and used as soon as it is back`, async (t) => {
    const ip = kind === 'sacn' ? '127.0.78.1' : '127.0.79.1'
    const own = kind === 'sacn' ? '127.0.78.2' : '127.0.79.2'
    const got = await receiver(t, ip)
    pretend(t)
    const clock = new SteppedClock()
    const yaml = `- { id: s, kind: ${kind}, port: ${PORT}, outputs: [{ universe: 1, ${targets}: [${ip}] }] }`
    const scene = await BridgeScene.start(t, yaml, { clock })
    const { state, reason } = scene.report('s')
    assert.equal(state, 'degraded')
    assert.match(reason, /no network/)
    await scene.set(`/${kind}/1/1`, int(9))
    const back = async (level: number) => {
      pretend(t, own)
      clock.advance(1000)
      await until(() => scene.report('s').state === 'running', 'a bridge that runs')
      await until(() => {
        clock.advance(25)
        return got.some((bytes) => bytes.length === slotsAt + 512 && bytes[slotsAt] === level)
      }, 'a frame')
    }
    await back(9)
    // However often it goes, it is waited for no longer.
    for (const level of [10, 11, 12]) {
      pretend(t)
      clock.advance(10_000)
      await until(() => scene.report('s').state === 'degraded', 'the loss')
      await scene.set(`/${kind}/1/1`, int(level))
      await back(level)
    }
  })
}

test('sACN: numbers go on where the network came back with an address that could not be had yet', async (t) => {
  const got = await receiver(t, '127.0.84.1')
  pretend(t, '127.0.84.2')
  const clock = new SteppedClock()
  const yaml = `- { id: s, kind: sacn, port: ${PORT}, outputs: [{ universe: 1, destinations: [127.0.84.1] }] }`
  const scene = await BridgeScene.start(t, yaml, { clock })
  await scene.set('/sacn/1/1', int(9))
  await until(() => got.length > 0, 'a frame')
  pretend(t, '127.0.84.2', '192.0.2.77')
  clock.advance(10_000)
  await until(() => /192\.0\.2\.77/.test(scene.report('s').reason), 'the loss')
  pretend(t, '127.0.84.2')
  await scene.set('/sacn/1/1', int(10))
  await until(() => {
    clock.advance(25)
    return got.some((bytes) => bytes.length === 638 && bytes[126] === 10)
  }, 'frames again')
  const numbers = got.filter(({ length }) => length === 638).map((bytes) => bytes[111])
  assert.deepEqual(
    numbers,
    numbers.map((_, at) => at + 1),
  )
})

test('a system that does not tell its addresses for a while changes nothing', async (t) => {
  for (const [kind, own] of [
    ['sacn', '127.0.86.2'],
    ['artnet', '127.0.86.3'],
  ]) {
    pretend(t, own)
    const clock = new SteppedClock()
    const scene = await BridgeScene.start(t, `- { id: s, kind: ${kind}, port: ${PORT}, outputs: [] }`, { clock })
    t.mock.method(os, 'networkInterfaces', () => {
      throw new Error('uv_interface_addresses returned EMFILE')
    })
    syncBuiltinESMExports()
    clock.advance(20_000)
    await scene.settle()
    assert.deepEqual([scene.report('s').state, scene.report('s').lastError], ['running', ''])
    assert.ok(new LocalNetworks(clock).includes('10.0.0.1'))
  }
})

test('sources that go with the network are lost in their time', async (t) => {
  for (const [kind, own, packet] of [
    ['sacn', '127.0.81.2', sacnFrame],
    ['artnet', '127.0.81.3', artNetFrame],
  ] as const) {
    pretend(t, own)
    const clock = new SteppedClock()
    const yaml = `- { id: s, kind: ${kind}, port: ${PORT}, loss: 60s, inputs: [{ universe: 1, onLoss: zero }] }`
    const scene = await BridgeScene.start(t, yaml, { clock })
    const desk = createSocket('udp4')
    t.after(() => desk.close())
    desk.send(packet(200), PORT, own)
    await scene.untilParam(`/${kind}/1/1`, (value) => 'value' in value && value.value === 200)
    pretend(t)
    clock.advance(10_000)
    await until(() => scene.report('s').state === 'degraded', 'the loss of the network')
    clock.advance(60_000)
    await scene.untilParam(`/${kind}/1/1`, (value) => 'value' in value && value.value === 0)
  }
})

test('a look for the end is synchronized before the goodbyes', async (t) => {
  const got = await receiver(t, '127.0.74.1')
  const output = '{ universe: 1, onStop: full, syncAddress: 5, destinations: [127.0.74.1] }'
  const scene = await BridgeScene.start(
    t,
    `- { id: s, kind: sacn, port: ${PORT}, interface: 127.0.74.2, outputs: [${output}] }`,
  )
  await scene.set('/sacn/1/1', int(9))
  await until(() => got.some(({ length }) => length === 49), 'a frame and its synchronization')
  await scene.apply('[]')
  await until(() => got.filter((bytes) => (bytes[112] & 0x40) !== 0).length === 3, 'three goodbyes')
  assert.deepEqual(
    got.slice(-5).map((bytes) => (bytes.length === 49 ? 'sync' : `${bytes[126]} ${bytes[112]}`)),
    ['255 0', 'sync', '255 64', '255 64', '255 64'],
  )
})

test('priorities of single slots name those of a relayed universe and of a look, too', async (t) => {
  const got = await receiver(t, '127.0.75.1')
  const output =
    '{ universe: 2, relay: 1, slotPriorities: true, onStart: full, priority: 90, destinations: [127.0.75.1] }'
  const scene = await BridgeScene.start(
    t,
    `- { id: s, kind: sacn, port: ${PORT}, interface: 127.0.75.2, inputs: [{ universe: 1 }], outputs: [${output}] }`,
  )
  const priorities = () => {
    const last = got.findLast((bytes) => bytes[125] === 0xdd)
    return last === undefined ? [] : [...last.subarray(126, 130)]
  }
  await until(() => priorities().join() === '90,90,90,90', 'the look')
  await scene.set('/sacn/2/3', int(9))
  await until(() => priorities().join() === '0,0,90,0', 'a channel')
  const desk = createSocket('udp4')
  t.after(() => desk.close())
  const frame = Buffer.from(got.find((bytes) => bytes[125] === 0) ?? [])
  frame.fill(7, 22, 38)
  frame.writeUInt16BE(1, 113)
  // Two slots.
  frame.writeUInt16BE(0x7000 | 112, 16)
  frame.writeUInt16BE(0x7000 | 90, 38)
  frame.writeUInt16BE(0x7000 | 13, 115)
  frame.writeUInt16BE(3, 123)
  desk.send(frame.subarray(0, 128), PORT, '127.0.75.2')
  await until(() => priorities().join() === '90,90,90,0', 'the relayed slots')
})

test('levels that fell while the bridge was away are told, though the first frame has them dark', async (t) => {
  for (const [kind, own, packet] of [
    ['sacn', '127.0.76.2', sacnFrame],
    ['artnet', '127.0.76.3', artNetFrame],
  ] as const) {
    const scene = await BridgeScene.start(
      t,
      `- { id: s, kind: ${kind}, port: ${PORT}, interface: ${own}, inputs: [{ universe: 1 }] }`,
    )
    const desk = createSocket('udp4')
    t.after(() => desk.close())
    desk.send(packet(200), PORT, own)
    await scene.untilParam(`/${kind}/1/1`)
    await scene.set('/_meta/bridges/s/enabled', { type: 'bool', value: false })
    await until(() => scene.report('s').state === 'stopped', 'a pause')
    await scene.set('/_meta/bridges/s/enabled', { type: 'bool', value: true })
    await until(() => scene.report('s').state === 'running', 'its end')
    desk.send(packet(0), PORT, own)
    await scene.untilParam(`/${kind}/1/1`, (value) => 'value' in value && value.value === 0)
  }
})

test('of several writes to a slot the last one counts after a start, whatever address it had', async (t) => {
  const got = await receiver(t, '127.0.77.1')
  const yaml = `- { id: s, kind: artnet, port: ${PORT}, bind: 127.0.77.2, outputs: [{ universe: 1, targets: [127.0.77.1] }] }`
  const scene = await BridgeScene.start(t, '[]')
  const channel = (number: number, level: number) => scene.set(`/artnet/1/${number}`, int(level))
  await channel(1, 255)
  await scene.set('/artnet/1', { type: 'bytes', value: Uint8Array.of(10, 20, 30) })
  await channel(2, 200)
  await scene.apply(yaml)
  await until(() => got.some((bytes) => bytes.length === 530), 'a frame')
  assert.deepEqual([...(got.find((bytes) => bytes.length === 530)?.subarray(18, 21) ?? [])], [10, 200, 30])
})

/** One slot of universe 1, as E1.31 and Art-Net 4 lay it out. */
function sacnFrame(level: number): Buffer {
  const root = `001000004153432d45312e3137000000706f00000004${'07'.repeat(16)}`
  const framing = `705900000002${'00'.repeat(64)}64000001000001`
  const dmp = '700c02a1000000010002' + '00'
  return Buffer.from(`${root}${framing}${dmp}${level.toString(16).padStart(2, '0')}`, 'hex')
}

function artNetFrame(level: number): Buffer {
  return Buffer.from(`4172742d4e6574000050000e000001000002${level.toString(16).padStart(2, '0')}00`, 'hex')
}
