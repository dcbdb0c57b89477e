import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import type { Clock } from '../../../runtime/router/clock.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'
import { until } from '../../until.ts'
import { BridgeScene } from '../bridge-scene.ts'
import { udpPeer } from '../lighting/udp-peer.ts'

/** Away from the well-known one, so that other tests can run. */
const PORT = 16_454
const int = (value: number): Value => ({ type: 'i64', value })
const member = (value: Value, name: string) =>
  value.type === 'map' ? value.value.find(([key]) => key === name)?.[1] : undefined

interface Peer {
  socket: Socket
  got: Buffer[]
  send(hex: string | Buffer): void
}

/** A console or a node at an address of its own. */
async function peer(t: TestContext, ip: string, bridge: string): Promise<Peer> {
  const { socket, got } = await udpPeer(t, ip, PORT)
  const send = (data: string | Buffer) =>
    socket.send(typeof data === 'string' ? Buffer.from(data.replace(/\s/g, ''), 'hex') : data, PORT, bridge)
  return { socket, got, send }
}

/** `Art-Net\0`, from the specification. */
const ID = '4172742d4e657400'
/** ArtDmx as a console sends it: OpCode low byte first, version 14, length high byte first. */
const dmx = (sequence: number, universe: number, ...slots: number[]) => {
  const bytes = Buffer.from(`${ID}0050000e0000000000000000`.slice(0, 36), 'hex')
  bytes[12] = sequence
  bytes[14] = universe & 255
  bytes[15] = universe >> 8
  bytes.writeUInt16BE(slots.length, 16)
  return Buffer.concat([bytes, Buffer.from(slots)])
}
const op = (bytes: Buffer) => (bytes.length > 9 ? bytes.readUInt16LE(8).toString(16) : '')
const artDmx = ({ got }: Peer) => got.filter((bytes) => op(bytes) === '5000')

const start = (t: TestContext, ip: string, yaml: string, clock?: Clock) =>
  BridgeScene.start(t, `- { id: a, kind: artnet, bind: ${ip}, port: ${PORT}, ${yaml} }`, { clock })

test('ArtDmx becomes params, and a universe that was not asked for becomes nothing', async (t) => {
  const scene = await start(t, '127.0.10.2', 'inputs: [{ universe: 291 }], role: node')
  const desk = await peer(t, '127.0.10.1', '127.0.10.2')
  desk.send(dmx(1, 291, 0, 255, 7, 0))
  desk.send(dmx(1, 290, 9, 9))
  assert.deepEqual(await scene.untilParam('/artnet/291/2'), int(255))
  assert.deepEqual(scene.param('/artnet/291/3'), int(7))
  assert.equal(scene.param('/artnet/291/1'), undefined)
  await until(() => scene.report('a').inDropped === 1, 'a count of the other universe')
  assert.equal(scene.report('a').lastError, '')
})

test('lengths with swapped bytes are understood; late packets are not taken', async (t) => {
  const scene = await start(t, '127.0.11.2', 'inputs: [{ universe: 0, mode: universe }], role: node')
  const desk = await peer(t, '127.0.11.1', '127.0.11.2')
  const swapped = dmx(10, 0, 1, 2, 3, 4)
  swapped.writeUInt16LE(4, 16)
  desk.send(swapped)
  desk.send(dmx(9, 0, 9, 9))
  desk.send(dmx(11, 0, 5, 6))
  const streams = () => scene.heard.filter(({ signal }) => signal === 'stream').map(({ value }) => value)
  await until(() => streams().length === 2, 'two frames')
  assert.deepEqual(streams(), [
    { type: 'bytes', value: Uint8Array.of(1, 2, 3, 4) },
    { type: 'bytes', value: Uint8Array.of(5, 6) },
  ])
})

test('two desks are merged, a third is told of and left out', async (t) => {
  const scene = await start(t, '127.0.12.2', 'inputs: [{ universe: 0 }], inRate: 44, role: node')
  const desks = await Promise.all(['127.0.12.3', '127.0.12.4', '127.0.12.5'].map((ip) => peer(t, ip, '127.0.12.2')))
  desks[0].send(dmx(0, 0, 100, 10))
  await scene.untilParam('/artnet/0/1')
  desks[1].send(dmx(0, 0, 50, 20))
  await scene.untilParam('/artnet/0/2', (value) => 'value' in value && value.value === 20)
  desks[2].send(dmx(0, 0, 255, 255))
  await until(() => scene.report('a').lastError !== '', 'a word')
  assert.match(scene.report('a').lastError, /127\.0\.12\.5 is a third source/)
  assert.deepEqual(scene.param('/artnet/0/1'), int(100))
})

test('a set channel goes out as ArtDmx, with sequence numbers from 1', async (t) => {
  const scene = await start(t, '127.0.13.2', 'outputs: [{ universe: 291, targets: [127.0.13.1] }], role: node')
  const node = await peer(t, '127.0.13.1', '127.0.13.2')
  await scene.set('/artnet/291/1', int(255))
  await scene.set('/artnet/1/2/3/512', int(3))
  await until(() => artDmx(node).at(-1)?.[529] === 3, 'the frame')
  const [first] = artDmx(node)
  assert.equal(first.subarray(0, 20).toString('hex'), `${ID}0050000e010023010200ff00`)
  assert.equal(first.length, 530)
  assert.deepEqual(
    artDmx(node).map((bytes) => bytes[12]),
    artDmx(node).map((_, at) => at + 1),
  )
})

