import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { test } from 'node:test'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { isSameOnWire } from '../../../runtime/bridges/osc/osc-echo.ts'
import { framed } from '../../../runtime/bridges/osc/osc-framing.ts'
import { OscPattern } from '../../../runtime/bridges/osc/osc-pattern.ts'
import { OscUdp } from '../../../runtime/bridges/osc/osc-udp.ts'
import { heldBytes, MEGABYTE } from '../../robustness/memory.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'
import { until } from '../../until.ts'
import { BridgeScene } from '../bridge-scene.ts'
import { freePort } from '../free-port.ts'
import { bundle, float32, freeUdpPort, Gear, int32, message, startOsc, text } from './osc-scene.ts'

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
  for (let i = 0; i < 200; i++) {
    if (!socket.write(bytes)) await once(socket, 'drain')
  }
  const end = message('/end')
  socket.write(framed('len32', end, 0, end.length))
  await scene.untilParam('/osc/end')
  // What the kernel holds for the connection, and one answer beyond the mark.
  assert.ok(scene.report('osc').outDropped > 50, `${scene.report('osc').outDropped}`)
})

test('a datagram full of patterns does not stop the router', async (t) => {
  const { port, scene } = await startOsc(t)
  const gear = await Gear.open(t, port)
  for (let i = 0; i < 500; i++) gear.send(message(`/a/${i}`))
  await scene.untilParam('/osc/a/499')
  scene.heard.length = 0
  gear.send(bundle(0, message('/first'), ...new Array<Buffer>(3000).fill(message('/a/*'))))
  gear.send(bundle(0, ...new Array<Buffer>(100).fill(message('/clasp/ping'))), message('/end'))
  await scene.untilParam('/osc/end')
  // 1.5 million values: none of it counts.
  assert.deepEqual(
    scene.heard.filter(({ address }) => address.startsWith('/osc/')).map(({ address }) => address),
    ['/osc/end'],
  )
  assert.equal(scene.report('osc').inDropped, 1 + 36)
  await until(() => gear.packets.length === 64, 'some answers')
})

test('a datagram whose bundle is longer than a message of the router is applied', async (t) => {
  const { port, scene } = await startOsc(t)
  const gear = await Gear.open(t, port)
  const items = Array.from({ length: 860 }, (_, i) => message(`/${String(i).padStart(60, 'x')}`, 'f', float32(1)))
  const packet = bundle(0, ...items)
  assert.ok(packet.length < 65_507)
  gear.send(packet)
  gear.send(message('/end'))
  await scene.untilParam('/osc/end')
  assert.equal(scene.heard.filter(({ address }) => address.startsWith('/osc/')).length, 861)
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
  assert.equal(scene.heard.filter(({ address }) => /^\/[ab]\/x/.test(address)).length, 2)
})

