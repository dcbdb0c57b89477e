import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { until } from '../../until.ts'
import { BridgeScene } from '../bridge-scene.ts'
import { dissect, tsharkMissing } from '../lighting/dissect.ts'
import { NetworkOla, olaMissing } from '../lighting/network-ola.ts'

const int = (value: number): Value => ({ type: 'i64', value })

const OLA_SETTINGS = ['ip = 127.0.0.1', 'use_loopback = true', 'net = 0', 'subnet = 0', 'output_ports = 1']

const PORT = 6454
const [OLA, BRIDGE, MIRROR] = ['127.0.0.1', '127.0.60.2', '127.0.60.3']

/**
 * On loopback OLA sends its polls and its answers to its own address, whoever asked. This takes them there, before OLA,
 * and hands them to the bridge; what the bridge sends there goes to OLA, which hears all other addresses of this machine.
 */
async function cable(t: TestContext): Promise<void> {
  const [atOla, mirror] = [OLA, MIRROR].map((ip) => {
    const socket = createSocket({ type: 'udp4', reuseAddr: true })
    socket.bind(PORT, ip)
    t.after(() => socket.close())
    return socket
  })
  atOla.on('message', (bytes, { address }) => {
    if (address === BRIDGE) mirror.send(bytes, PORT, '127.0.60.9')
    else atOla.send(bytes, PORT, BRIDGE)
  })
  mirror.on('message', (bytes) => atOla.send(bytes, PORT, BRIDGE))
  await Promise.all([once(atOla, 'listening'), once(mirror, 'listening')])
}

test('OLA and the bridge find each other, and universes pass both ways', { skip: olaMissing() }, async (t) => {
  const ola = await NetworkOla.start(t, 'artnet', OLA_SETTINGS)
  await cable(t)
  await ola.patch(3, 'hears')
  const scene = await BridgeScene.start(
    t,
    `- { id: a, kind: artnet, bind: ${BRIDGE}, outputs: [{ universe: 3 }], inputs: [{ universe: 5 }] }`,
  )
  // To nodes that say that they put it out: OLA does.
  await scene.untilParam('/artnet/nodes/127.0.0.1')
  await scene.set('/artnet/3/1', int(200))
  await scene.set('/artnet/3/512', int(7))
  const levels = await ola.untilDmx(3, (dmx) => dmx[0] === 200 && dmx[511] === 7)
  assert.equal(levels.length, 512)
  // It polls as soon as it has something to send, and sends to those who answer.
  await ola.patch(5, 'sends')
  for (let tries = 0; tries < 200 && scene.param('/artnet/5/3') === undefined; tries++) {
    await ola.setDmx(5, [0, 99, 255])
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  assert.deepEqual(scene.param('/artnet/5/3'), int(255))
  assert.deepEqual(scene.param('/artnet/5/2'), int(99))
})

test('Wireshark finds nothing malformed in what is sent', { skip: tsharkMissing() }, async (t) => {
  const port = 16_455
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  t.after(() => socket.close())
  const got: Buffer[] = []
  socket.on('message', (bytes) => got.push(bytes))
  socket.bind(port, '127.0.61.1')
  await once(socket, 'listening')
  const scene = await BridgeScene.start(
    t,
    `- { id: a, kind: artnet, bind: 127.0.61.2, port: ${port}, sync: true, outputs: [{ universe: 291, targets: [127.0.61.1] }], inputs: [{ universe: 4 }] }`,
  )
  const all = createSocket({ type: 'udp4', reuseAddr: true })
  t.after(() => all.close())
  all.on('message', (bytes) => got.push(bytes))
  all.bind(port, '127.255.255.255')
  await once(all, 'listening')
  await scene.set('/artnet/291/1', int(9))
  socket.send(Buffer.from('4172742d4e6574000020000e0200', 'hex'), port, '127.0.61.2')
  socket.send(Buffer.from(`4172742d4e65740000f8000e${'00'.repeat(22)}`, 'hex'), port, '127.0.61.2')
  const member = (key: string, value: number) => [key, int(value)] as const
  await scene.event('/artnet/trigger', { type: 'map', value: [member('key', 1), member('subKey', 2)] })
  await scene.event('/artnet/timecode', { type: 'map', value: [member('hours', 1), member('rate', 1)] })
  const ops = () => new Set(got.map((bytes) => bytes.readUInt16LE(8)))
  await until(() => ops().size === 7, 'each kind of packet')
  const text = dissect(got, 6454)
  assert.doesNotMatch(text, /Malformed|Expert Info \((Error|Warning)/)
  for (const words of [
    'ArtDMX (0x5000)',
    'ArtPoll (0x2000)',
    'ArtPollReply (0x2100)',
    'ArtSync (0x5200)',
    'ArtTrigger (0x9900)',
    'ArtTimeCode (0x9700)',
    'ArtIpProgReply (0xf900)',
  ]) {
    assert.ok(text.includes(words), `${words} in ${[...new Set(text.match(/Opcode: .*/gi))].join(', ')}`)
  }
})
