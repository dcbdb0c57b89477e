import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'
import { until } from '../../until.ts'
import { BridgeScene } from '../bridge-scene.ts'

/** Away from the well-known one, so that other tests can run. */
const PORT = 15_568
const CID = '6ba7b810-9dad-11d1-80b4-00c04fd430c8'
const int = (value: number): Value => ({ type: 'i64', value })
const is = (wanted: number) => (value: Value) => 'value' in value && value.value === wanted
const member = (value: Value, name: string) =>
  value.type === 'map' ? value.value.find(([key]) => key === name)?.[1] : undefined

interface Options {
  cid?: number
  priority?: number
  sync?: number
  options?: number
  startCode?: number
}

/** A data packet, laid out after E1.31 §4–7 and not by the code under test. */
function data(universe: number, sequence: number, slots: readonly number[], options: Options = {}): Buffer {
  const { cid = 1, priority = 100, sync = 0, options: bits = 0, startCode = 0 } = options
  const bytes = Buffer.alloc(126 + slots.length)
  bytes.write('001000004153432d45312e3137000000', 'hex')
  bytes.writeUInt16BE(0x7000 | (110 + slots.length), 16)
  bytes.writeUInt32BE(4, 18)
  bytes.fill(cid, 22, 38)
  bytes.writeUInt16BE(0x7000 | (88 + slots.length), 38)
  bytes.writeUInt32BE(2, 40)
  bytes.write('desk', 44)
  bytes[108] = priority
  bytes.writeUInt16BE(sync, 109)
  bytes[111] = sequence
  bytes[112] = bits
  bytes.writeUInt16BE(universe, 113)
  bytes.writeUInt16BE(0x7000 | (11 + slots.length), 115)
  bytes.write('02a100000001', 117, 'hex')
  bytes.writeUInt16BE(slots.length + 1, 123)
  bytes[125] = startCode
  bytes.set(slots, 126)
  return bytes
}

function syncPacket(address: number): Buffer {
  const bytes = Buffer.from('001000004153432d45312e31370000007021000000080101010101010101010101010101', 'hex')
  const whole = Buffer.alloc(49)
  bytes.copy(whole)
  whole.fill(1, 22, 38)
  whole.write('700b00000001', 38, 'hex')
  whole.writeUInt16BE(address, 45)
  return whole
}

interface Peer {
  socket: Socket
  got: Buffer[]
  send(bytes: Buffer): void
}

async function peer(t: TestContext, ip: string, bridge: string): Promise<Peer> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  const got: Buffer[] = []
  socket.on('message', (bytes) => got.push(bytes))
  socket.bind(PORT, ip)
  await once(socket, 'listening')
  t.after(() => {
    socket.removeAllListeners('message')
    socket.close()
  })
  return { socket, got, send: (bytes) => socket.send(bytes, PORT, bridge) }
}

const start = (t: TestContext, ip: string, yaml: string) =>
  BridgeScene.start(t, `- { id: s, kind: sacn, interface: ${ip}, port: ${PORT}, inRate: 44, ${yaml} }`)

test('slot 1 is channel 1, and the source is shown', async (t) => {
  const scene = await start(t, '127.0.40.2', 'inputs: [{ universe: 7 }]')
  const desk = await peer(t, '127.0.40.1', '127.0.40.2')
  desk.send(data(7, 0, [255, 0, 7], { priority: 120 }))
  desk.send(data(8, 0, [9]))
  assert.deepEqual(await scene.untilParam('/sacn/7/1'), int(255))
  assert.deepEqual(scene.param('/sacn/7/3'), int(7))
  const source = await scene.untilParam('/sacn/7/source')
  assert.deepEqual(member(source, 'name'), { type: 'string', value: 'desk' })
  assert.deepEqual(member(source, 'priority'), int(120))
  assert.deepEqual(member(source, 'cid'), { type: 'string', value: '01010101-0101-0101-0101-010101010101' })
  await until(() => scene.report('s').inDropped === 1, 'a count of the other universe')
})