test('a bridge does not take its own broadcasts for those of others', async (t) => {
  const port = await freeUdpPort()
  const { scene } = await startOsc(t)
  await scene.apply(
    `- {id: osc, kind: osc, listen: ${port}, minInterval: 20ms, targets: [{host: 127.255.255.255, port: ${port}}]}`,
  )
  void scene.set('/osc/x', int(1))
  void scene.set('/osc/x', int(3))
  const gear = await Gear.open(t, port)
  await until(() => scene.report('osc').out === 2, 'both values')
  // The first value has come back by the time that a second one of another sender is here.
  gear.send(message('/end'))
  await scene.untilParam('/osc/end')
  assert.deepEqual(scene.param('/osc/x'), int(3))
  assert.equal(scene.report('osc').in, 1)
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

test('a pattern costs little, however it is made', () => {
  const name = `/${'a'.repeat(1000)}`
  const numbers = (count: number) => Array.from({ length: count }, (_, i) => i.toString(36))
  const start = performance.now()
  for (const text of [`/${'*a'.repeat(100)}b`, `/*${'[ab]'.repeat(200)}`, `/*{${numbers(200).join()}}`]) {
    const pattern = OscPattern.parse(text)
    assert.ok(pattern !== undefined, text)
    for (let i = 0; i < 10; i++) pattern.matches(name)
  }
  assert.ok(performance.now() - start < 5000)
  assert.equal(OscPattern.parse(`/{${numbers(300).join()}}`), undefined)
  assert.equal(OscPattern.parse(`/${'b'.repeat(2000)}*`), undefined)
})

test('a list or a map that a program repeats is an echo, though OSC has it in another shape', () => {
  const list: Value = { type: 'array', value: [int(1), { type: 'array', value: [int(2)] }] }
  const map: Value = { type: 'map', value: [['a', int(1)]] }
  assert.ok(isSameOnWire(list, { type: 'array', value: [int(1), int(2)] }))
  assert.ok(isSameOnWire({ type: 'array', value: [int(5)] }, float(5)))
  assert.ok(isSameOnWire(map, { type: 'string', value: '{"a":1}' }))
  assert.ok(isSameOnWire(float(1e300), float(Number.POSITIVE_INFINITY)))
  assert.ok(!isSameOnWire(map, { type: 'string', value: '{"a":2}' }))
  assert.ok(!isSameOnWire(list, { type: 'array', value: [int(1), int(3)] }))
})

test('a touch ends when the one who touches has gone', async (t) => {
  const clock = new SteppedClock()
  const { port, scene } = await startOsc(t, ', peerTimeout: 5s, signals: [{match: "/**/z", signal: gesture}]', {
    clock,
  })
  const gear = await Gear.open(t, port)
  gear.send(message('/fader/z', 'i', int32(1)), message('/fader', 'f', float32(0.25)))
  await until(() => scene.heard.some(({ phase }) => phase === 'move'), 'a move')
  for (let i = 0; i < 7; i++) {
    clock.advance(1000)
    await scene.settle()
  }
  assert.deepEqual(scene.param('/osc/fader'), float(0.25))
  const told = scene.heard.filter(({ address }) => address === '/osc/fader')
  assert.deepEqual(
    told.map(({ signal, phase }) => phase ?? signal),
    ['start', 'move', 'end', 'param'],
  )
  const other = await Gear.open(t, port)
  other.send(message('/fader', 'f', float32(0.5)))
  await scene.untilParam('/osc/fader', (value) => 'value' in value && value.value === 0.5)
})

test('connections are asked whether they are still there', { skip: !existsSync('/proc/net/tcp') }, async (t) => {
  const tcp = await freePort()
  const { scene } = await startOsc(t, `, tcp: {listen: ${tcp}}`)
  const socket = connect(tcp, '127.0.0.1')
  t.after(() => socket.destroy())
  await until(() => scene.report('osc').peers === 1, 'a connection')
  const port = tcp.toString(16).toUpperCase().padStart(4, '0')
  // Local address, remote address, state established, queues, timer 2: keep alive.
  const line = new RegExp(`^ *\\d+: [0-9A-F]{8}:${port} \\S+ 01 \\S+ (\\d\\d):`, 'm')
  await until(() => line.exec(readFileSync('/proc/net/tcp', 'utf8'))?.[1] === '02', 'a timer for it')
})

test('a name that is not known is looked up again soon, for the network may come later', async (t) => {
  const clock = new SteppedClock()
  const { scene } = await startOsc(t, ', targets: [{host: no-such-host.invalid, port: 9000}]', { clock })
  await until(() => scene.report('osc').errors === 1, 'a first failure')
  await until(() => {
    clock.advance(100)
    return scene.report('osc').errors === 2
  }, 'a second one')
  assert.ok(clock.now() < 30_000)
})

test('values that the router refuses are not kept', async (t) => {
  const clock = new SteppedClock()
  const tcp = await freePort()
  const { scene } = await startOsc(t, `, tcp: {listen: ${tcp}}`, { clock })
  const socket = connect(tcp, '127.0.0.1')
  t.after(() => socket.destroy())
  await once(socket, 'connect')
  const say = async (packet: Buffer) => {
    if (!socket.write(framed('len32', packet, 0, packet.length))) await once(socket, 'drain')
  }
  const blob = Buffer.alloc(65_516)
  await say(message('/start'))
  await scene.untilParam('/osc/start')
  const before = heldBytes()
  // With its address each is longer than a message of the router.
  for (let i = 0; i < 250; i++) await say(message(`/${i % 10}`, 'b', int32(blob.length), blob))
  await say(message('/end'))
  await scene.untilParam('/osc/end')
  clock.advance(1500)
  clock.advance(1500)
  const held = heldBytes() - before
  assert.ok(held < 8 * MEGABYTE, `${held} bytes`)
})

test('what arrives while the bridge stops starts nothing', async (t) => {
  const clock = new SteppedClock()
  const tcp = await freePort()
  const { port, scene } = await startOsc(t, `, tcp: {listen: ${tcp}}, signals: [{match: "/**/z", signal: gesture}]`, {
    clock,
  })
  // A connection that does not say goodbye.
  const socket = connect({ port: tcp, host: '127.0.0.1', allowHalfOpen: true })
  t.after(() => socket.destroy())
  const gear = await Gear.open(t, port)
  gear.send(message('/fader/z', 'i', int32(1)), message('/fader', 'f', float32(0.25)), message('/end'))
  await scene.untilParam('/osc/end')
  await until(() => scene.report('osc').peers === 2, 'two peers')
  const stopped = scene.apply('[]')
  gear.send(message('/late'))
  await scene.settle()
  await new Promise((resolve) => setTimeout(resolve, 50))
  clock.advance(600)
  await stopped
  assert.equal(scene.param('/osc/late'), undefined)
  assert.deepEqual(scene.param('/osc/fader'), float(0.25))
  // The router has timers of its own.
  const idle = new SteppedClock()
  const empty = await BridgeScene.start(t, '[]', { clock: idle })
  await empty.settle()
  assert.equal(clock.pendingTimers, idle.pendingTimers)
})
