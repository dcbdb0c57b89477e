import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { test } from 'node:test'
import { Receiver, Sender } from 'sacn'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { until } from '../../until.ts'
import { BridgeScene } from '../bridge-scene.ts'
import { dissect, tsharkMissing } from '../lighting/dissect.ts'
import { NetworkOla, olaMissing } from '../lighting/network-ola.ts'

const int = (value: number): Value => ({ type: 'i64', value })
const is = (wanted: number) => (value: Value) => 'value' in value && value.value === wanted

test('OLA hears the bridge by unicast', { skip: olaMissing() }, async (t) => {
  const ola = await NetworkOla.start(t, 'e131', ['ip = 127.0.0.1', 'input_ports = 1', 'output_ports = 0'])
  await ola.patch(21, 'hears')
  const scene = await BridgeScene.start(
    t,
    '- { id: s, kind: sacn, interface: 127.0.62.2, outputs: [{ universe: 21, destinations: [127.0.0.1] }] }',
  )
  await scene.set('/sacn/21/1', int(200))
  await scene.set('/sacn/21/512', int(7))
  const levels = await ola.untilDmx(21, (dmx) => dmx[0] === 200 && dmx[511] === 7)
  assert.equal(levels.length, 512)
  // After the goodbye OLA no longer waits for the source.
  await scene.apply('[]')
  await scene.apply(
    '- { id: s, kind: sacn, interface: 127.0.62.2, cid: 6ba7b810-9dad-11d1-80b4-00c04fd430c8, outputs: [{ universe: 21, destinations: [127.0.0.1] }] }',
  )
  await scene.set('/sacn/21/1', int(3))
  await ola.untilDmx(21, (dmx) => dmx[0] === 3 && dmx[511] === 7)
})

test('the sacn package and the bridge understand each other', async (t) => {
  const port = 15_569
  const scene = await BridgeScene.start(
    t,
    `- { id: s, kind: sacn, interface: 127.0.63.2, port: ${port}, sourceName: stage left, outputs: [{ universe: 31, priority: 142 }], inputs: [{ universe: 32 }] }`,
  )
  const receiver = new Receiver({ universes: [31], port, iface: '127.0.0.1', reuseAddr: true })
  const sender = new Sender({
    universe: 32,
    port,
    iface: '127.0.0.1',
    reuseAddr: true,
    defaultPacketOptions: { useRawDmxValues: true },
  })
  t.after(() => {
    receiver.close()
    sender.close()
  })
  const packets: { priority: number; sourceName: string; payload: Record<number, number> }[] = []
  receiver.on('packet', (packet) => packets.push(packet))
  await until(() => {
    void scene.set('/sacn/31/1', int(packets.length % 2 === 0 ? 255 : 254))
    return packets.some(({ payload }) => payload[1] === 100)
  }, 'a packet in the eyes of the package')
  const [{ priority, sourceName }] = packets
  assert.deepEqual({ priority, sourceName }, { priority: 142, sourceName: 'stage left' })
  await sender.send({ payload: { 1: 12, 512: 34 }, sourceName: 'package', priority: 50 })
  await scene.untilParam('/sacn/32/512', is(34))
  assert.deepEqual(scene.param('/sacn/32/1'), int(12))
})

test('Wireshark finds nothing malformed in what is sent', { skip: tsharkMissing() }, async (t) => {
  const port = 15_570
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  t.after(() => socket.close())
  const got: Buffer[] = []
  socket.on('message', (bytes) => got.push(bytes))
  socket.bind(port, '127.0.64.1')
  await once(socket, 'listening')
  const scene = await BridgeScene.start(
    t,
    `- { id: s, kind: sacn, interface: 127.0.64.2, port: ${port}, outputs: [{ universe: 9, syncAddress: 10, slotPriorities: true, destinations: [127.0.64.1] }] }`,
  )
  await scene.set('/sacn/9/1', int(9))
  await until(() => got.some(({ length }) => length === 49), 'a synchronization packet')
  await scene.apply('[]')
  // Wireshark 4.0 knows no synchronization packets.
  const text = dissect(
    got.filter(({ length }) => length !== 49),
    5568,
  )
  assert.doesNotMatch(text, /Malformed|Expert Info \((Error|Warning)/)
  for (const words of [
    'Streaming DMX, Universe: 9, Priority: 100',
    'Stream Terminated: True',
    'Count: 513',
    'Start Code: 221',
  ]) {
    assert.ok(text.includes(words), words)
  }
})