test('a packet goes out as the standard lays it out, four times, and its end three times', async (t) => {
  const destinations = 'destinations: [127.0.41.1]'
  const scene = await start(
    t,
    '127.0.41.2',
    `sourceName: Bühne, cid: ${CID}, outputs: [{ universe: 7, priority: 90, ${destinations} }]`,
  )
  const node = await peer(t, '127.0.41.1', '127.0.41.2')
  await scene.set('/sacn/7/1', int(255))
  await until(() => node.got.length >= 4, 'the frame and its repetitions')
  const [first] = node.got
  assert.equal(first.length, 638)
  assert.equal(
    first.subarray(0, 44).toString('hex'),
    '001000004153432d45312e3137000000726e000000046ba7b8109dad11d180b400c04fd430c872580000' + '0002',
  )
  assert.equal(first.toString('utf8', 44, 51), 'Bühne\0')
  assert.equal(first.subarray(108, 128).toString('hex'), '5a0000010000' + '07720b02a1000000010201' + '00ff00')
  await scene.apply('[]')
  const last = node.got.slice(-3)
  assert.deepEqual(
    last.map((bytes) => bytes[112]),
    [0x40, 0x40, 0x40],
  )
  assert.deepEqual(
    node.got.map((bytes) => bytes[111]),
    node.got.map((_, at) => at + 1),
  )
})

test('the higher priority wins; when it says goodbye the other takes over, and then nobody', async (t) => {
  const scene = await start(t, '127.0.42.2', 'inputs: [{ universe: 1, onLoss: zero }]')
  const desk = await peer(t, '127.0.42.1', '127.0.42.2')
  desk.send(data(1, 0, [10]))
  await scene.untilParam('/sacn/1/1', is(10))
  desk.send(data(1, 0, [5], { cid: 2, priority: 101 }))
  await scene.untilParam('/sacn/1/1', is(5))
  desk.send(data(1, 1, [5], { cid: 2, priority: 101, options: 0x40 }))
  await scene.untilParam('/sacn/1/1', is(10))
  desk.send(data(1, 1, [10], { options: 0x40 }))
  await scene.untilParam('/sacn/1/1', is(0))
  assert.equal(scene.param('/sacn/1/source')?.type, 'null')
  assert.match(scene.report('s').lastError, /universe 1 has no source/)
})

test('a source that falls silent has gone after its time', async (t) => {
  const scene = await start(t, '127.0.43.2', 'inputs: [{ universe: 1, onLoss: full }], loss: 150ms')
  const desk = await peer(t, '127.0.43.1', '127.0.43.2')
  desk.send(data(1, 0, [10]))
  await scene.untilParam('/sacn/1/1', is(255))
  const told = scene.heard.filter(({ address }) => address === '/sacn/1/1').map(({ value }) => value)
  assert.deepEqual(told, [int(10), int(255)])
})

test('late packets, other start codes and previews are no levels', async (t) => {
  const scene = await start(t, '127.0.44.2', 'preview: true, inputs: [{ universe: 1 }]')
  const desk = await peer(t, '127.0.44.1', '127.0.44.2')
  desk.send(data(1, 5, [1]))
  desk.send(data(1, 4, [2]))
  desk.send(data(1, 6, [3], { startCode: 0x17 }))
  desk.send(data(1, 6, [4], { startCode: 0xdd }))
  desk.send(data(1, 0, [5], { cid: 3, options: 0x80 }))
  assert.deepEqual(await scene.untilParam('/sacn/preview/1/1'), int(5))
  assert.deepEqual(scene.param('/sacn/1/1'), int(1))
  assert.equal(scene.report('s').inDropped, 3)
})

