import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { test } from 'node:test'
import type { Value } from '../../../firmware-protocol/wire/value.ts'
import { SteppedClock } from '../../router/stepped-clock.ts'
import { until } from '../../until.ts'
import { bundle, float32, freeUdpPort, Gear, hex, int32, message, startOsc, text } from './osc-scene.ts'

const int = (value: number): Value => ({ type: 'i64', value })
const float = (value: number): Value => ({ type: 'f64', value })
const string = (value: string): Value => ({ type: 'string', value })
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

test('what a peer sends goes to the others and not back to it, unless the router made something else of it', async (t) => {
  const { port, scene } = await startOsc(t, ', autoSubscribe: true')
  const a = await Gear.open(t, port)
  const b = await Gear.open(t, port)
  a.send(message('/clasp/ping'))
  b.send(message('/clasp/ping'))
  await a.hears('/clasp/pong')
  await b.hears('/clasp/pong')
  a.send(FADER, message('/go', 's', text('now')))
  await b.hears('/1/fader1')
  await b.hears('/go')
  await scene.set('/osc/1/fader1', float(0.25))
  await a.hears('/1/fader1')
  assert.deepEqual(
    a.messages.map(({ address, value }) => [address, value]),
    [
      ['/clasp/pong', { type: 'null' }],
      ['/1/fader1', float(0.25)],
    ],
  )
})

test('a value that a program only repeats is dropped; one that it sets anew is not', async (t) => {
  const target = await Gear.open(t)
  const { port, scene } = await startOsc(t, `, echoWindow: 10s, targets: [{host: 127.0.0.1, port: ${target.port}}]`)
  await scene.set('/osc/x', int(1))
  await target.hears('/x')
  const answering = await Gear.open(t, port)
  // From another port than it listens at, and as a float, as many do.
  answering.send(message('/x', 'f', float32(1)))
  await until(() => scene.report('osc').inDropped === 1, 'a dropped echo')
  answering.send(message('/x', 'f', float32(1)))
  assert.deepEqual(await scene.untilParam('/osc/x', ({ type }) => type === 'f64'), float(1))
  // Back to where it was a moment ago, by the hand that was there.
  answering.send(message('/x', 'i', int32(2)))
  await scene.untilParam('/osc/x', (value) => 'value' in value && value.value === 2)
  answering.send(message('/x', 'f', float32(1)))
  await scene.untilParam('/osc/x', (value) => 'value' in value && value.value === 1)
  assert.equal(scene.report('osc').inDropped, 1)
})

test('a bundle is applied as one, and its parts that cannot be read do not spoil the rest', async (t) => {
  const { port, scene } = await startOsc(t)
  const gear = await Gear.open(t, port)
  const broken = hex('2f620000 2c660000')
  gear.send(bundle(0, message('/a', 'i', int32(1)), broken, message('/c', 'i', int32(3))))
  assert.deepEqual(await scene.untilParam('/osc/c'), int(3))
  assert.deepEqual(scene.param('/osc/a'), int(1))
  assert.equal(scene.param('/osc/b'), undefined)
  assert.equal(scene.report('osc').inDropped, 1)
  assert.match(scene.report('osc').lastError, /\/b: arguments are missing/)
})

