import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { test } from 'node:test'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { OscPace } from '../../../runtime/bridges/osc/osc-pace.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'
import { until } from '../../until.ts'
import { float32, Gear, hex, int32, message, startOsc, text } from './osc-scene.ts'

const int = (value: number): Value => ({ type: 'i64', value })
const float = (value: number): Value => ({ type: 'f64', value })
const FADER = hex('2f312f66616465723100 0000 2c660000 3f000000')

test('the published bytes of a fader set its param, and set it again at a target byte for byte', async (t) => {
  const target = await Gear.open(t)
  const { port, scene } = await startOsc(t, `, targets: [{host: 127.0.0.1, port: ${target.port}}]`)
  const gear = await Gear.open(t, port)
  gear.send(FADER)
  assert.deepEqual(await scene.untilParam('/osc/1/fader1'), float(0.5))
  await until(() => target.packets.length > 0, 'a packet at the target')
  assert.deepEqual(target.packets, [FADER])
  assert.deepEqual(gear.packets, [])
})

test('a message without arguments is Null; values of the router go out as 32-bit numbers', async (t) => {
  const target = await Gear.open(t)
  const { port, scene } = await startOsc(t, `, targets: [{host: 127.0.0.1, port: ${target.port}}]`)
  const gear = await Gear.open(t, port)
  gear.send(hex('2f780000 2c000000'))
  assert.deepEqual(await scene.untilParam('/osc/x'), { type: 'null' })
  await scene.set('/osc/a', float(0.5))
  await scene.set('/osc/b', int(7))
  await scene.event('/osc/go', { type: 'null' })
  await target.hears('/go')
  assert.deepEqual(target.packets.slice(1), [
    hex('2f610000 2c660000 3f000000'),
    hex('2f620000 2c690000 00000007'),
    hex('2f676f00 2c000000'),
  ])
})

test('a target that wants nothing but floats gets floats, another one what is its own', async (t) => {
  const console = await Gear.open(t)
  const other = await Gear.open(t)
  const { scene } = await startOsc(
    t,
    `, bool: i, targets: [
      {host: 127.0.0.1, port: ${console.port}, numbers: int-as-float, bool: f, nil: none, nestedArrays: brackets},
      {host: 127.0.0.1, port: ${other.port}, numbers: f64}]`,
  )
  const list: Value = {
    type: 'array',
    value: [int(1), { type: 'bool', value: true }, { type: 'null' }, { type: 'array', value: [float(0.5)] }],
  }
  await scene.set('/osc/x', list)
  await console.hears('/x')
  await other.hears('/x')
  assert.deepEqual(console.packets, [message('/x', 'ff[f]', float32(1), float32(1), float32(0.5))])
  assert.deepEqual(other.packets, [message('/x', 'iiNd', int32(1), int32(1), hex('3fe0000000000000'))])
})

test('an address pattern sets what it matches and creates nothing', async (t) => {
  const { port, scene } = await startOsc(t)
  const gear = await Gear.open(t, port)
  await scene.set('/osc/mix/1/level', float(0))
  await scene.set('/osc/mix/2/level', float(0))
  await scene.set('/osc/mix/2/pan', float(0))
  gear.send(message('/mix/{1,2,3}/l*', 'f', float32(1)), message('/nobody/*', 'f', float32(1)), message('/end'))
  await scene.untilParam('/osc/end')
  assert.deepEqual(scene.param('/osc/mix/1/level'), float(1))
  assert.deepEqual(scene.param('/osc/mix/2/level'), float(1))
  assert.deepEqual(scene.param('/osc/mix/2/pan'), float(0))
  assert.equal(
    scene.heard.some(({ address }) => address.includes('nobody')),
    false,
  )
})

