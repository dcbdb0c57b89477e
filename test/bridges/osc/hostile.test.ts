import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { framed } from '../../../runtime/bridges/osc/osc-framing.ts'
import { OscPattern } from '../../../runtime/bridges/osc/osc-pattern.ts'
import { OscUdp } from '../../../runtime/bridges/osc/osc-udp.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'
import { until } from '../../until.ts'
import { freePort } from '../free-port.ts'
import { bundle, float32, freeUdpPort, Gear, hex, int32, message, startOsc, text } from './osc-scene.ts'

const int = (value: number): Value => ({ type: 'i64', value })
const float = (value: number): Value => ({ type: 'f64', value })

test('answers are not answered: two bridges do not talk about a request without end', async (t) => {
  const { port, scene } = await startOsc(t)
  const gear = await Gear.open(t, port)
  for (const answer of [
    message('/clasp/error', 'ss', text('/clasp/x'), text('expected')),
    message('/clasp/pong', 'N'),
    message('/clasp/auth', 'T'),
  ]) {
    gear.send(answer)
  }
  gear.send(message('/end', 'i', int32(1)), message('/clasp/nonsense'))
  await gear.hears('/clasp/error')
  await scene.untilParam('/osc/end')
  assert.equal(gear.packets.length, 1)
})

test('a sender without a port of its own is heard, and what cannot be sent to it is counted', async (t) => {
  const problems: string[] = []
  const udp = await OscUdp.open({
    host: '127.0.0.1',
    port: 0,
    onDatagram: () => {},
    onUnsent: (problem) => problems.push(problem),
    onLost: (error) => problems.push(error.message),
  })
  t.after(() => udp.close())
  const bytes = message('/x')
  udp.send({ bytes, start: 0, end: bytes.length }, 0, '127.0.0.1')
  assert.equal(problems.length, 1)
})

test('a list of networks is for senders of all kinds of addresses', async (t) => {
  const [udp, tcp] = [await freeUdpPort(), await freePort()]
  const { scene } = await startOsc(t)
  await scene.apply(`- {id: osc, kind: osc, listen: ${udp}, allow: ["127.0.0.0/8"], tcp: {listen: ${tcp}}}`)
  const socket = connect(tcp, '127.0.0.1')
  t.after(() => socket.destroy())
  await once(socket, 'connect')
  const packet = message('/x', 'i', int32(1))
  socket.write(framed('len32', packet, 0, packet.length))
  assert.deepEqual(await scene.untilParam('/osc/x'), int(1))
})

test('a connection that has not shown the token hears nothing', async (t) => {
  const tcp = await freePort()
  const { scene } = await startOsc(t, `, token: secret, autoSubscribe: true, tcp: {listen: ${tcp}}`)
  await scene.set('/osc/before', int(1))
  const socket = connect(tcp, '127.0.0.1')
  t.after(() => socket.destroy())
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(socket, 'connect')
  const say = (packet: Buffer) => socket.write(framed('len32', packet, 0, packet.length))
  say(message('/clasp/ping'))
  await until(() => scene.report('osc').inDropped === 1, 'a refused packet')
  await scene.set('/osc/x', int(2))
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.equal(chunks.length, 0)
  say(message('/clasp/auth', 's', text('secret')))
  await until(() => Buffer.concat(chunks).includes('/before'), 'what was there before')
})

test('a connection that asks and does not read is not given memory without end', async (t) => {
  const tcp = await freePort()
  const { scene } = await startOsc(t, `, tcp: {listen: ${tcp}}`)
  const socket = connect(tcp, '127.0.0.1')
  t.after(() => socket.destroy())
  await once(socket, 'connect')
  socket.pause()
  const ping = message('/clasp/ping', 'b', int32(60_000), Buffer.alloc(60_000))
  const bytes = framed('len32', ping, 0, ping.length)
  const before = process.memoryUsage()
  for (let i = 0; i < 1000; i++) {
    if (!socket.write(bytes)) await once(socket, 'drain')
  }
  const end = message('/end')
  socket.write(framed('len32', end, 0, end.length))
  await scene.untilParam('/osc/end')
  const after = process.memoryUsage()
  const grown = after.external + after.arrayBuffers - before.external - before.arrayBuffers
  console.log('grown', grown)
  assert.ok(scene.report('osc').outDropped > 0)
})