test('a universe that comes in is merged into one that goes out', async (t) => {
  const output = 'outputs: [{ universe: 9, relay: 8, targets: [127.0.23.1] }]'
  const scene = await start(t, '127.0.23.2', `inputs: [{ universe: 8 }], ${output}, role: node`)
  const desk = await peer(t, '127.0.23.1', '127.0.23.2')
  await scene.set('/artnet/9/1', int(50))
  desk.send(dmx(0, 8, 40, 60))
  await until(
    () => artDmx(desk).some((bytes) => bytes.toString('hex', 18, 21) === '323c00'),
    'the higher levels of both',
  )
})

test('a console finds us, and each port has a reply of its own', async (t) => {
  const yaml = 'inputs: [{ universe: 291 }], outputs: [{ universe: 5 }], shortName: stage, role: node'
  const clock = new SteppedClock()
  await start(t, '127.0.14.2', yaml, clock)
  const desk = await peer(t, '127.0.14.1', '127.0.14.2')
  desk.send(`${ID}0020000e0200`)
  await until(() => {
    clock.advance(100)
    return desk.got.length === 2
  }, 'two replies')
  const [input, output] = desk.got
  for (const reply of desk.got) {
    assert.equal(reply.length, 239)
    assert.equal(reply.subarray(0, 10).toString('hex'), `${ID}0021`)
    assert.deepEqual([...reply.subarray(10, 14)], [127, 0, 14, 2])
    assert.equal(reply.readUInt16LE(14), PORT)
    assert.equal(reply.toString('latin1', 26, 32), 'stage\0')
    assert.match(reply.toString('latin1', 108, 160), /^#0001 \[\d{4}\] OK\0/)
  }
  // Net 1, Sub 2, SwOut 3: an output of Art-Net; then SwIn 5: an input.
  assert.deepEqual([input[18], input[19], input[173], input[174], input[190], input[211]], [1, 2, 1, 0x80, 3, 1])
  assert.deepEqual([output[18], output[19], output[173], output[174], output[186], output[211]], [0, 0, 1, 0x40, 5, 2])
  desk.send(`${ID}0020000e2200 0001 0000 0000 0000`)
  desk.send(dmx(0, 291, 1))
  // The range of the poll names no port of ours: the next reply is that of the changed port.
  await until(() => desk.got.length >= 4, 'replies to the change')
  assert.equal(desk.got[2][182] & 0x80, 0x80)
})

/** As a node that puts out a Port-Address below 16 sends it; layout of the specification. */
function pollReply(ip: number[], universe: number): Buffer {
  const bytes = Buffer.alloc(239)
  bytes.write(`${ID}0021`, 'hex')
  bytes.set(ip, 10)
  bytes.writeUInt16LE(0x1936, 14)
  bytes.write('dimmer', 26)
  bytes.set([0, 1, 0x80], 172)
  bytes[190] = universe
  bytes[211] = 1
  return bytes
}

test('we find nodes, show them, and send a universe to those who put it out', async (t) => {
  const node = await peer(t, '127.0.15.1', '127.0.15.2')
  const other = await peer(t, '127.255.255.255', '127.0.15.2')
  const scene = await start(t, '127.0.15.2', 'outputs: [{ universe: 3 }, { universe: 4 }], role: controller')
  await until(() => other.got.some((bytes) => op(bytes) === '2000'), 'a poll')
  node.send(pollReply([127, 0, 15, 1], 3))
  const shown = await scene.untilParam('/artnet/nodes/127.0.15.1')
  assert.deepEqual(member(shown, 'name'), { type: 'string', value: 'dimmer' })
  assert.deepEqual(member(shown, 'outputs'), { type: 'array', value: [int(3)] })
  await scene.set('/artnet/4/1', int(4))
  await scene.set('/artnet/3/1', int(3))
  await until(() => artDmx(node).length > 0, 'the universe')
  assert.equal(artDmx(node)[0][14], 3)
  assert.equal(scene.report('a').peers, 1)
})

test('after an ArtSync frames wait for the next one', async (t) => {
  const scene = await start(t, '127.0.16.2', 'inputs: [{ universe: 0 }], inRate: 44, role: node')
  const desk = await peer(t, '127.0.16.1', '127.0.16.2')
  const sync = `${ID}0052000e0000`
  desk.send(dmx(1, 0, 1))
  await scene.untilParam('/artnet/0/1')
  desk.send(sync)
  desk.send(dmx(2, 0, 2))
  desk.send(dmx(3, 0, 2, 77))
  desk.send(`${ID}0099000e0000ffff0507`)
  await until(() => scene.heard.some(({ address }) => address === '/artnet/trigger'), 'what came behind it')
  assert.deepEqual(scene.param('/artnet/0/1'), int(1))
  desk.send(sync)
  await scene.untilParam('/artnet/0/2', (value) => 'value' in value && value.value === 77)
  assert.deepEqual(scene.param('/artnet/0/1'), int(2))
})

test('ArtSync goes out behind the universes of a frame', async (t) => {
  const target = 'targets: [127.0.17.1]'
  const scene = await start(
    t,
    '127.0.17.2',
    `outputs: [{ universe: 0, ${target} }, { universe: 1, ${target} }], sync: true, role: node`,
  )
  const node = await peer(t, '127.0.17.1', '127.0.17.2')
  const set = (universe: number) => ({ type: 'SET' as const, address: `/artnet/${universe}/1`, value: int(9) })
  await scene.send({ type: 'BUNDLE', messages: [set(0), set(1)] })
  await until(() => node.got.length >= 3, 'three packets')
  assert.deepEqual(node.got.slice(0, 3).map(op), ['5000', '5000', '5200'])
  assert.equal(node.got[2].toString('hex'), `${ID}0052000e0000`)
})

test('time code and triggers pass both ways', async (t) => {
  const scene = await start(t, '127.0.18.2', 'role: node')
  const desk = await peer(t, '127.0.18.1', '127.0.18.2')
  const all = await peer(t, '127.255.255.255', '127.0.18.2')
  desk.send(`${ID}0097000e0000 18 3b 01 02 01`)
  desk.send(`${ID}0099000e0000 ffff 05 07 41`)
  await until(() => scene.heard.some(({ address }) => address === '/artnet/trigger'), 'a trigger')
  const heard = (name: string) => scene.heard.find(({ address }) => address === `/artnet/${name}`)
  const time = heard('timecode')
  assert.equal(time?.signal, 'stream')
  for (const [name, value] of Object.entries({ hours: 2, minutes: 1, seconds: 59, frames: 24, rate: 1 })) {
    assert.deepEqual(member(time?.value ?? int(0), name), int(value), name)
  }
  assert.deepEqual(member(heard('trigger')?.value ?? int(0), 'data'), { type: 'bytes', value: Uint8Array.of(0x41) })
  await scene.event('/artnet/trigger', {
    type: 'map',
    value: [
      ['key', int(3)],
      ['subKey', int(9)],
    ],
  })
  await until(() => all.got.some((bytes) => op(bytes) === '9900'), 'our trigger')
  assert.equal(all.got.find((bytes) => op(bytes) === '9900')?.toString('hex', 10, 18), '000e0000ffff0309')
})

test('malformed packets are counted with a word, and the next good one is taken', async (t) => {
  const scene = await start(t, '127.0.20.2', 'inputs: [{ universe: 0 }], role: node')
  const desk = await peer(t, '127.0.20.1', '127.0.20.2')
  const bad = [
    'ff',
    `${ID}0050`,
    `${ID}0050000d 00000000 0002 01 02`,
    `${ID}0050000e000000000002`,
    `${ID}0050000e00000000020${'0'.repeat(1 + 2 * 513)}`,
    `${ID}0097000e0000ffffffff09`,
    `${ID}0060000e`,
    `${ID}0070000e00010001`,
  ]
  for (const bytes of bad) desk.send(bytes)
  desk.send(dmx(0, 0, 8))
  assert.deepEqual(await scene.untilParam('/artnet/0/1'), int(8))
  assert.equal(scene.report('a').inDropped, bad.length)
  assert.match(scene.report('a').lastError, /from 127\.0\.20\.1/)
})

test('a port that somebody has to himself is told, and tried again', async (t) => {
  const socket = createSocket('udp4')
  socket.bind(PORT, '127.0.21.2')
  await once(socket, 'listening')
  const clock = new SteppedClock()
  const scene = await start(t, '127.0.21.2', 'role: node', clock)
  assert.equal(scene.report('a').state, 'degraded')
  assert.match(scene.report('a').reason, /UDP port 16454 at 127\.0\.21\.2 is taken/)
  socket.close()
  await until(() => {
    clock.advance(1000)
    return scene.report('a').state === 'running'
  }, 'a bridge that runs')
})

test('an address that this machine does not have is told', async (t) => {
  const scene = await start(t, '192.0.2.7', 'role: node')
  assert.match(scene.report('a').reason, /no network at 192\.0\.2\.7/)
})

test('the configuration is refused where it does not fit together', async (t) => {
  const refused = (yaml: string, words: RegExp) => assert.rejects(start(t, '127.0.22.2', yaml), words)
  await refused('inputs: [{ universe: 1 }, { universe: 1 }]', /universe 1 is twice/)
  await refused('outputs: [{ universe: 1, onStop: scene:7 }]', /scene:7 is not among the scenes/)
  await refused(
    'outputs: [{ universe: 1, onStop: scene:7 }], scenes: [{ scene: 7, universe: 2, levels: 1@1 }]',
    /scene:7 is not among the scenes of universe 1/,
  )
  await refused('outputs: [{ universe: 1, relay: 2 }]', /universe 2 is not among the inputs/)
  await refused('outputs: [{ universe: 1, targets: [stage] }]', /is no target/)
})