test('a bundle with a time waits for it, a nested one for its own', async (t) => {
  const clock = new SteppedClock()
  const { port, scene } = await startOsc(t, ', autoSubscribe: true', { clock })
  const gear = await Gear.open(t, port)
  const other = await Gear.open(t, port)
  other.send(message('/clasp/ping'))
  await other.hears('/clasp/pong')
  const now = clock.wallUs()
  const inner = bundle(now + 500_000, message('/b', 'i', int32(2)))
  const tooEarly = bundle(now + 1000, message('/c', 'i', int32(3)))
  gear.send(bundle(now + 200_000, message('/a', 'i', int32(1)), inner, tooEarly), message('/sent'))
  await scene.untilParam('/osc/sent')
  assert.equal(scene.param('/osc/a'), undefined)
  const pass = async (ms: number) => {
    for (let i = 0; i < ms; i += 50) {
      clock.advance(50)
      await scene.settle()
    }
  }
  await pass(100)
  assert.equal(scene.param('/osc/a'), undefined)
  await pass(150)
  assert.deepEqual(scene.param('/osc/a'), int(1))
  assert.deepEqual(scene.param('/osc/c'), int(3))
  assert.equal(scene.param('/osc/b'), undefined)
  await pass(300)
  assert.deepEqual(scene.param('/osc/b'), int(2))
  // It knows whose they are even then.
  await other.hears('/b')
  assert.deepEqual(gear.packets, [])
})