test('priorities of single slots are heeded, and told, where that is wanted', async (t) => {
  const scene = await start(
    t,
    '127.0.45.2',
    'inputs: [{ universe: 1, slotPriorities: true }], outputs: [{ universe: 2, slotPriorities: true, destinations: [127.0.45.1] }]',
  )
  const desk = await peer(t, '127.0.45.1', '127.0.45.2')
  desk.send(data(1, 0, [1, 1]))
  desk.send(data(1, 0, [200, 200], { cid: 2 }))
  desk.send(data(1, 1, [150, 50], { startCode: 0xdd }))
  desk.send(data(1, 1, [150, 60], { cid: 2, startCode: 0xdd }))
  await scene.untilParam('/sacn/1/2', is(200))
  await scene.set('/sacn/2/2', int(9))
  await until(() => desk.got.length >= 2, 'two packets')
  assert.equal(desk.got[0].toString('hex', 125, 129), 'dd006400')
  assert.equal(desk.got[1].toString('hex', 125, 129), '00000900')
})

test('synchronized frames wait for their packet once one has come', async (t) => {
  const scene = await start(t, '127.0.46.2', 'inputs: [{ universe: 1 }, { universe: 2 }]')
  const desk = await peer(t, '127.0.46.1', '127.0.46.2')
  desk.send(data(1, 0, [1], { sync: 9 }))
  await scene.untilParam('/sacn/1/1', is(1))
  desk.send(syncPacket(9))
  desk.send(data(1, 1, [2], { sync: 9 }))
  desk.send(data(2, 0, [3]))
  await scene.untilParam('/sacn/2/1', is(3))
  assert.deepEqual(scene.param('/sacn/1/1'), int(1))
  desk.send(syncPacket(8))
  desk.send(syncPacket(9))
  await scene.untilParam('/sacn/1/1', is(2))
})

test('a synchronization packet goes out behind the frames', async (t) => {
  const output = (universe: number) => `{ universe: ${universe}, syncAddress: 9, destinations: [127.0.47.1] }`
  const scene = await start(t, '127.0.47.2', `cid: ${CID}, outputs: [${output(1)}, ${output(2)}]`)
  const node = await peer(t, '127.0.47.1', '127.0.47.2')
  const set = (universe: number) => ({ type: 'SET' as const, address: `/sacn/${universe}/1`, value: int(9) })
  await scene.send({ type: 'BUNDLE', messages: [set(1), set(2)] })
  await until(() => node.got.length >= 3, 'three packets')
  assert.deepEqual(
    node.got.slice(0, 3).map(({ length }) => length),
    [638, 638, 49],
  )
  assert.equal(node.got[0].readUInt16BE(109), 9)
  assert.equal(node.got[2].toString('hex', 16, 22), '702100000008')
  assert.equal(node.got[2].toString('hex', 38), '700b00000001' + '01' + '0009' + '0000')
})

test('its own packets are ignored, and its identity survives a restart', async (t) => {
  const scene = await start(
    t,
    '127.0.48.2',
    'outputs: [{ universe: 2, destinations: [127.0.48.1] }], inputs: [{ universe: 1 }]',
  )
  const node = await peer(t, '127.0.48.1', '127.0.48.2')
  await scene.set('/sacn/2/1', int(1))
  await until(() => node.got.length > 0, 'a frame')
  const cid = node.got[0].toString('hex', 22, 38)
  // As a network brings it back that repeats what it hears.
  const own = Buffer.from(node.got[0])
  own.writeUInt16BE(1, 113)
  node.send(own)
  node.send(data(1, 0, [7]))
  await scene.untilParam('/sacn/1/1', is(7))
  assert.deepEqual(
    scene.heard.filter(({ address }) => address === '/sacn/1/1').map(({ value }) => 'value' in value && value.value),
    [7],
  )
  await scene.apply('[]')
  node.got.length = 0
  await scene.apply(
    `- { id: s, kind: sacn, interface: 127.0.48.2, port: ${PORT}, outputs: [{ universe: 2, destinations: [127.0.48.1] }] }`,
  )
  await until(() => node.got.length > 0, 'a frame of what the router still knows')
  assert.equal(node.got[0].toString('hex', 22, 38), cid)
})