test('rules make events, streams and gestures of what arrives', async (t) => {
  const { port, scene } = await startOsc(
    t,
    `, impulse: event, signals: [{match: "/cue/**"}, {match: "/*/level", signal: stream}, {match: "/**/z", signal: gesture}]`,
  )
  const gear = await Gear.open(t, port)
  gear.send(
    message('/cue/go', 'i', int32(1)),
    message('/a/level', 'f', float32(0.5)),
    message('/bang', 'I'),
    message('/1/fader/z', 'i', int32(1)),
    message('/1/fader', 'f', float32(0.25)),
    message('/1/fader/z', 'i', int32(0)),
  )
  await scene.untilParam('/osc/1/fader')
  assert.deepEqual(
    scene.heard
      .filter(({ address }) => address.startsWith('/osc'))
      .map((one) => [one.signal, one.address, one.value, one.signal === 'gesture' ? one.phase : undefined]),
    [
      ['event', '/osc/cue/go', int(1), undefined],
      ['stream', '/osc/a/level', float(0.5), undefined],
      ['event', '/osc/bang', { type: 'null' }, undefined],
      ['gesture', '/osc/1/fader', { type: 'null' }, 'start'],
      ['gesture', '/osc/1/fader', float(0.25), 'move'],
      ['gesture', '/osc/1/fader', float(0.25), 'end'],
      ['param', '/osc/1/fader', float(0.25), undefined],
    ],
  )
})

test('names that are no CLASP addresses, and addresses that are no OSC names, survive the way there and back', async (t) => {
  const target = await Gear.open(t)
  const { port, scene } = await startOsc(t, `, targets: [{host: 127.0.0.1, port: ${target.port}}]`)
  const gear = await Gear.open(t, port)
  gear.send(message('/100%+', 'i', int32(1)), message('/a%20b', 'i', int32(2)))
  await scene.untilParam('/osc/a b')
  assert.deepEqual(scene.param('/osc/100%25%2B'), int(1))
  // The namespace itself has no name there.
  await scene.set('/osc', int(4))
  await scene.set('/osc/c,d', int(3))
  await target.hears('/c%2Cd')
  assert.deepEqual(
    target.messages.map(({ address }) => address),
    ['/100%+', '/a%20b', '/c%2Cd'],
  )
  gear.send(message(`/${'x'.repeat(1100)}`), message('/', 'i', int32(1)))
  await until(() => scene.report('osc').inDropped === 2, 'dropped addresses')
})

test('garbage is counted and told, makes no peer, and the next packet counts', async (t) => {
  const { port, scene } = await startOsc(t)
  const gear = await Gear.open(t, port)
  gear.send(Buffer.from('hello'), hex('00'), hex('2f610000 2c7a0000'), text('#bundle'))
  await until(() => scene.report('osc').inDropped === 4, 'four dropped packets')
  assert.equal(scene.report('osc').peers, 0)
  assert.match(scene.report('osc').lastError, new RegExp(`127.0.0.1:${gear.port}: `))
  gear.send(FADER)
  await scene.untilParam('/osc/1/fader1')
  assert.equal(scene.report('osc').peers, 1)
})

test('values that were there before go to a target, as do addresses elsewhere that it is to have', async (t) => {
  const target = await Gear.open(t)
  const { scene } = await startOsc(t)
  await scene.set('/osc/x', int(1))
  await scene.set('/osc/y', int(2))
  await scene.set('/sensors/t', float(21.5))
  await scene.apply(
    `- {id: osc, kind: osc, listen: 0, host: 127.0.0.1, alsoSend: [/sensors/**],
    targets: [{host: localhost, port: ${target.port}, filter: [/osc/x, /sensors/**]}]}`,
  )
  assert.deepEqual((await target.hears('/sensors/t')).value, float(21.5))
  assert.deepEqual((await target.hears('/x')).value, int(1))
  assert.equal(
    target.messages.some(({ address }) => address === '/y'),
    false,
  )
})

test('one address is not sent more often than set, and its last value always is', async (t) => {
  const clock = new SteppedClock()
  const target = await Gear.open(t)
  const { scene } = await startOsc(t, `, minInterval: 20ms, targets: [{host: 127.0.0.1, port: ${target.port}}]`, {
    clock,
  })
  for (let i = 1; i <= 5; i++) await scene.set('/osc/x', int(i))
  await scene.set('/osc/y', int(1))
  await target.hears('/y')
  clock.advance(20)
  await until(() => target.packets.length === 3, 'the last value')
  assert.deepEqual(
    target.messages.map(({ address, value }) => [address, 'value' in value && value.value]),
    [
      ['/x', 1],
      ['/y', 1],
      ['/x', 5],
    ],
  )
})