test('a bundle of the past is applied or dropped as set, one of the far future at once', async (t) => {
  const { port, scene } = await startOsc(t, ', late: drop, maxAhead: 1s')
  const gear = await Gear.open(t, port)
  const now = Date.now() * 1000
  gear.send(bundle(now - 5_000_000, message('/late', 'i', int32(1))))
  gear.send(bundle(now + 3_600_000_000, message('/far', 'i', int32(2))))
  assert.deepEqual(await scene.untilParam('/osc/far'), int(2))
  assert.equal(scene.param('/osc/late'), undefined)
  assert.equal(scene.report('osc').inDropped, 1)
  assert.match(scene.report('osc').lastError, /3600 s from now/)
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

test('an OSC program subscribes, asks and unsubscribes, and gets answers at the port that it names', async (t) => {
  const { port, scene } = await startOsc(t)
  await scene.set('/osc/mix/1', float(0.25))
  await scene.set('/osc/other', int(1))
  const sender = await Gear.open(t, port)
  const receiver = await Gear.open(t)
  sender.send(message('/clasp/reply', 'i', int32(receiver.port)))
  sender.send(message('/clasp/subscribe', 's', text('/mix/*')))
  assert.deepEqual((await receiver.hears('/mix/1')).value, float(0.25))
  await scene.set('/osc/mix/2', int(5))
  await receiver.hears('/mix/2')
  sender.send(message('/clasp/get', 's', text('/other')))
  assert.deepEqual((await receiver.hears('/other')).value, int(1))
  sender.send(message('/clasp/unsubscribe', 's', text('/mix/*')), message('/clasp/get', 's', text('/nothing')))
  assert.deepEqual((await receiver.hears('/clasp/error')).value, {
    type: 'array',
    value: [string('/clasp/get'), string('there is no value at /nothing')],
  })
  await scene.set('/osc/mix/2', int(6))
  sender.send(message('/clasp/ping', 'i', int32(9)))
  assert.deepEqual((await receiver.hears('/clasp/pong')).value, int(9))
  assert.deepEqual((await receiver.hears('/mix/2')).value, int(5))
  assert.deepEqual(sender.packets, [])
  // Requests are no signals.
  assert.equal(
    scene.heard.some(({ address }) => address.startsWith('/osc/clasp')),
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

test('senders are remembered up to a number, and forgotten when they are silent', async (t) => {
  const clock = new SteppedClock()
  const { port, scene } = await startOsc(t, ', maxPeers: 2, peerTimeout: 5s', { clock })
  const listening = await Gear.open(t, port)
  listening.send(message('/clasp/subscribe', 's', text('/**')), message('/clasp/ping'))
  await listening.hears('/clasp/pong')
  for (const name of ['/a', '/b', '/c']) {
    const gear = await Gear.open(t, port)
    gear.send(message(name))
    await scene.untilParam(`/osc${name}`)
  }
  assert.equal(scene.report('osc').peers, 2)
  // Who listens stays rather than who only sends.
  await listening.hears('/c')
  clock.advance(7000)
  await scene.settle()
  assert.equal(scene.report('osc').peers, 0)
})

test('only networks that are allowed, and senders that show the token, are heard', async (t) => {
  const elsewhere = await startOsc(t, ', allow: ["10.0.0.0/8", "127.0.0.9"]')
  const stranger = await Gear.open(t, elsewhere.port)
  const friend = await Gear.open(t, elsewhere.port, '127.0.0.9')
  stranger.send(message('/a'))
  await until(() => elsewhere.scene.report('osc').inDropped === 1, 'a refused sender')
  friend.send(message('/b'))
  await elsewhere.scene.untilParam('/osc/b')
  assert.equal(elsewhere.scene.param('/osc/a'), undefined)

  const { port, scene } = await startOsc(t, ', token: secret')
  const gear = await Gear.open(t, port)
  gear.send(message('/a'), message('/clasp/auth', 's', text('wrong')), message('/clasp/auth', 's', text('secret')))
  await gear.hears('/clasp/auth')
  gear.send(message('/b'))
  await scene.untilParam('/osc/b')
  assert.equal(scene.param('/osc/a'), undefined)
  assert.equal(scene.report('osc').inDropped, 2)
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

test('values that change together leave as one bundle where a target wants that', async (t) => {
  const target = await Gear.open(t)
  const { scene } = await startOsc(t, `, targets: [{host: 127.0.0.1, port: ${target.port}, bundle: true}]`)
  await scene.send({
    type: 'BUNDLE',
    messages: [
      { type: 'SET', address: '/osc/a', value: int(1) },
      { type: 'SET', address: '/osc/b', value: int(2) },
    ],
  })
  await target.hears('/b')
  assert.deepEqual(target.packets, [bundle(0, message('/a', 'i', int32(1)), message('/b', 'i', int32(2)))])
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
  assert.match(scene.report('osc').reason, new RegExp(`UDP port ${port}.*in use by node.*set listen to a free port`))
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
  assert.ok((await freeUdpPort()) > 0)
})

test('a host that sends and hears as one does not get its own values back from whatever port it sends', async (t) => {
  const target = await Gear.open(t, 0, '127.0.0.7')
  const other = await Gear.open(t)
  const { port, scene } = await startOsc(
    t,
    `, targets: [{host: 127.0.0.7, port: ${target.port}, hearsItself: false}, {host: 127.0.0.1, port: ${other.port}}]`,
  )
  const fader = await Gear.open(t, port, '127.0.0.7')
  fader.send(FADER, message('/go'))
  await other.hears('/go')
  await scene.set('/osc/x', int(1))
  await target.hears('/x')
  assert.equal(target.packets.length, 1)
})

test('two bridges that send to each other do not go round in circles', async (t) => {
  const [a, b] = [await freeUdpPort(), await freeUdpPort()]
  const { scene } = await startOsc(t)
  await scene.apply(`- {id: a, kind: osc, namespace: /a, listen: ${a}, host: 127.0.0.1, targets: [{host: 127.0.0.1, port: ${b}}]}
- {id: b, kind: osc, namespace: /b, listen: ${b}, host: 127.0.0.1, targets: [{host: 127.0.0.1, port: ${a}}]}`)
  await scene.set('/a/x', int(1))
  await scene.untilParam('/b/x')
  await scene.set('/b/x', int(2))
  await scene.untilParam('/a/x', (value) => 'value' in value && value.value === 2)
  await scene.event('/a/go', int(3))
  await until(() => scene.heard.some(({ address }) => address === '/b/go'), 'an event')
  await scene.set('/a/end', int(4))
  await scene.untilParam('/b/end')
  assert.deepEqual(
    scene.heard.filter(({ address }) => /^\/[ab]\//.test(address)).map(({ address, value }) => [address, value]),
    [
      ['/a/x', int(1)],
      ['/b/x', int(1)],
      ['/b/x', int(2)],
      ['/a/x', int(2)],
      ['/b/go', int(3)],
      ['/a/end', int(4)],
      ['/b/end', int(4)],
    ],
  )
})