test('malformed packets are counted with a word, and the next good one is taken', async (t) => {
  const scene = await start(t, '127.0.49.2', 'inputs: [{ universe: 1 }]')
  const desk = await peer(t, '127.0.49.1', '127.0.49.2')
  const good = data(1, 0, [1, 2, 3])
  const broken = (change: (bytes: Buffer) => void) => {
    const bytes = Buffer.from(good)
    change(bytes)
    return bytes
  }
  const bad = [
    Buffer.of(1),
    good.subarray(0, 100),
    broken((bytes) => bytes.writeUInt16BE(0x7fff, 16)),
    broken((bytes) => bytes.writeUInt16BE(514, 123)),
    broken((bytes) => bytes.writeUInt16BE(0, 123)),
    broken((bytes) => bytes.writeUInt16BE(0, 113)),
    broken((bytes) => bytes.writeUInt16BE(64_000, 113)),
    broken((bytes) => {
      bytes[108] = 201
    }),
    Buffer.concat([good, Buffer.alloc(2000)]).fill(0xff, 38),
  ]
  for (const bytes of bad) desk.send(bytes)
  desk.send(good)
  await scene.untilParam('/sacn/1/1', is(1))
  assert.equal(scene.report('s').inDropped, bad.length)
})

test('more than 20 universes are heard by multicast, each once', async (t) => {
  const universes = Array.from({ length: 24 }, (_, i) => 1000 + i)
  const list = universes.map((universe) => `{ universe: ${universe}, mode: universe }`).join(', ')
  const scene = await start(t, '127.0.50.2', `inputs: [${list}]`)
  assert.equal(scene.report('s').reason, '')
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  t.after(() => socket.close())
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  socket.setMulticastInterface('127.0.0.1')
  for (const universe of universes) socket.send(data(universe, 1, [1]), PORT, `239.255.3.${universe & 255}`)
  await until(() => scene.heard.filter(({ signal }) => signal === 'stream').length === 24, '24 universes')
  assert.equal(scene.report('s').inDropped, 0)
})

test('it tells every 10 s what it sends, and shows what others send', async (t) => {
  const clock = new SteppedClock()
  const scene = await BridgeScene.start(
    t,
    `- { id: s, kind: sacn, interface: 127.0.51.2, port: ${PORT}, cid: ${CID}, outputs: [{ universe: 258, destinations: [127.0.51.1] }] }`,
    { clock },
  )
  const desk = await peer(t, '127.0.51.1', '127.0.51.2')
  const group = await peer(t, '239.255.250.214', '127.0.51.2')
  group.socket.addMembership('239.255.250.214', '127.0.0.1')
  await scene.set('/sacn/258/1', int(1))
  await until(() => {
    clock.advance(1000)
    return group.got.some((bytes) => bytes.toString('hex', 22, 26) === '6ba7b810')
  }, 'a discovery packet')
  const packet = group.got.find((bytes) => bytes.toString('hex', 22, 26) === '6ba7b810') ?? Buffer.alloc(0)
  assert.equal(packet.length, 122)
  assert.equal(packet.toString('hex', 16, 22), '706a00000008')
  assert.equal(packet.toString('hex', 38, 44), '705400000002')
  assert.equal(packet.toString('hex', 112), '700a00000001' + '0000' + '0102')
  const other = Buffer.from(packet)
  other.fill(0xee, 22, 38)
  other.writeUInt16BE(77, 120)
  desk.send(other)
  const shown = await scene.untilParam('/sacn/sources/eeeeeeee-eeee-eeee-eeee-eeeeeeeeeeee')
  assert.deepEqual(member(shown, 'universes'), { type: 'array', value: [int(77)] })
  assert.equal(scene.param('/sacn/sources/6ba7b810-9dad-11d1-80b4-00c04fd430c8'), undefined)
})