test('a datagram full of patterns does not stop the router', async (t) => {
  const { port, scene } = await startOsc(t)
  const gear = await Gear.open(t, port)
  for (let i = 0; i < 500; i++) gear.send(message(`/a/${i}`))
  await scene.untilParam('/osc/a/499')
  const start = Date.now()
  const one = message('/a/*')
  gear.send(bundle(0, ...new Array<Buffer>(3000).fill(one)))
  gear.send(message('/end'))
  await scene.untilParam('/osc/end')
  console.log('ms', Date.now() - start)
})

test('a bundle is atomic or refused aloud', async (t) => {
  const { port, scene } = await startOsc(t)
  const gear = await Gear.open(t, port)
  const items = Array.from({ length: 860 }, (_, i) => message(`/${String(i).padStart(60, 'x')}`, 'f', float32(1)))
  const packet = bundle(0, ...items)
  console.log('size', packet.length)
  gear.send(packet)
  gear.send(message('/end'))
  await scene.untilParam('/osc/end')
  console.log(scene.heard.length, scene.report('osc'))
})

test('a number that is none does not go round between bridges', async (t) => {
  const [a, b] = [await freeUdpPort(), await freeUdpPort()]
  const { scene } = await startOsc(t)
  await scene.apply(`- {id: a, kind: osc, namespace: /a, listen: ${a}, host: 127.0.0.1, minInterval: 0ms, targets: [{host: 127.0.0.1, port: ${b}}]}
- {id: b, kind: osc, namespace: /b, listen: ${b}, host: 127.0.0.1, minInterval: 0ms, targets: [{host: 127.0.0.1, port: ${a}}]}`)
  await scene.set('/a/x', float(Number.NaN))
  await scene.untilParam('/b/x')
  await scene.set('/a/end', int(4))
  await scene.untilParam('/b/end')
  await scene.set('/a/end2', int(4))
  await scene.untilParam('/b/end2')
  console.log(scene.heard.filter(({ address }) => /^\/[ab]\//.test(address)).map(({ address, value }) => [address, value]))
  assert.equal(scene.heard.filter(({ address }) => /^\/[ab]\/x/.test(address)).length, 2)
})

test('a bridge does not take its own broadcasts for those of others', async (t) => {
  const port = await freeUdpPort()
  const { scene } = await startOsc(t)
  await scene.apply(`- {id: osc, kind: osc, listen: ${port}, minInterval: 20ms, targets: [{host: 127.255.255.255, port: ${port}}]}`)
  await scene.set('/osc/x', int(1))
  void scene.set('/osc/x', int(2))
  void scene.set('/osc/x', int(3))
  const gear = await Gear.open(t, port)
  await new Promise((resolve) => setTimeout(resolve, 300))
  console.log(scene.heard.filter(({ address }) => address === '/osc/x').map(({ value }) => value))
  console.log(scene.report('osc'))
  assert.deepEqual(scene.param('/osc/x'), int(3))
  void gear
})

test('a value that another sets meanwhile is told to the peer whose bundle waits for its time', async (t) => {
  const clock = new SteppedClock()
  const { port, scene } = await startOsc(t, ', autoSubscribe: true', { clock })
  const gear = await Gear.open(t, port)
  gear.send(bundle(clock.wallUs() + 5_000_000, message('/a', 'i', int32(1))), message('/sent'))
  await scene.untilParam('/osc/sent')
  await scene.set('/osc/a', int(1))
  await scene.set('/osc/end', int(1))
  await gear.hears('/end')
  assert.deepEqual(
    gear.messages.map(({ address }) => address),
    ['/a', '/end'],
  )
})

test('patterns cost little', () => {
  const evil = OscPattern.parse(`/${'*a'.repeat(100)}b`)
  const name = `/${'a'.repeat(1000)}`
  let start = performance.now()
  for (let i = 0; i < 100; i++) evil?.matches(name)
  console.log('stars', (performance.now() - start) / 100)
  const alternatives = OscPattern.parse(`/*{${Array.from({ length: 15_000 }, (_, i) => `b${i}`).join(',')}}`)
  start = performance.now()
  alternatives?.matches(name)
  console.log('alternatives', performance.now() - start)
  void hex
})