test('the last value of each address is sent even where there are more than are remembered', () => {
  const clock = new SteppedClock()
  const sent: number[][] = Array.from({ length: 9000 }, () => [])
  const pace = new OscPace<[number, number]>(1000, clock, ([address, value]) => sent[address].push(value))
  for (const value of [1, 2, 3]) for (let i = 0; i < sent.length; i++) pace.offer(`/${i}`, [i, value])
  clock.advance(1000)
  assert.ok(sent.every((values) => values.at(-1) === 3))
  // Those that are remembered wait.
  assert.ok(sent.filter(({ length }) => length === 2).length > 100)
  assert.equal(clock.pendingTimers, 0)
})

test('a port that is taken is named with its holder, and tried again', async (t) => {
  const clock = new SteppedClock()
  const holder = createSocket('udp4')
  holder.bind(0, '127.0.0.1')
  await once(holder, 'listening')
  const { port } = holder.address()
  const { scene } = await startOsc(t, '', { clock })
  await scene.apply(`- {id: osc, kind: osc, listen: ${port}, host: 127.0.0.1}`)
  assert.equal(scene.report('osc').state, 'degraded')
  assert.match(
    scene.report('osc').reason,
    new RegExp(`UDP port ${port}.*in use by another part of this router.*set listen to a free port`),
  )
  holder.close()
  await once(holder, 'close')
  clock.advance(1500)
  await until(() => scene.report('osc').state === 'running', 'a bridge that runs')
})

test('a bridge that is stopped has given up its port', async (t) => {
  const { port, scene } = await startOsc(t)
  const gear = await Gear.open(t, port)
  gear.send(FADER)
  await scene.untilParam('/osc/1/fader1')
  await scene.apply('[]')
  const socket = createSocket('udp4')
  socket.bind(port, '127.0.0.1')
  await once(socket, 'listening')
  socket.close()
})

test('a target with an unknown name is told and does not stop the others', async (t) => {
  const target = await Gear.open(t)
  const { scene } = await startOsc(
    t,
    `, targets: [{host: no-such-host.invalid, port: 9000}, {host: 127.0.0.1, port: ${target.port}}]`,
  )
  await scene.set('/osc/x', int(1))
  await target.hears('/x')
  await until(() => scene.report('osc').state === 'degraded', 'a reason')
  assert.match(scene.report('osc').reason, /no-such-host\.invalid is not known/)
})

test('addresses that were heard of are announced, and a pattern means those that others announced', async (t) => {
  const clock = new SteppedClock()
  const { port, scene } = await startOsc(t, '', { clock })
  const gear = await Gear.open(t, port)
  await scene.send({ type: 'ANNOUNCE', namespace: '/osc', signals: [{ address: '/osc/dimmer', type: 'param' }] })
  gear.send(FADER)
  await scene.untilParam('/osc/1/fader1')
  clock.advance(5000)
  const found: string[] = []
  const session = scene.router.openLocal({
    name: 'asking',
    onMessage: (answer) => {
      if (answer.type === 'RESULT')
        found.push(...answer.signals.map(({ address, datatype }) => `${address} ${datatype}`))
    },
  })
  session.send({ type: 'QUERY', pattern: '/osc/**' })
  await until(() => found.length > 0, 'an answer')
  session.close()
  assert.deepEqual(found.sort(), ['/osc/** undefined', '/osc/1/fader1 f64', '/osc/dimmer undefined'])
  gear.send(message('/dim*', 'i', int32(9)))
  assert.deepEqual(await scene.untilParam('/osc/dimmer'), int(9))
})

test('a bridge that would send to itself, or has a latency for no bundles, is refused', async (t) => {
  const { port, scene } = await startOsc(t)
  await assert.rejects(
    scene.apply(`- {id: osc, kind: osc, listen: ${port}, targets: [{host: localhost, port: ${port}}]}`),
    /is this bridge itself/,
  )
  await assert.rejects(
    scene.apply(`- {id: osc, kind: osc, listen: ${port}, targets: [{host: 192.0.2.9, port: 9000, latency: 20ms}]}`),
    /has a latency, which is for bundles: set bundle: true/,
  )
})
